// Puts text into the clipboard.

import { announce, icon, label, make } from "./dom.js";
import { t } from "./strings.js";

const SHOWN = 1600; // milliseconds that a button says "copied"

/** A button with an icon that copies what `text` gives; `name` is what it is called. */
export function copyButton(text, name) {
  const button = make("button", { class: "icon-button copy", type: "button" }, icon("copy"));
  label(button, t(name));
  button.addEventListener("click", () => copyFrom(button, text()));
  return button;
}

/** Copy, and let the button that was pressed say so. */
export async function copyFrom(button, text) {
  const done = await copy(text);
  const message = t(done ? "copied" : "copyFailed");
  announce(message);
  button.classList.toggle("copied", done);
  button.dataset.message = message;
  setTimeout(() => {
    button.classList.remove("copied");
    delete button.dataset.message;
  }, SHOWN);
}

async function copy(text) {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    return copyBySelection(text);
  }
  return copyBySelection(text); // over plain http there is no other way
}

function copyBySelection(text) {
  const before = document.activeElement;
  const area = make("textarea", { class: "unseen", readonly: true });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus({ preventScroll: true });
  return done;
}
