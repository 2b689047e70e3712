// How files are to be read: which pages, how finely, and what of a PDF's own text.

import { byId } from "./dom.js";
import { t } from "./strings.js";

const PAGES = /^\s*([1-9]\d*(\s*-\s*(\d+\s*)?)?\s*(,\s*[1-9]\d*(\s*-\s*(\d+\s*)?)?\s*)*)?$/;

const DEFAULTS = { pages: "", dpi: "200", pdf_text: "auto" };

/** The options as the API takes them, but those that are as the API has them anyway. */
export function chosen() {
  const { elements } = byId("options-form");
  const named = Object.keys(DEFAULTS).map((name) => [name, elements[name].value.trim()]);
  return Object.fromEntries(named.filter(([name, value]) => value && value !== DEFAULTS[name]));
}

/** Say it under a field when what is typed there is none of its kind. */
export function checkOptions() {
  const { pages, dpi } = byId("options-form").elements;
  tell(pages, PAGES.test(pages.value), "pages");
  tell(dpi, dpi.checkValidity(), "dpi");
}

function tell(field, right, name) {
  const help = byId(`${name}-help`);
  field.setAttribute("aria-invalid", String(!right));
  help.textContent = t(right ? `${name}Help` : `${name}Wrong`);
  help.classList.toggle("wrong", !right);
}
