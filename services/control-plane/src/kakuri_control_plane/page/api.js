/** Requests to the API, and the lines of its streams. */

/** Milliseconds without a byte after which a stream of events is broken; heartbeats come each 5 s. */
export const SILENCE = 15_000;

const MAX_LINE = 4 << 20; // characters of a line, far above what the API sends
const SLICE = 12; // milliseconds of work before the browser may draw

/** What the API answered instead of what was asked for; the message is made for people. */
export class Problem extends Error {
  /**
   * @param {number} status The status of the response.
   * @param {Object} document The problem document, or what there was of it.
   */
  constructor(status, document) {
    super(document.detail || document.title || `the server answered ${status}`);
    this.status = status;
    this.code = document.code ?? "";
    this.trace = document.trace ?? "";
  }
}

/**
 * Request something, and return the response.
 * @throws {Problem} The API refused.
 * @throws {TypeError} The API can't be reached.
 */
export async function request(path, options = {}) {
  const response = await fetch(path, { cache: "no-store", redirect: "error", ...options });
  if (response.ok) return response;
  let document = {};
  try {
    document = await response.json();
  } catch {
    // A proxy's own error page; the status says enough.
  }
  throw new Problem(response.status, document);
}

/** Return the JSON of a GET. */
export async function getJSON(path, signal) {
  const response = await request(path, { signal, headers: { Accept: "application/json" } });
  return response.json();
}

/** Send a request that changes something; no form and no other site can send this field. */
export function change(method, path, content) {
  const headers = { "Kakuri-Request": "1" };
  if (content !== undefined) headers["Content-Type"] = "application/json";
  return request(path, { method, headers, body: content && JSON.stringify(content) });
}

/** Return the path of a workload. */
export const workloadPath = (id) => `/workloads/${encodeURIComponent(id)}`;

/** Return why a request failed, in words for people. */
export const reasonOf = (error) =>
  error instanceof Problem ? error.message : "the control plane does not answer";

/**
 * Read lines of JSON, piece by piece, and leave the browser time to draw between them.
 * @param {Response} response The response.
 * @param {function(Object[]): void} onLines Is called with the lines of each piece.
 * @param {number} [silence] Milliseconds without a piece after which the stream is broken.
 * @throws {Error} The stream was cut off.
 */
export async function readLines(response, onLines, silence = 0) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let started = performance.now();
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), silence);
      if (done) return;
      const parts = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = parts.pop();
      if (rest.length > MAX_LINE) throw new Error("a line of the stream is too long");
      if (parts.length) onLines(parts.map((part) => JSON.parse(part)));
      if (performance.now() - started > SLICE) {
        await new Promise((resolve) => setTimeout(resolve));
        started = performance.now();
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function within(promise, milliseconds) {
  if (!milliseconds) return promise;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the stream is silent")), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Delays between attempts: they double up to a limit, and differ between tabs and browsers. */
export class Backoff {
  #next = 500;

  /** Return the milliseconds until the next attempt. */
  next() {
    const delay = this.#next * (0.5 + Math.random());
    this.#next = Math.min(this.#next * 2, 10_000);
    return delay;
  }

  /** Begin with short delays again. */
  reset() {
    this.#next = 500;
  }
}

/** Wait for some milliseconds, or until a signal is aborted. */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
