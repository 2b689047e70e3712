// How far the reading of a file is, in words and on a bar.

import { explained, t } from "./strings.js";

const QUARTERS = 4; // of a long document are told to those who listen
export const LONG = 10; // pages; a document that has more takes a while

/** What an item is at, in a few words. */
export function stateOf(item) {
  if (item.state === "done") {
    const lines = item.pages.reduce((sum, page) => sum + page.lines.length, 0);
    return t("readResult", item.pages.length, lines);
  }
  if (item.state === "failed") return explained(item.error);
  if (item.state === "sending") return t("sending", item.sent);
  if (item.state === "reading" && item.count) return t("readingPage", pageInWork(item), item.count);
  if (item.state === "fetching") return t("fetching", item.fetched);
  if (item.state === "busy") return t(busyText(item), item.busyFor);
  return t(item.state);
}

function busyText({ busyWith }) {
  return busyWith === "RATE_LIMITED" ? "limited" : "busy";
}

function pageInWork({ read, count }) {
  return Math.min(read + 1, count); // after the last one, the answer is made
}

/** Show on a <progress> how far something is; where nobody knows, it takes as long as it takes. */
export function showProgress(bar, item) {
  const share = shareOf(item);
  bar.hidden = !item.working || item.state === "waiting";
  if (share === null) {
    bar.removeAttribute("value");
    bar.removeAttribute("aria-valuetext");
  } else {
    bar.value = share;
    bar.setAttribute("aria-valuetext", stateOf(item));
  }
}

/** 0 to 1; null where that is not known. */
function shareOf(item) {
  if (item.state === "sending") return item.sent;
  if (item.state === "reading" && item.count) return item.read / item.count;
  if (item.state === "fetching") return item.fetched;
  return null;
}

/** How many quarters of a long document are read, and the whole of it not yet. */
export function quartersRead({ state, read, count }) {
  if (state !== "reading" || !(count > LONG) || read === count) return 0;
  return Math.floor((QUARTERS * read) / count);
}
