// The ways by which a file is read: in one call, or as a job where that may take long.

import { capabilities, send } from "./api.js";
import { fetchJob, startJob } from "./jobs.js";

const DOCUMENT = /\.(pdf|tiff?)$/i;
const DOCUMENTS = ["application/pdf", "image/tiff"];

/** Whether a file is of a kind that may have many pages. */
export function isDocument({ name, type }) {
  return DOCUMENTS.includes(type) || DOCUMENT.test(name);
}

/**
 * Read a file with these options; with `long` as a job, if this server keeps jobs. Gives
 * {body, name}: the parsed answer or, with `blob`, a Blob; `name` is what the server calls it.
 * Throws ApiError.
 *
 * `onProgress` is told what changes: `state`, which is sending, queued, reading, fetching or busy,
 * and beside it `sent`, `read` and `count`, `fetched`, or `busyFor` and `busyWith`.
 */
export async function readFile(file, options, { signal, onProgress, blob = false, long = false }) {
  const ways = {
    signal,
    onSent: (sent) => onProgress({ state: sent < 1 ? "sending" : "reading", sent }),
    onBusy: (busyFor, busyWith) => onProgress({ state: "busy", busyFor, busyWith }),
  };
  const jobs = long && (await capabilities(signal))?.jobs;
  const job = jobs ? await startJob(file, options, ways) : null;
  if (job === null) return send("ocr", file, options, { ...ways, blob });
  return fetchJob(job, { signal, blob, onProgress });
}
