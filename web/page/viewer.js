// One file: the picture of a page, its text beside it, and the way from one to the other.

import { copyFrom } from "./copy.js";
import { Download } from "./download.js";
import { byId, icon, make } from "./dom.js";
import { Picture } from "./picture.js";
import { showProgress, stateOf } from "./progress.js";
import { t } from "./strings.js";
import { Text } from "./text.js";

export class Viewer {
  /** `actions` are called with an item: cancel, retry. */
  constructor(actions) {
    this.actions = actions;
    this.item = null;
    const hover = (line) => this._hover(line);
    this.picture = new Picture(hover, (line) => this._select(line, { from: "picture" }));
    this.text = new Text(hover, (line) => this._select(line, { from: "text" }));
    this.download = new Download(() => this.item);
    this._listen();
  }

  get page() {
    return this.item?.pages[this.item.page];
  }

  /** Put an item on view; null for none. */
  show(item) {
    if (item === this.item) return;
    this.download.forget();
    this.item = item;
    byId("viewer").hidden = item === null;
    if (item !== null) this.update();
  }

  /** The item on view has changed. */
  update() {
    const done = this.item.state === "done";
    byId("panes").hidden = !done;
    byId("state").hidden = done;
    if (done) this._showPage();
    else this._showState();
  }

  translate() {
    this.download.translate();
    byId("state").dataset.kind = "";
    if (this.item !== null) this.update();
  }

  _listen() {
    byId("zoom-in").addEventListener("click", () => this.picture.larger());
    byId("zoom-out").addEventListener("click", () => this.picture.smaller());
    byId("zoom-fit").addEventListener("click", () => this.picture.fit());
    byId("page-previous").addEventListener("click", () => this._turnTo(this.item.page - 1));
    byId("page-next").addEventListener("click", () => this._turnTo(this.item.page + 1));
    byId("page-number").addEventListener("change", (event) => this._turnToNumber(event.target));
    byId("copy-page").addEventListener("click", (event) =>
      copyFrom(event.currentTarget, this.page.text),
    );
    byId("copy-all").addEventListener("click", (event) =>
      copyFrom(event.currentTarget, this.item.pages.map((page) => page.text).join("\n\n")),
    );
    document.addEventListener("keydown", (event) => this._press(event));
    document.addEventListener("copy", (event) => this._copyLine(event));
  }

  // Of a file that is not read

  _showState() {
    const { item } = this;
    const root = byId("state");
    const kind = item.working ? "working" : item.state;
    if (root.dataset.kind !== kind || this.stated !== item) this._buildState(kind);
    root.querySelector(".what").textContent = stateOf(item);
    const bar = root.querySelector("progress");
    if (bar === null) return;
    showProgress(bar, item);
    bar.setAttribute("aria-label", t("progressOf", item.name));
  }

  _buildState(kind) {
    const root = byId("state");
    const { item, actions } = this;
    const focused = root.contains(document.activeElement);
    root.dataset.kind = kind;
    this.stated = item;
    const name = make("p", { class: "name" }, item.name);
    const what = make("p", { class: "what" });
    const button = (text, act) =>
      make("button", { type: "button", class: "button", onclick: () => act(item) }, text);
    if (kind === "working") {
      const bar = make("progress", { max: "1" });
      root.replaceChildren(name, what, bar, button(t("cancel"), actions.cancel));
    } else if (kind === "failed") {
      const title = make("h2", {}, t("failed"));
      const code = make("code", {}, item.error.code);
      const said = make("p", { class: "said" }, code, ` ${item.error.message}`);
      const again = button(t("retry"), actions.retry);
      root.replaceChildren(icon("warning"), title, name, what, said, again);
    } else {
      root.replaceChildren(name, what, button(t("retry"), actions.retry));
    }
    if (focused) root.querySelector("button").focus();
  }

  // Of a file that is read

  _showPage() {
    const { item, page } = this;
    this.picture.show(page, item.name);
    this.text.show(page);
    this._showTurner();
    byId("copy-page").hidden = item.pages.length === 1;
    this._mark(item.line);
  }

  _showTurner() {
    const { pages, page: place } = this.item;
    const numbers = pages.map((page) => page.number);
    const last = Math.max(...numbers);
    byId("turner").hidden = pages.length === 1;
    byId("page-number").value = numbers[place];
    byId("page-number").max = last;
    byId("page-last").textContent = t("pageOf", last);
    byId("page-among").hidden = last === pages.length;
    byId("page-among").textContent = t("pageAmong", place + 1, pages.length);
    byId("page-previous").disabled = place === 0;
    byId("page-next").disabled = place === pages.length - 1;
  }

  _turnTo(place) {
    if (!this.item.pages[place] || place === this.item.page) return false;
    this.item.page = place;
    this.item.line = -1;
    this._showPage();
    byId("picture").scrollTo(0, 0);
    return true;
  }

  /** Turn to the page that was typed, or to the nearest that there is. */
  _turnToNumber(field) {
    const numbers = this.item.pages.map((page) => page.number);
    const wanted = Number.parseInt(field.value, 10) || numbers[this.item.page];
    const far = (number) => Math.abs(number - wanted);
    const nearest = numbers.reduce((best, number) => (far(number) < far(best) ? number : best));
    this._turnTo(numbers.indexOf(nearest));
    field.value = nearest;
  }

  // Lines

  _hover(line) {
    this.picture.hover(line);
    this.text.hover(line);
  }

  _mark(line) {
    this.item.line = line;
    this.picture.select(line);
    this.text.select(line);
  }

  /** Select a line; the same one once more lets go. */
  _select(line, { from }) {
    this._mark(line === this.item.line ? -1 : line);
    if (this.item.line < 0) return;
    this.picture.reveal(line);
    this.text.reveal(line);
    if (from === "picture") this.text.focus(line);
  }

  _step(by) {
    const { line } = this.item;
    const last = this.page.lines.length - 1;
    const next = line < 0 ? (by > 0 ? 0 : last) : Math.min(Math.max(line + by, 0), last);
    if (next < 0) return;
    this._mark(next);
    this.picture.reveal(next);
    this.text.reveal(next);
    this.text.focus(next);
  }

  // Keys

  _press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.item?.state !== "done") return;
    if (event.target.closest("input, select, textarea, .menu")) return;
    if (this._act(event.key, event.target)) event.preventDefault();
  }

  /** Gives whether the key meant something here. */
  _act(key, target) {
    const at = this.item.page;
    const turnable = this.item.pages.length > 1;
    if (key === "ArrowDown") return this._step(1), true;
    if (key === "ArrowUp") return this._step(-1), true;
    if (key === "ArrowRight" || key === "PageDown") return this._turnTo(at + 1) || turnable;
    if (key === "ArrowLeft" || key === "PageUp") return this._turnTo(at - 1) || turnable;
    if (key === "Escape") return this._mark(-1), true;
    if (key === "+" || key === "=") return this.picture.larger(), true;
    if (key === "-") return this.picture.smaller(), true;
    if ((key === "Enter" || key === " ") && target.matches("#lines .words")) {
      return this._select(Number(target.parentElement.dataset.line), { from: "text" }), true;
    }
    return false;
  }

  /** Ctrl + C takes the selected line, where no text is marked with the mouse. */
  _copyLine(event) {
    const line = this.page?.lines[this.item.line];
    if (!line || !getSelection().isCollapsed || event.target.closest?.("input, textarea")) return;
    event.clipboardData.setData("text/plain", line.text);
    event.preventDefault();
  }
}
