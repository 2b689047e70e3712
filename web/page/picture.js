// The picture of a page with its lines drawn over it.

import { byId, make, makeSvg, motion } from "./dom.js";
import { level, percent } from "./confidence.js";
import { t } from "./strings.js";

const STEP = 1.25; // of one press of a zoom button
const ROOM = 24; // pixels round the sheet, both sides together
const READABLE = 320; // a page shown as a whole is at least this wide

export class Picture {
  /** `onHover` and `onPick` are told a line's place on the page; -1 is none. */
  constructor(onHover, onPick) {
    this.pane = byId("picture");
    this.sheet = byId("sheet");
    this.page = null;
    this.zoom = 1;
    this.whole = null; // the whole page, or its width; null for what suits it
    const at = (event) => Number(event.target.closest?.("[data-line]")?.dataset.line ?? -1);
    this.sheet.addEventListener("pointerover", (event) => onHover(at(event)));
    this.sheet.addEventListener("pointerleave", () => onHover(-1));
    this.sheet.addEventListener("click", (event) => onPick(at(event)));
    this.pane.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    new ResizeObserver(() => this._resize()).observe(this.pane);
  }

  show(page, name) {
    this.page = page;
    this.lines = page.lines.map((line, place) => polygon(line, place));
    const size = { viewBox: `0 0 ${page.width} ${page.height}`, "aria-hidden": "true" };
    this.overlay = makeSvg("svg", { ...size, class: "overlay" });
    this.words = makeSvg("g", { class: "words" });
    this.overlay.append(...this.lines, this.words);
    const alt = t("pictureOf", page.number, name);
    const picture = page.url ? [make("img", { src: page.url, alt, draggable: "false" })] : [];
    this.sheet.replaceChildren(...picture, this.overlay);
    this._resize();
  }

  /** Mark the line that is selected, with its words. */
  select(place) {
    this.lines.forEach((line, other) => line.classList.toggle("selected", other === place));
    const words = this.page.lines[place]?.words ?? [];
    this.words.replaceChildren(...words.map(({ quad }) => makeSvg("polygon", points(quad))));
  }

  hover(place) {
    this.lines.forEach((line, other) => line.classList.toggle("hovered", other === place));
  }

  /** Bring a line into view, if it is not. */
  reveal(place) {
    const line = this.lines[place]?.getBoundingClientRect();
    if (!line) return;
    const pane = this.pane.getBoundingClientRect();
    const seen =
      line.top >= pane.top && line.bottom <= pane.bottom &&
      line.left >= pane.left && line.right <= pane.right;
    if (seen) return;
    const left = line.width > pane.width ? line.left - pane.left - ROOM : middle(line, pane, "x");
    this.pane.scrollBy({ left, top: middle(line, pane, "y"), behavior: motion() });
  }

  larger() {
    this._zoomTo(this.zoom * STEP);
  }

  smaller() {
    this._zoomTo(this.zoom / STEP);
  }

  /** The whole page, and the next time its width. */
  fit() {
    this.whole = !this._fitsWhole();
    this._zoomTo(1);
  }

  /** With Ctrl the wheel zooms, and so do two fingers on a touchpad. */
  _wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this._zoomTo(this.zoom * Math.exp(-event.deltaY / 300));
  }

  _zoomTo(zoom) {
    const { pane } = this;
    const x = (pane.scrollLeft + pane.clientWidth / 2) / pane.scrollWidth;
    const y = (pane.scrollTop + pane.clientHeight / 2) / pane.scrollHeight;
    this.zoom = Math.min(Math.max(zoom, 0.25), 8);
    this._resize();
    const left = x * pane.scrollWidth - pane.clientWidth / 2;
    pane.scrollTo(left, y * pane.scrollHeight - pane.clientHeight / 2);
  }

  _fitsWhole() {
    if (this.whole !== null) return this.whole;
    return this._wholeWidth() >= Math.min(READABLE, this.page.width);
  }

  /** Of the sheet, where the page is seen as a whole. */
  _wholeWidth() {
    return ((this.pane.clientHeight - ROOM) * this.page.width) / this.page.height;
  }

  _resize() {
    if (this.page === null || this.pane.clientWidth === 0) return;
    const { width, height } = this.page;
    const room = this.pane.clientWidth - ROOM;
    const fitting = this._fitsWhole() ? Math.min(room, this._wholeWidth()) : Math.min(room, width);
    const shown = Math.max(40, Math.min(fitting, width * 1.5) * this.zoom);
    this.sheet.style.width = `${shown}px`;
    this.sheet.style.height = `${(shown * height) / width}px`;
  }
}

function polygon({ quad, text, confidence }, place) {
  const line = makeSvg("polygon", {
    ...points(quad),
    class: `line ${level(confidence)}`,
    "data-line": place,
  });
  const title = makeSvg("title");
  title.textContent = `${text}\n${t("confidence", percent(confidence))}`;
  line.append(title);
  return line;
}

function points(quad) {
  return { points: quad.map(([x, y]) => `${x},${y}`).join(" ") };
}

/** How far to scroll to put a box into the middle of another. */
function middle(box, pane, axis) {
  const size = axis === "x" ? "width" : "height";
  return box[axis] + box[size] / 2 - pane[axis] - pane[size] / 2;
}
