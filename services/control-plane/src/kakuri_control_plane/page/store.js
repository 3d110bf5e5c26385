// What the page knows.

import { inNextFrame } from "./parts.js";

export const MAX_EVENTS = 200;
const PERIOD = 100; // milliseconds
// States for operators, the worst first.
export const KINDS = ["failed", "back-off", "pending", "running", "stopped", "succeeded"];
const PROGRESS = { stopped: "stopping", restarted: "restarting", removed: "removing" };

// `isComplete`: all workloads are known; events up to `start` are from before that.
export const store = { rows: new Map(), events: [], index: 0, isComplete: false, node: null };

// Return the state for operators: what was stopped has not failed.
export function kindOf({ state, reason }) {
	if (state === "pending") return reason === "BackOff" ? "back-off" : state;
	return reason === "Stopped" ? "stopped" : state;
}

export const whyOf = ({ reason, exit_code: code, message }) =>
	[reason !== "Stopped" && reason, code !== undefined && `exit ${code}`, message]
		.filter(Boolean).join(" · ");

function rowAfter(event, before) {
	const { id, index, desired } = event;
	const { at } = (event.type === "desired" && before) || event; // a request changes no state
	const kind = kindOf(event);
	return {
		image: "", labels: null, firstIndex: index, ...before,
		id, index, desired, event, at, kind, since: Date.parse(at), why: whyOf(event),
		severity: KINDS.indexOf(kind), restarts: event.attempt ?? 0,
		word: PROGRESS[desired] ?? kind,
	};
}

const listeners = [];
let changed = new Set();
let arrivals = [];
let timer = 0;
let listed = null; // the states and events before `synced`

// Call a function with changed ids and new events.
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

// Expect a list of all states, or events after the last one.
export function begin(isList) {
	const events = store.events.filter(({ type }) => type === "gap").slice(-1);
	listed = isList && { rows: new Map(), events };
}

// Apply lines that are new; return whether other tabs can apply them too.
export function apply(lines) {
	for (const line of lines) {
		const { type, id, index } = line;
		if (type === "gap") {
			keep({ type, at: new Date().toISOString() });
			store.index = 0; // so the next request lists all states
		} else if (type === "synced") {
			replace({ ...listed, index, storeId: line.store_id });
		} else if (type === "state") {
			listed.rows.set(id, rowAfter(line));
		} else if (listed) {
			listed.events.push(line);
		} else if (index > store.index) {
			store.index = index;
			if (type === "heartbeat") continue;
			keep(line);
			const row = store.rows.get(id);
			if (!id || index <= row?.index) continue; // the state has it
			if (type === "removed") store.rows.delete(id);
			else store.rows.set(id, rowAfter(line, row));
		}
	}
	return store.index > 0 && !listed;
}

// Replace everything by a complete list, or by what another tab knows.
export function replace({ rows, events, index, storeId }) {
	const ids = [...store.rows.keys(), ...rows.keys(), undefined];
	const last = store.events.at(-1) ?? {};
	const same = events.findLastIndex((each) => each.index === last.index && each.at === last.at);
	arrivals = same < 0 ? events : [...arrivals, ...events.slice(same + 1)];
	const start = Math.min(store.index || index, index);
	events = events.slice(-MAX_EVENTS);
	Object.assign(store, { rows, events, index, storeId, start, isComplete: true });
	listed = null;
	ids.forEach(touch);
}

function keep(event) {
	store.events.push(event);
	if (store.events.length > MAX_EVENTS) store.events.shift();
	arrivals.push(event);
	touch(event.id);
}

// Add what events lack: image and labels.
export function describe({ id, version, spec: { image, labels = {} } }) {
	const row = store.rows.get(id);
	if (!row || row.labels || version < row.firstIndex) return; // known, or of a removed workload
	Object.assign(row, { image, labels });
	touch(id);
}

const TOKEN = /(-?)(?:(state|reason|label|image|id):)?(?:"([^"]*)"|(\S+))/g;

// Return a function that checks conditions: `state:failed -label:team=a`.
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
		case "state": return [word, kind, kind.replace("-", "")].includes(value);
		case "reason": return event.reason?.toLowerCase() === value;
		case "image": return has(image);
		case "id": return has(id);
		case "label": return pairs.some((each) => each === value || each.startsWith(`${value}=`));
		default: return has(id, image, word, why, ...pairs);
	}
}
