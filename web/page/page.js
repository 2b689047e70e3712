// Puts the page together.

import { capabilities } from "./api.js";
import { announce, byId, label, store, stored } from "./dom.js";
import { takeFiles } from "./intake.js";
import { takeKey } from "./key.js";
import { List } from "./list.js";
import { checkOptions, chosen } from "./options.js";
import { quartersRead } from "./progress.js";
import { Queue } from "./queue.js";
import { sample } from "./sample.js";
import { explained, onLanguage, switchLanguage, t, translate } from "./strings.js";
import { Viewer } from "./viewer.js";

const THEMES = ["system", "light", "dark"];

const actions = {
  open: (item) => show(item),
  cancel: (item) => queue.cancel(item),
  retry: (item) => queue.retry(item, chosen()),
  remove,
};
const queue = new Queue(changed);
const list = new List(actions);
const viewer = new Viewer(actions);
let shown = null; // the item on view

function add(files) {
  const [first] = queue.add(files, chosen());
  show(first);
}

function remove(item) {
  queue.remove(item);
  byId("choose").focus();
}

function show(item) {
  shown = item;
  render();
  if (item !== null) list.reveal(item);
}

/** An item has changed, or with null the list. */
function changed(item) {
  if (item === null) {
    if (!queue.items.includes(shown)) shown = queue.items.at(-1) ?? null;
    render();
    return;
  }
  list.update(item);
  if (item === shown) viewer.update();
  tell(item);
}

function tell(item) {
  if (item.state === "done") {
    const lines = item.pages.reduce((sum, page) => sum + page.lines.length, 0);
    announce(t("announceRead", item.name, lines));
  } else if (item.state === "failed") {
    announce(t("announceFailed", item.name, explained(item.error)));
  } else if (item === shown && quartersRead(item) > item.toldQuarters) {
    item.toldQuarters = quartersRead(item);
    announce(t("announcePages", item.name, item.read, item.count));
  }
}

function render() {
  const empty = queue.items.length === 0;
  document.body.dataset.state = empty ? "empty" : "working";
  byId("choose-text").textContent = t(empty ? "choose" : "add");
  byId("list").hidden = empty;
  byId("again").hidden = empty;
  byId("clear").hidden = queue.items.length < 2;
  list.show(queue.items, shown);
  viewer.show(shown);
}

// Theme and language

function themeChosen() {
  return THEMES.includes(stored("theme")) ? stored("theme") : THEMES[0];
}

function showTheme() {
  const button = byId("theme");
  button.dataset.theme = themeChosen();
  label(button, t("theme")[themeChosen()]);
}

function switchTheme() {
  store("theme", THEMES[(THEMES.indexOf(themeChosen()) + 1) % THEMES.length]);
  document.dispatchEvent(new Event("themechange"));
  showTheme();
  announce(t("theme")[themeChosen()]);
}

// What the server takes

let server = null;

function showServer() {
  const formats = server?.formats?.input;
  const bytes = server?.limits?.max_image_bytes;
  byId("formats-taken").hidden = !formats || !bytes;
  if (formats && bytes) {
    const size = `${Math.floor(bytes / 1_000_000)} MB`;
    byId("formats-taken").textContent = t("formatsTaken", formats.join(", "), size);
  }
}

async function askServer() {
  server = await capabilities();
  queue.maxBytes = server?.limits?.max_image_bytes ?? Infinity;
  showServer();
}

/** With a key, what was refused without one is read. */
function keyTyped() {
  const refused = queue.items.filter((item) => item.error?.code === "UNAUTHORIZED");
  for (const item of refused) queue.retry(item, item.options);
  return askServer();
}

takeFiles(add);
takeKey(keyTyped);
byId("sample").addEventListener("click", async () => add([await sample()]));
byId("clear").addEventListener("click", () => [...queue.items].forEach(remove));
byId("again").addEventListener("click", () => queue.retry(shown, chosen()));
byId("options-form").addEventListener("input", checkOptions);
byId("options-form").addEventListener("submit", (event) => event.preventDefault());
byId("language").addEventListener("click", switchLanguage);
byId("theme").addEventListener("click", switchTheme);

onLanguage(() => {
  translate();
  checkOptions();
  showTheme();
  showServer();
  viewer.translate();
  render();
});

await askServer();
