// Where files come from: dropped, pasted, chosen, photographed.

import { byId } from "./dom.js";
import { t } from "./strings.js";

let pasted = 0;

/** Hand every file that a person gives to `onFiles`, a list at a time. */
export function takeFiles(onFiles) {
  const given = (files) => files.length && onFiles(files);
  takeChosen("choose", "chosen", given);
  takeChosen("photograph", "photographed", given);
  takePasted(given);
  takeDropped(given);
}

function takeChosen(buttonId, inputId, given) {
  const input = byId(inputId);
  byId(buttonId).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    given([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  });
}

function takePasted(given) {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    given(files.map(named));
  });
}

/** A picture from the clipboard is always called image.png; count them instead. */
function named(file) {
  if (file.name !== "image.png") return file;
  pasted += 1;
  return new File([file], `${t("pastedName")}-${pasted}.png`, { type: file.type });
}

function takeDropped(given) {
  let depth = 0; // dragenter and dragleave come for every element that is crossed
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const over = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dragging", depth > 0);
  };
  addEventListener("dragenter", (event) => hasFiles(event) && over(1));
  addEventListener("dragleave", (event) => hasFiles(event) && over(-1));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    over(-depth);
    given(await filesIn(event.dataTransfer));
  });
}

/** All files that were dropped, those inside of folders as well. */
async function filesIn(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) break; // it gives a hundred at a time
    entries.push(...some);
  }
  entries.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  return (await Promise.all(entries.map(filesOf))).flat();
}
