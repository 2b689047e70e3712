// Calls to the service. Addresses are relative, so the page may lie under any prefix.

import { askForKey, authorization } from "./key.js";

const PATIENCE = 5; // times that a busy server is asked again

/** What went wrong: the API's code and message, or NETWORK, HTTP or CANCELLED from here. */
export class ApiError extends Error {
  constructor(code, message, retryAfter = null) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter; // seconds, where the server is busy
  }
}

/** What this server runs and takes; null where it does not say. */
export async function capabilities(signal = null) {
  const headers = authorization();
  try {
    const answer = await fetch("capabilities", { signal, headers });
    if (answer.status === 401) askForKey(headers);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // a server that is down is told of when a file is sent
  }
}

/**
 * POST one file to `path` with these options, and again while the server is busy. Gives what
 * `call` gives, which is told the other `ways`; `onBusy` the seconds until the next try, and the
 * code of what the server said.
 */
export async function send(path, file, options, { onBusy, ...ways }) {
  const address = `${path}?${new URLSearchParams(options)}`;
  for (let tries = 0; ; tries++) {
    const body = new FormData();
    body.append("file", file, file.name);
    try {
      return await call("POST", address, { ...ways, body });
    } catch (error) {
      if (error.retryAfter === null || tries === PATIENCE) throw error;
      await wait(error, ways.signal, onBusy);
    }
  }
}

/**
 * Ask the service once. Gives {body, name}: the parsed answer or, with `blob`, a Blob; `name` is
 * what the server calls it. Throws ApiError.
 *
 * `onSent` and `onFetched` are told the share that is sent or has come, 0 to 1. With `settled`, a
 * request that is all sent is not cancelled any more, so that one knows what came of it.
 */
export function call(method, path, { body, signal, blob = false, settled, onSent, onFetched }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of what is sent so far
    const headers = authorization();
    let sent = false;
    const stop = () => (settled && sent) || request.abort();
    request.open(method, path);
    request.responseType = blob ? "blob" : "json";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onSent?.(event.loaded / (event.total || 1));
    request.upload.onload = () => {
      sent = true;
      onSent?.(1);
    };
    request.onprogress = ({ lengthComputable, loaded, total }) =>
      lengthComputable && onFetched?.(loaded / total);
    request.onerror = () => reject(new ApiError("NETWORK", ""));
    request.onabort = () => reject(new ApiError("CANCELLED", ""));
    request.onload = () => {
      if (request.status === 401) askForKey(headers);
      settle(request, resolve, reject);
    };
    request.onloadend = () => signal.removeEventListener("abort", stop);
    if (signal.aborted) return reject(new ApiError("CANCELLED", ""));
    signal.addEventListener("abort", stop);
    request.send(body ?? null);
  });
}

async function settle(request, resolve, reject) {
  const { status, response } = request;
  if (status >= 200 && status < 300 && response !== null) {
    resolve({ body: response, name: fileName(request.getResponseHeader("Content-Disposition")) });
    return;
  }
  const told = response instanceof Blob ? parsed(await response.text()) : response;
  const { code = "HTTP", message = `${status} ${request.statusText}` } = told?.error ?? {};
  reject(new ApiError(code, message, patience(request)));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's own page
  }
}

/** Seconds after which a busy server wants to be asked again; null if it is not busy. */
function patience(request) {
  if (![429, 503].includes(request.status)) return null;
  const seconds = Number.parseFloat(request.getResponseHeader("Retry-After") ?? "");
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), 60) : null;
}

/** Let some milliseconds go by. Throws ApiError as soon as it is cancelled. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new ApiError("CANCELLED", ""));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

/** Count down by seconds. Throws ApiError when it is cancelled. */
async function wait({ code, retryAfter }, signal, onBusy) {
  for (let left = Math.ceil(retryAfter); left > 0; left--) {
    onBusy?.(left, code);
    await pause(1000, signal);
  }
}

function fileName(disposition) {
  const coded = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "");
  if (coded) return decodeURIComponent(coded[1]);
  return /filename="?([^";]+)"?/i.exec(disposition ?? "")?.[1] ?? null;
}
