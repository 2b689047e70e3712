// The key that a server may ask for: typed once, and kept as long as the tab is open.

import { byId } from "./dom.js";
import { t } from "./strings.js";

const NAME = "ocr-key";
let key = kept();
if (key !== null) hideLink();

/** The headers by which the server knows who asks. */
export function authorization() {
  return key === null ? {} : { Authorization: `Bearer ${asBytes(key)}` };
}

/** A request with these headers was refused: ask for a key, or for another one. */
export function askForKey(headers) {
  if (headers.Authorization !== authorization().Authorization) return; // there is a newer one
  const [form, help] = [byId("key-form"), byId("key-help")];
  help.dataset.t = key === null ? "keyHelp" : "keyWrong";
  help.textContent = t(help.dataset.t);
  help.classList.toggle("wrong", key !== null);
  form.elements.key.setAttribute("aria-invalid", String(key !== null));
  if (!form.hidden) return;
  hideLink();
  form.hidden = false;
  form.elements.key.focus();
}

/** Call `onKey` whenever a key is typed. */
export function takeKey(onKey) {
  const form = byId("key-form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    key = form.elements.key.value.trim();
    keep(key);
    form.reset();
    form.hidden = true;
    byId("choose").focus();
    onKey();
  });
}

/** What a link opens is asked for without a key. */
function hideLink() {
  byId("server").hidden = true;
}

function kept() {
  try {
    return sessionStorage.getItem(NAME);
  } catch {
    return null; // this browser forbids storage
  }
}

function keep(value) {
  try {
    sessionStorage.setItem(NAME, value);
  } catch {
    console.info("the key is not kept: this browser forbids storage");
  }
}

/** UTF-8 as a header takes it, a letter for each byte. */
function asBytes(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
