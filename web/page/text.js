// The lines of a page as text, each with how sure it is.

import { DOUBTFUL, SURE, level, percent } from "./confidence.js";
import { copyButton } from "./copy.js";
import { byId, make, motion } from "./dom.js";
import { t } from "./strings.js";

export class Text {
  /** `onHover` and `onPick` are told a line's place on the page; -1 is none. */
  constructor(onHover, onPick) {
    this.pane = byId("text");
    this.list = byId("lines");
    this.onPick = onPick;
    const at = (event) => Number(event.target.closest?.("[data-line]")?.dataset.line ?? -1);
    this.list.addEventListener("pointerover", (event) => onHover(at(event)));
    this.list.addEventListener("pointerleave", () => onHover(-1));
    this.list.addEventListener("click", (event) => this._click(event, at(event)));
    byId("next-doubt").addEventListener("click", () => this._nextDoubt());
  }

  show(page) {
    this.page = page;
    this.selected = -1;
    this.rows = page.lines.map(row);
    this.list.replaceChildren(...this.rows);
    this.pane.scrollTop = 0;
    byId("no-text").hidden = page.lines.length > 0;
    byId("text-layer").hidden = !page.text_layer;
    byId("count").textContent = t("lines", page.lines.length);
    this._showLegend();
    this._setTabStop(0);
  }

  /** Mark the line that is selected. */
  select(place) {
    this.selected = place;
    this.rows.forEach((each, other) => {
      each.classList.toggle("selected", other === place);
      each.firstChild.setAttribute("aria-pressed", String(other === place));
    });
    this._setTabStop(Math.max(place, 0));
  }

  hover(place) {
    this.rows.forEach((each, other) => each.classList.toggle("hovered", other === place));
  }

  reveal(place) {
    this.rows[place]?.scrollIntoView({ block: "nearest", behavior: motion() });
  }

  focus(place) {
    this.rows[place]?.firstChild.focus({ preventScroll: true });
  }

  /** Tab comes to one line only; the arrow keys go on from there. */
  _setTabStop(place) {
    this.rows.forEach((each, other) => {
      const index = other === place ? 0 : -1;
      for (const part of each.querySelectorAll("[tabindex]")) part.tabIndex = index;
    });
  }

  _click(event, place) {
    if (place < 0 || event.target.closest("button")) return;
    if (!getSelection().isCollapsed) return; // somebody marks text with the mouse
    this.onPick(place);
  }

  _doubts() {
    const sure = ({ confidence, words = [] }) =>
      confidence >= SURE && words.every((word) => word.confidence >= DOUBTFUL);
    return this.page.lines.flatMap((line, place) => (sure(line) ? [] : [place]));
  }

  _nextDoubt() {
    const doubts = this._doubts();
    this.onPick(doubts.find((place) => place > this.selected) ?? doubts[0]);
  }

  _showLegend() {
    const doubts = this._doubts().length;
    byId("legend").hidden = this.page.lines.length === 0 || this.page.text_layer;
    byId("next-doubt").hidden = doubts === 0;
    byId("next-doubt").textContent = t("nextDoubt", doubts);
  }
}

function row(line, place) {
  const sure = t("confidence", percent(line.confidence));
  const text = make(
    "span",
    { class: "words", role: "button", tabindex: "-1", "aria-pressed": "false", title: sure },
    ...pieces(line),
  );
  const share = make("span", { class: "share" }, percent(line.confidence));
  const copy = copyButton(() => line.text, "copyLine");
  copy.tabIndex = -1;
  const attributes = { class: `line ${level(line.confidence)}`, "data-line": place };
  return make("li", attributes, text, share, copy);
}

/** A line's text with those words marked that are not sure; all of it if only the whole is not. */
function pieces(line) {
  const made = [];
  let done = 0; // up to here the text is made; its words leave out the spaces
  for (const word of line.words ?? []) {
    const start = line.text.indexOf(word.text, done);
    if (start < 0) return [piece(line)]; // words of another spelling than the line's
    made.push(line.text.slice(done, start), piece(word));
    done = start + word.text.length;
  }
  const marked = made.some((each) => typeof each !== "string");
  return marked ? [...made, line.text.slice(done)] : [piece(line)];
}

function piece({ text, confidence }) {
  const sureness = level(confidence);
  if (sureness === "sure") return text;
  return make("mark", { class: sureness, title: t("confidence", percent(confidence)) }, text);
}
