// The files: waiting, being read, read. A few are sent at a time, each in a request of its own.

import { ApiError } from "./api.js";
import { isDocument, readFile } from "./reading.js";

const AT_ONCE = 2; // of documents, and of pictures, which do not wait for long documents
export const WORKING = ["waiting", "sending", "queued", "reading", "fetching", "busy"];

/** One file. `state` is one of WORKING, or done, failed or cancelled. */
class Item {
  constructor(file, options) {
    this.file = file;
    this.document = isDocument(file);
    this.name = file.name;
    this.reset(options);
  }

  reset(options) {
    this.forgetPictures();
    this.options = options;
    this.state = "waiting";
    this.sent = 0; // the share that is sent
    this.read = 0; // pages
    this.count = null; // of pages to read, where the server says so
    this.toldQuarters = 0; // of them, to those who listen
    this.fetched = null; // the share of the answer that has come
    this.busyFor = 0; // seconds until a busy server is asked again
    this.busyWith = null; // the code of what it said
    this.error = null;
    this.pages = [];
    this.page = 0; // which of them is shown
    this.line = -1; // which of its lines is selected; -1 for none
    this.cancelling = new AbortController();
  }

  get working() {
    return WORKING.includes(this.state);
  }

  forgetPictures() {
    for (const page of this.pages ?? []) if (page.url) URL.revokeObjectURL(page.url);
  }
}

export class Queue {
  /** `onChange` is told the item that changed, or null when the list did. */
  constructor(onChange) {
    this.items = [];
    this.onChange = onChange;
    this.maxBytes = Infinity; // of one file, where the server says so
  }

  /** Add files, to be read with these options; gives their items. */
  add(files, options) {
    const items = files.map((file) => new Item(file, options));
    this.items.push(...items);
    this.onChange(null);
    this._next();
    return items;
  }

  cancel(item) {
    item.cancelling.abort();
    if (item.working) this._set(item, { state: "cancelled" });
    this._next();
  }

  /** Read it again, with these options. */
  retry(item, options) {
    item.cancelling.abort();
    item.reset(options);
    this.onChange(item);
    this._next();
  }

  remove(item) {
    item.cancelling.abort();
    item.forgetPictures();
    this.items = this.items.filter((other) => other !== item);
    this.onChange(null);
    this._next();
  }

  _next() {
    for (const document of [true, false]) {
      const items = this.items.filter((item) => item.document === document && item.working);
      const waiting = items.filter((item) => item.state === "waiting");
      const free = Math.max(0, AT_ONCE - (items.length - waiting.length));
      for (const item of waiting.slice(0, free)) this._read(item);
    }
  }

  async _read(item) {
    const { signal } = item.cancelling;
    const change = (changes) => {
      if (!signal.aborted) this._set(item, changes); // it may be read again by now
    };
    change({ state: "sending" });
    try {
      this._checkSize(item.file);
      const { body } = await readFile(
        item.file,
        { format: "json", words: "true", pictures: "true", ...item.options },
        { signal, onProgress: change, long: item.document },
      );
      if (!signal.aborted) change({ state: "done", pages: pagesOf(body) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      change({ state: "failed", error });
    } finally {
      this._next();
    }
  }

  /** A server that refuses a body before it has it all looks like one that is down. */
  _checkSize({ size }) {
    if (size <= this.maxBytes) return;
    throw new ApiError("IMAGE_TOO_LARGE", `${size} bytes, the limit is ${this.maxBytes}`);
  }

  _set(item, changes) {
    Object.assign(item, changes);
    this.onChange(item);
  }
}

/** The pages of the answer's only document, their pictures as addresses that an <img> takes. */
function pagesOf(answer) {
  return answer.documents[0].pages.map(({ picture, ...page }) => ({
    ...page,
    url: picture ? URL.createObjectURL(blobOf(picture)) : null,
  }));
}

/** A data URI's bytes: as a Blob a book's pictures take up less than as text. */
function blobOf(uri) {
  const [head, data] = uri.split(",", 2);
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: /^data:([^;]+)/.exec(head)?.[1] });
}
