// The list of files, each with its progress and what can be done with it.

import { byId, icon, label, make } from "./dom.js";
import { showProgress, stateOf } from "./progress.js";
import { t } from "./strings.js";

export class List {
  /** `actions` are called with an item: open, cancel, retry, remove. */
  constructor(actions) {
    this.actions = actions;
    this.root = byId("files");
    this.rows = new Map();
  }

  /** Show these items, of which one is on view. */
  show(items, shown) {
    for (const [item, row] of this.rows) {
      if (items.includes(item)) continue;
      row.root.remove();
      this.rows.delete(item);
    }
    for (const item of items) {
      if (!this.rows.has(item)) this._add(item);
      this.update(item);
      const { open, root } = this.rows.get(item);
      open.setAttribute("aria-current", String(item === shown));
      root.classList.toggle("shown", item === shown);
    }
  }

  /** Bring the file on view into view in the list. */
  reveal(item) {
    this.rows.get(item)?.root.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  update(item) {
    const row = this.rows.get(item);
    if (!row) return;
    row.root.dataset.state = item.state;
    row.detail.textContent = stateOf(item);
    showProgress(row.bar, item);
    row.bar.setAttribute("aria-label", t("progressOf", item.name));
    row.retry.hidden = !["failed", "cancelled"].includes(item.state);
    label(row.retry, t("retryFile", item.name));
    label(row.close, t(item.working ? "cancelFile" : "remove", item.name));
  }

  _add(item) {
    const { actions } = this;
    const detail = make("span", { class: "detail" });
    const name = make("span", { class: "name", title: item.name }, item.name);
    const button = (kind, act, ...children) =>
      make("button", { type: "button", class: kind, onclick: act }, ...children);
    const open = button("open", () => actions.open(item), name, detail);
    const retry = button("icon-button", () => actions.retry(item), icon("retry"));
    const stop = () => (item.working ? actions.cancel : actions.remove)(item);
    const close = button("icon-button", stop, icon("close"));
    const bar = make("progress", { max: "1" });
    const root = make("li", { class: "file" }, open, retry, close, bar);
    this.rows.set(item, { root, open, detail, bar, retry, close });
    this.root.append(root);
  }
}
