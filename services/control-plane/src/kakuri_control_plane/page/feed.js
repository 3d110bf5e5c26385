// The stream of events. One visible tab leads: it holds a lock, reads the stream and passes it on,
// since all tabs share six connections.

import { dueAfter, readLines, reasonOf, request, waitUntil } from "./api.js";
import { MAX_EVENTS, apply, begin, replace, store } from "./store.js";

const SILENCE = 15_000; // milliseconds; there is a heartbeat each 5 s

// `health` is connecting, live or lost.
export const link = { health: "connecting", heard: 0, fault: "", retryAt: 0 };

const channel = new BroadcastChannel("kakuri");
const me = `${Math.random()}`;
let onHealth;
let activeVisits = 0; // visits in which this tab reads the stream; they can overlap
let asked = ""; // the leader that was asked for its state
let visit = new AbortController(); // aborted when the tab is hidden
let pause = new AbortController(); // aborted to try again at once

// Begin, and call a function when the health has changed.
export function start(listener) {
	onHealth = listener;
	channel.onmessage = ({ data }) => receive(data);
	document.addEventListener("visibilitychange", appear);
	ononline = retry;
	appear();
}

export function retry() {
	pause.abort();
	send({ kind: "retry" });
}

function appear() {
	visit.abort();
	if (document.hidden) return;
	visit = new AbortController();
	const { signal } = visit;
	link.heard = Date.now();
	send({ kind: "hello" });
	if (!navigator.locks) lead(signal); // only secure contexts have locks
	else navigator.locks.request("kakuri", { signal }, () => lead(signal)).catch(() => {});
}

async function lead(signal) {
	let attempts = 0;
	activeVisits += 1;
	while (!signal.aborted) {
		try {
			const { index, storeId } = store;
			const after = `after=${index}${storeId ? `&store_id=${storeId}` : ""}`;
			const response = await request(`/events?${index ? after : `tail=${MAX_EVENTS}`}`, { signal });
			begin(!index);
			attempts = 0;
			setHealth("live");
			await readLines(response, accept, SILENCE);
			link.fault = "the stream of events ended";
		} catch (error) {
			if (error.status === 410 && store.index) { // the next events are not kept
				accept([{ type: "gap" }]);
				continue;
			}
			link.fault = reasonOf(error);
		}
		if (signal.aborted) break;
		setHealth("lost", dueAfter(attempts++));
		pause = new AbortController();
		await waitUntil(link.retryAt, AbortSignal.any([signal, pause.signal]));
	}
	activeVisits -= 1;
}

function accept(lines) {
	const before = store.index;
	const has = (type) => lines.some((line) => line.type === type);
	const canBeShared = apply(lines);
	if (!has("gap")) setHealth("live");
	if (has("synced")) send({ known: store });
	else if (canBeShared) send({ lines, before });
}

const send = (message) => channel.postMessage({ ...message, from: me, link });

function receive({ kind, from, to, known, lines, before, link: its }) {
	if (kind === "retry") pause.abort();
	if (activeVisits || document.hidden) {
		if (kind === "hello" && activeVisits && store.index) send({ to: from, known: store });
		return;
	}
	if (kind || (to && to !== me)) return;
	Object.assign(link, its);
	if (known) {
		asked = "";
		replace(known);
	} else if (lines && (before > store.index || !store.isComplete)) {
		if (asked !== from) send({ kind: "hello" });
		asked = from;
	} else if (lines) apply(lines);
	onHealth();
}

function setHealth(health, retryAt = 0) {
	const isNews = health !== link.health || health === "lost";
	if (health === "live") link.heard = Date.now();
	Object.assign(link, { health, retryAt });
	if (!isNews) return;
	onHealth();
	send({});
}
