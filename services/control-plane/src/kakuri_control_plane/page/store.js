/** What the page knows. */

import { inNextFrame } from "./parts.js";

export const MAX_EVENTS = 200;
const PERIOD = 100; // milliseconds
/** States for operators, the worst first. */
export const KINDS = ["failed", "backoff", "pending", "running", "stopped", "succeeded"];
const PROGRESS = { stopped: "stopping", restarted: "restarting", removed: "removing" };

/** `isComplete`: each workload was reported once; events up to `start` are from before that. */
export const store = { rows: new Map(), events: [], index: 0, isComplete: false, node: null };

/** Return the state for operators: what was stopped has not failed. */
export function kindOf({ state, reason }) {
	if (state === "pending") return reason === "BackOff" ? "backoff" : state;
	return reason === "Stopped" ? "stopped" : state;
}

export const wordOf = (kind) => (kind === "backoff" ? "back-off" : kind);

/** Return reason, exit code and message in a line. */
export const whyOf = ({ reason, exit_code: code, message }) =>
	[reason !== "Stopped" && reason, code !== undefined && `exit ${code}`, message]
		.filter(Boolean).join(" · ");

function rowAfter(event, before) {
	const { id, index, desired } = event;
	const isOld = before && event.type === "desired"; // the state did not change
	const at = isOld ? before.at : event.at;
	const kind = kindOf(event);
	return {
		image: "", labels: null, ...before, // of the specification
		id, index, desired, event, at, kind, since: Date.parse(at), why: whyOf(event),
		severity: KINDS.indexOf(kind), restarts: event.attempt ?? 0,
		word: PROGRESS[desired] ?? wordOf(kind),
	};
}

const listeners = [];
let changed = new Set();
let arrivals = [];
let timer = 0;
let listed = null; // ids of a list of states that is being received

/** Call a function with changed ids and new events. */
export const subscribe = (listener) => listeners.push(listener);

function touch(id) {
	changed.add(id);
	timer ||= setTimeout(inNextFrame, PERIOD, publish);
}

function publish() {
	const news = [changed, arrivals];
	timer = 0;
	[changed, arrivals] = [new Set(), []];
	for (const listener of listeners) listener(...news);
}

/** Begin a list of all states. */
export function beginStates() {
	listed = new Set();
}

/** Apply lines of the stream; known events are left out. */
export function apply(lines) {
	for (const line of lines) {
		const { type, id, index } = line;
		if (type === "state") {
			listed?.add(id);
			put(line);
		} else if (type === "gap") {
			keep({ type, at: new Date().toISOString() });
		} else if (type === "synced") {
			for (const each of store.rows.keys()) if (listed?.has(each) === false) drop(each);
			listed = null;
			store.isComplete = true;
			store.start ??= index;
			touch();
		} else if (type !== "heartbeat" && index > store.index) {
			keep(line);
			if (!store.isComplete) continue; // states follow
			if (type === "removed") drop(id);
			else if (id) put(line);
		}
		if (type !== "state" && index > store.index) store.index = index;
	}
}

function put(event) {
	const before = store.rows.get(event.id);
	if (event.index < before?.index) return; // the state is later
	store.rows.set(event.id, rowAfter(event, before));
	touch(event.id);
}

function drop(id) {
	store.rows.delete(id);
	touch(id);
}

function keep(event) {
	store.events.push(event);
	if (store.events.length > MAX_EVENTS) store.events.shift();
	arrivals.push(event);
	touch(event.id);
}

/** Add what events do not have: image and labels. */
export function describe({ id, spec: { image, labels = {} } }) {
	const row = store.rows.get(id);
	if (!row) return;
	Object.assign(row, { image, labels });
	touch(id);
}

/** Return lines for another tab. */
export function allLines() {
	const states = [...store.rows.values()].map(({ event, at }) => ({ ...event, at, type: "state" }));
	return [...store.events, ...states, { type: "synced", index: store.index }];
}

const TOKEN = /(-?)(?:(state|reason|label|image|id):)?(?:"([^"]*)"|(\S+))/g;

/** Return a function that checks conditions: `state:failed -label:team=a`. */
export function filterOf(text) {
	const conditions = [...text.toLowerCase().matchAll(TOKEN)];
	return (row) =>
		conditions.every(([, minus, key, quoted, plain]) =>
			matches(row, key, quoted ?? plain) !== (minus === "-"));
}

function matches({ id, image, kind, word, why, event, labels }, key, value) {
	const pairs = Object.entries(labels ?? {}).map((pair) => pair.join("=").toLowerCase());
	const has = (...texts) => texts.some((each) => each.toLowerCase().includes(value));
	switch (key) {
		case "state": return word === value || kind === value;
		case "reason": return event.reason?.toLowerCase() === value;
		case "image": return has(image);
		case "id": return has(id);
		case "label": return pairs.some((each) => each === value || each.startsWith(`${value}=`));
		default: return has(id, image, word, why, ...pairs);
	}
}
