// Jobs: long documents are sent, asked for until they are read, fetched, and then forgotten.

import { ApiError, call, pause, send } from "./api.js";
import { authorization } from "./key.js";

const SOON = 300; // milliseconds until a job is asked for the first time
const SELDOM = 2000; // between two times of a job that takes long
const SLOWER = 1.3;
const PATIENCE = 30; // times that a server is asked again that does not answer: it may restart
const FINAL = ["CANCELLED", "JOB_UNKNOWN"];

/** POST a file as a job. Gives its address, or null where jobs are not to be had just now. */
export async function startJob(file, options, ways) {
  try {
    const { body } = await send("jobs", file, options, { ...ways, settled: true });
    return `jobs/${encodeURIComponent(body.id)}`;
  } catch (error) {
    if (error.code === "JOBS_UNAVAILABLE") return null;
    throw error;
  }
}

/**
 * Wait for a job and fetch its result, {body, name} as of `call`. Nothing of it stays with the
 * server, however it ends. Throws ApiError. `onProgress` is told {state, read, count} and then
 * {state, fetched}.
 */
export async function fetchJob(job, { signal, blob, onProgress }) {
  const onFetched = (fetched) => onProgress({ state: "fetching", fetched });
  try {
    await untilDone(job, signal, onProgress);
    return await insist(() => call("GET", `${job}/result`, { signal, blob, onFetched }), signal);
  } finally {
    forget(job);
  }
}

async function untilDone(job, signal, onProgress) {
  for (let delay = SOON; ; delay = Math.min(delay * SLOWER, SELDOM)) {
    await pause(delay, signal);
    const { body } = await insist(() => call("GET", job, { signal }), signal);
    const { state, pages_done: read, pages: count, error } = body;
    if (state === "done") return;
    if (state !== "queued" && state !== "running") {
      throw new ApiError(error?.code ?? "INTERNAL_ERROR", error?.message ?? state);
    }
    onProgress({ state: state === "queued" ? "queued" : "reading", read, count });
  }
}

/** Ask until there is an answer: a job outlives the server's restart and a network's gap. */
async function insist(ask, signal) {
  for (let tries = 0; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (FINAL.includes(error.code) || tries === PATIENCE) throw error;
      await pause(SELDOM, signal);
    }
  }
}

/** Delete a job; the server forgets by itself, after its time, one that cannot be deleted now. */
async function forget(job) {
  try {
    await fetch(job, { method: "DELETE", keepalive: true, headers: authorization() });
  } catch {
    console.info(`${job} could not be deleted`);
  }
}
