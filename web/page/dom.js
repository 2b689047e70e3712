// Small helpers to make and find elements.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Make an element; `attributes` may hold listeners as `onclick`; children may be text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Make an SVG element. */
export function makeSvg(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** One of the icons that index.html defines; decoration, so a screen reader passes over it. */
export function icon(name) {
  const svg = makeSvg("svg", { class: "icon", "aria-hidden": "true" });
  svg.append(makeSvg("use", { href: `#icon-${name}` }));
  return svg;
}

/** Name a button that shows an icon only: for screen readers and as a tooltip. */
export function label(element, text) {
  element.setAttribute("aria-label", text);
  element.title = text;
}

/** How to scroll: smoothly, but for those who asked their system for less motion. */
export function motion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth";
}

/** Read a setting that a person made here before; null where nothing can be stored. */
export function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keep a setting; where the browser forbids it, it lasts as long as the page. */
export function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    console.info(`${name} is not kept: this browser forbids storage`);
  }
}

/** Tell it to those who listen instead of looking. */
export function announce(text) {
  byId("announcements").textContent = text;
}
