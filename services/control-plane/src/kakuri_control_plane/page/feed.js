/**
 * The stream of events, shared by all tabs of a browser.
 *
 * A browser opens six connections to a server, for all tabs together. So one visible tab leads:
 * it holds a lock (Web Locks), reads the stream and passes each line on (BroadcastChannel). The
 * others follow, and one of them leads when it is closed or hidden. Hidden tabs read nothing; when
 * shown again they continue after the last index, so that no event is lost and none comes twice.
 */

import { Backoff, Problem, SILENCE, pause, readLines, reasonOf, request } from "./api.js";

const NAME = "kakuri-events";
const COMPACTED = 410;

/** Keeps a store up to date while the tab is visible. */
export class Feed {
  /** Whether the stream is alive: `connecting`, `live` or `lost`. */
  health = "connecting";
  heard = 0; // when the last line or heartbeat came
  lostSince = 0;
  fault = "";
  retryAt = 0;
  #store;
  #onHealth;
  #channel = new BroadcastChannel(NAME);
  #me = `${Math.random()}`;
  #leaves = null; // aborted when the tab is hidden
  #isLeading = false;
  #hurry = null;

  /**
   * @param {Store} store What is kept up to date.
   * @param {function(): void} onHealth Is called when the health has changed.
   */
  constructor(store, onHealth) {
    this.#store = store;
    this.#onHealth = onHealth;
    this.#channel.addEventListener("message", ({ data }) => this.#receive(data));
    document.addEventListener("visibilitychange", () => this.#appear());
    addEventListener("pagehide", () => this.#leaves?.abort());
    addEventListener("pageshow", () => this.#appear());
    addEventListener("online", () => this.retry());
    setInterval(() => this.#watch(), 1000);
    this.#appear();
  }

  /** Try to connect at once. */
  retry() {
    this.#hurry?.abort();
  }

  #appear() {
    if (document.hidden) {
      this.#leaves?.abort();
      this.#leaves = null;
    } else if (!this.#leaves || this.#leaves.signal.aborted) {
      this.#leaves = new AbortController();
      this.#join(this.#leaves.signal);
    }
  }

  async #join(signal) {
    this.heard = Date.now();
    if (!navigator.locks) {
      await this.#lead(signal); // without TLS, except on localhost, each tab reads for itself
      return;
    }
    this.#channel.postMessage({ kind: "hello", from: this.#me, after: this.#store.index });
    try {
      await navigator.locks.request(NAME, { signal }, () => this.#lead(signal));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #lead(signal) {
    const backoff = new Backoff();
    this.#isLeading = true;
    while (!signal.aborted) {
      try {
        await this.#read(signal, backoff);
        this.fault = "the control plane ended the stream";
      } catch (error) {
        if (signal.aborted) break;
        this.fault = reasonOf(error);
        if (error instanceof Problem && error.status === COMPACTED) this.#take([{ type: "gap" }]);
      }
      const delay = backoff.next();
      this.#setHealth("lost", Date.now() + delay);
      this.#hurry = new AbortController();
      await pause(delay, AbortSignal.any([signal, this.#hurry.signal]));
    }
    this.#isLeading = false;
  }

  async #read(signal, backoff) {
    const { index } = this.#store;
    const broken = new AbortController();
    const response = await request(`/events${index ? `?after=${index}` : ""}`, {
      headers: { Accept: "application/x-ndjson" },
      signal: AbortSignal.any([signal, broken.signal]),
    });
    if (!index) this.#store.beginStates();
    backoff.reset();
    this.#setHealth("live");
    try {
      await readLines(response, (lines) => this.#take(lines), SILENCE);
    } finally {
      broken.abort();
    }
  }

  #take(lines) {
    const before = this.#store.index;
    this.#store.apply(lines);
    const types = new Set(lines.map(({ type }) => type));
    if (types.has("gap")) this.#store.index = 0; // the next request lists all states
    else this.#setHealth("live");
    if (types.has("synced")) this.#send({ kind: "states", lines: this.#store.lines(-1) });
    else if (!types.has("state")) this.#send({ kind: "lines", lines, before });
  }

  #send(message) {
    this.#channel.postMessage({ ...message, from: this.#me, health: this.#healthOf() });
  }

  #receive(message) {
    if (message.kind === "hello") {
      if (!this.#isLeading || !this.#store.isComplete) return;
      this.#send({ kind: "states", to: message.from, lines: this.#store.lines(message.after) });
      return;
    }
    if (this.#isLeading || document.hidden || (message.to && message.to !== this.#me)) return;
    Object.assign(this, message.health);
    if (message.kind === "states") {
      if (message.lines.at(-1)?.type === "synced") this.#store.beginStates();
      this.#store.apply(message.lines);
    } else if (message.kind === "lines" && message.before > this.#store.index) {
      this.#channel.postMessage({ kind: "hello", from: this.#me, after: this.#store.index });
    } else if (message.kind === "lines") {
      this.#store.apply(message.lines);
    }
    this.#onHealth();
  }

  #healthOf() {
    const { health, heard, lostSince, fault, retryAt } = this;
    return { health, heard, lostSince, fault, retryAt };
  }

  #setHealth(health, retryAt = 0) {
    const hasChanged = health !== this.health || health === "lost";
    if (health === "live") this.heard = Date.now();
    else if (this.health !== "lost") this.lostSince = this.heard;
    this.health = health;
    this.retryAt = retryAt;
    if (hasChanged) {
      this.#onHealth();
      this.#send({ kind: "health" });
    }
  }

  /** A tab that follows hears nothing of a leader that hangs. */
  #watch() {
    if (this.#isLeading || document.hidden || this.health === "lost") return;
    if (Date.now() - this.heard > SILENCE + 2000) {
      this.fault = "the tab that reads the events does not pass them on";
      this.#setHealth("lost");
    }
  }
}
