/** What the page knows: workloads, recent events and the node, as the stream of events has them. */

import { inNextFrame } from "./parts.js";

/** Events that are kept for the list and for tabs that join. */
export const MAX_EVENTS = 500;

const BY_SEVERITY = ["failed", "backoff", "pending", "running", "stopped", "succeeded"];
const UNDER_WAY = { stopped: "stopping", restarted: "restarting", removed: "removing" };
const WORDS = { backoff: "back-off" };

/** A workload as a row of the table. */
export class Row {
  constructor(id) {
    this.id = id;
    this.index = 0; // of the latest event about it
    this.image = "";
    this.labels = null; // null until its specification was read
  }

  /** Take over an event of the types `state`, `workload` and `desired`. */
  update(event) {
    if (event.type !== "desired" || !this.at) this.at = Date.parse(event.at);
    this.index = event.index;
    this.state = event.state ?? "pending";
    this.reason = event.reason ?? "";
    this.message = event.message ?? "";
    this.exitCode = event.exit_code;
    this.restarts = event.attempt ?? 0;
    this.desired = event.desired;
  }

  /** The state as operators tell them apart: a workload that was stopped has not failed. */
  get kind() {
    if (this.reason === "Stopped" && this.state !== "pending") return "stopped";
    return this.reason === "BackOff" && this.state === "pending" ? "backoff" : this.state;
  }

  /** The state in a word. */
  get word() {
    return UNDER_WAY[this.desired] ?? WORDS[this.kind] ?? this.kind;
  }

  /** The place of the state when the worst comes first. */
  get severity() {
    return BY_SEVERITY.indexOf(this.kind);
  }

  /** Why it is in this state, in a line. */
  get why() {
    const parts = this.reason && this.reason !== "Stopped" ? [this.reason] : [];
    if (this.exitCode !== undefined) parts.push(`exit ${this.exitCode}`);
    if (this.message) parts.push(this.message);
    return parts.join(" · ");
  }
}

/** The workloads, events and the node, with listeners that are called once a frame. */
export class Store {
  rows = new Map();
  events = [];
  index = 0;
  isComplete = false; // whether every workload was reported once
  node = null;
  nodeFault = ""; // why the node can't be described
  #changed = new Set();
  #listeners = new Set();
  #seen = null; // ids of a list of states that is being received
  #arrivals = [];

  /** Call a function with the ids that changed, at most once a frame. */
  subscribe(listener) {
    this.#listeners.add(listener);
  }

  /** Ask for a call of the listeners. */
  touch(id) {
    if (id) this.#changed.add(id);
    inNextFrame(this.#publish);
  }

  #publish = () => {
    const changed = this.#changed;
    const arrivals = this.#arrivals;
    this.#changed = new Set();
    this.#arrivals = [];
    for (const listener of this.#listeners) listener(changed, arrivals);
  };

  /** Begin a list of all states: workloads that it lacks are gone. */
  beginStates() {
    this.#seen = new Set();
  }

  /** Apply lines of the stream; events that are known are left out. */
  apply(lines) {
    for (const line of lines) this.#apply(line);
  }

  #apply(line) {
    switch (line.type) {
      case "state":
        this.#seen?.add(line.id);
        if (line.index >= (this.rows.get(line.id)?.index ?? 0)) this.#row(line.id).update(line);
        this.touch(line.id);
        return;
      case "synced":
        this.#endStates(line.index);
        return;
      case "gap":
        this.#list({ type: "gap", at: new Date().toISOString() });
        return;
      case "heartbeat":
        this.index = Math.max(this.index, line.index);
        return;
    }
    if (!(line.index > this.index)) return;
    this.index = line.index;
    this.#list(line);
    if (line.type === "removed") this.rows.delete(line.id);
    else if (line.id) this.#row(line.id).update(line);
    this.touch(line.id);
  }

  #list(event) {
    this.events.push(event);
    if (this.events.length > MAX_EVENTS * 1.2) this.events.splice(0, this.events.length - MAX_EVENTS);
    this.#arrivals.push(event);
    this.touch();
  }

  #row(id) {
    let row = this.rows.get(id);
    if (!row) this.rows.set(id, (row = new Row(id)));
    return row;
  }

  #endStates(index) {
    for (const id of this.#seen ? this.rows.keys() : []) {
      if (!this.#seen.has(id)) {
        this.rows.delete(id);
        this.touch(id);
      }
    }
    this.#seen = null;
    this.index = Math.max(this.index, index);
    this.isComplete = true;
    this.touch();
  }

  /** Add what the list of workloads shows and events do not: image and labels. */
  describe(workload) {
    const row = this.rows.get(workload.id);
    if (!row || !workload.spec) return;
    row.image = workload.spec.image;
    row.labels = workload.spec.labels ?? {};
    this.touch(row.id);
  }

  /** Return the ids of workloads whose image is not known. */
  undescribed() {
    return [...this.rows.values()].filter((row) => row.labels === null).map((row) => row.id);
  }

  /** Return lines from which another tab becomes equal to this one. */
  lines(after) {
    const events = this.events.filter((event) => event.index > after);
    if (this.events[0]?.index <= after) return events;
    const states = [...this.rows.values()].map((row) => ({
      type: "state", id: row.id, index: row.index, at: new Date(row.at).toISOString(),
      state: row.state, reason: row.reason, message: row.message, exit_code: row.exitCode,
      attempt: row.restarts, desired: row.desired,
    }));
    return [...events, ...states, { type: "synced", index: this.index }];
  }
}

const TOKEN = /(-?)(?:(state|reason|label|image|id):)?(?:"([^"]*)"|(\S+))/g;

/**
 * Return a function that decides whether a row is shown.
 * @param {string} text Conditions that all must hold, such as `state:failed label:team=a nginx`;
 *     a minus before one negates it.
 */
export function filterOf(text) {
  const conditions = [...text.toLowerCase().matchAll(TOKEN)].map(
    ([, minus, key, quoted, plain]) => ({ negated: minus === "-", key, value: quoted ?? plain }),
  );
  return (row) => conditions.every((each) => matches(row, each) !== each.negated);
}

function matches(row, { key, value }) {
  const has = (text) => text.toLowerCase().includes(value);
  switch (key) {
    case "state":
      return row.word === value || row.kind === value;
    case "reason":
      return row.reason.toLowerCase() === value;
    case "image":
      return has(row.image);
    case "id":
      return has(row.id);
    case "label": {
      const [name, wanted] = value.split(/=(.*)/s);
      return Object.entries(row.labels ?? {}).some(
        ([each, its]) => each.toLowerCase() === name && (wanted ?? its.toLowerCase()) === its.toLowerCase(),
      );
    }
  }
  return has(row.id) || has(row.image) || has(row.why) || has(row.word) ||
    Object.entries(row.labels ?? {}).some(([name, its]) => has(`${name}=${its}`));
}
