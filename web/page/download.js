// Saves what was read, in any format: the file is sent again and the answer is saved.

import { ApiError } from "./api.js";
import { announce, byId, icon, label, make } from "./dom.js";
import { LONG, showProgress, stateOf } from "./progress.js";
import { isDocument, readFile } from "./reading.js";
import { explained, t } from "./strings.js";

const FORMATS = [
  ["text", "downloadText", "txt"],
  ["markdown", "downloadMarkdown", "md"],
  ["pdf", "downloadPdf", "pdf"],
  ["json", "downloadJson", "json"],
  ["hocr", "downloadHocr", "hocr"],
  ["alto", "downloadAlto", "xml"],
  ["png", "downloadPng", "png"],
];

export class Download {
  /** `shown` gives the item on view. */
  constructor(shown) {
    this.shown = shown;
    this.menu = byId("download");
    this.note = byId("download-note");
    this.running = null;
    document.addEventListener("click", (event) => {
      if (!this.menu.contains(event.target)) this.menu.open = false;
    });
    this.menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.menu.open) return;
      event.stopPropagation();
      this._close();
    });
  }

  /** Write the menu in the page's language. */
  translate() {
    const entries = FORMATS.map(([format, name, suffix]) =>
      make(
        "button",
        { type: "button", "data-format": format, onclick: () => this._start(format, name, suffix) },
        make("span", {}, t(name)),
        make("span", { class: "suffix" }, `.${suffix}`),
      ),
    );
    byId("formats").replaceChildren(...entries);
  }

  /** Another file is on view: what was being made is not wanted any more. */
  forget() {
    this.running?.abort();
    this.note.hidden = true;
    this.menu.open = false;
  }

  _close() {
    this.menu.open = false;
    this.menu.querySelector("summary").focus();
  }

  async _start(format, name, suffix) {
    this.running?.abort();
    const running = (this.running = new AbortController());
    const item = this.shown();
    this._close();
    this._tell(t("making", t(name)), { stop: () => this.forget() });
    try {
      const { body, name: told } = await readFile(item.file, optionsFor(item, format), {
        signal: running.signal,
        onProgress: (progress) => this._progress(t(name), progress, running),
        blob: true,
        long: takesLong(item, format),
      });
      const file = told ?? `${item.name.replace(/\.[^.]*$/, "")}.${suffix}`;
      save(body, file);
      this._tell(t("saved", file), { progress: false, stop: () => this.forget() });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === "CANCELLED") return;
      this._fail(error, () => this._start(format, name, suffix));
    }
  }

  _progress(name, progress, running) {
    if (running.signal.aborted) return;
    const counted = progress.state !== "reading" || progress.count;
    const text = counted ? t("makingAt", name, stateOf(progress)) : t("making", name);
    this.note.querySelector("p").textContent = text;
    showProgress(this.note.querySelector("progress"), { ...progress, working: true });
  }

  _tell(text, { progress = true, stop }) {
    const close = closeButton(t(progress ? "cancel" : "dismiss"), stop);
    const bar = progress ? [make("progress", { max: "1", "aria-label": t("download") })] : [];
    this._note(make("p", {}, text), ...bar, close);
    announce(text);
  }

  _fail(error, retry) {
    const attributes = { class: "button small", type: "button", onclick: retry };
    const again = make("button", attributes, t("retry"));
    const close = closeButton(t("dismiss"), () => this.forget());
    const code = make("code", {}, error.code);
    const told = make("p", { class: "wrong" }, explained(error), " ", code, ` ${error.message}`);
    this._note(told, again, close);
    announce(explained(error));
  }

  _note(...children) {
    this.note.replaceChildren(...children);
    this.note.hidden = false;
  }
}

function closeButton(name, act) {
  const attributes = { class: "icon-button", type: "button", onclick: act };
  const button = make("button", attributes, icon("close"));
  label(button, name);
  return button;
}

/** Whether it is better done as a job: a picture is of one page only. */
function takesLong(item, format) {
  return format !== "png" && isDocument(item.file) && item.pages.length > LONG;
}

function optionsFor(item, format) {
  const options = { ...item.options, format };
  if (format === "json") options.words = "true";
  if (format === "png") options.pages = String(item.pages[item.page].number);
  return options;
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser may still be reading it
}
