/**
 * The stream of events, shared by all tabs, because they share six connections to a server.
 *
 * One visible tab leads: it holds a lock, reads the stream and passes lines on. When it is closed
 * or hidden, another one leads. Hidden tabs read nothing, and continue after their last index.
 */

import { Backoff, SILENCE, readLines, reasonOf, request, waitUntil } from "./api.js";
import { apply, beginStates, linesAfter, store } from "./store.js";

const NAME = "kakuri-events";

/** `health` is connecting, live or lost. */
export const link = { health: "connecting", heard: 0, fault: "", retryAt: 0 };

const channel = new BroadcastChannel(NAME);
const me = `${Math.random()}`;
let onHealth;
let isLeading = false;
let visit = new AbortController(); // aborted when the tab is hidden
let rest = new AbortController(); // aborted to try again at once

/** Begin, and call a function whenever the health has changed. */
export function start(listener) {
	onHealth = listener;
	channel.onmessage = ({ data }) => receive(data);
	document.addEventListener("visibilitychange", appear);
	addEventListener("pagehide", () => visit.abort());
	addEventListener("pageshow", ({ persisted }) => persisted && appear());
	addEventListener("online", retry);
	setInterval(watch, 1000);
	appear();
}

/** Try to connect at once. */
export function retry() {
	rest.abort();
	channel.postMessage({ kind: "retry" });
}

function appear() {
	visit.abort();
	if (document.hidden) return;
	visit = new AbortController();
	const { signal } = visit;
	link.heard = Date.now();
	hello();
	if (!navigator.locks) lead(signal); // only secure contexts have locks
	else navigator.locks.request(NAME, { signal }, () => lead(signal)).catch(() => {});
}

const hello = () => channel.postMessage({ kind: "hello", from: me, after: store.index });

async function lead(signal) {
	const backoff = new Backoff();
	isLeading = true;
	while (!signal.aborted) {
		try {
			const path = store.index ? `/events?after=${store.index}` : "/events";
			const response = await request(path, { signal, headers: { Accept: "application/x-ndjson" } });
			if (!store.index) beginStates();
			backoff.next = 500;
			setHealth("live");
			await readLines(response, take, SILENCE);
			link.fault = "the stream of events ended";
		} catch (error) {
			link.fault = reasonOf(error);
			if (error.status === 410) take([{ type: "gap" }]); // what followed is not kept
		}
		if (signal.aborted) break;
		setHealth("lost", backoff.due());
		rest = new AbortController();
		await waitUntil(link.retryAt, AbortSignal.any([signal, rest.signal]));
	}
	isLeading = false;
}

function take(lines) {
	const before = store.index;
	apply(lines);
	const types = new Set(lines.map(({ type }) => type));
	if (types.has("gap")) store.index = 0; // so the next request lists all states
	else setHealth("live");
	if (types.has("synced")) send({ kind: "lines", lines: linesAfter(-1) });
	else if (!types.has("state")) send({ kind: "lines", lines, before });
}

const send = (message) => channel.postMessage({ ...message, link });

function receive({ kind, from, after, to, lines, before, link: its }) {
	if (kind === "retry") rest.abort();
	if (isLeading || document.hidden) {
		const knows = kind === "hello" && isLeading && store.isComplete;
		if (knows) send({ kind: "lines", to: from, lines: linesAfter(after) });
		return;
	}
	if (!its || (to && to !== me)) return;
	Object.assign(link, its);
	if (before > store.index) {
		hello(); // lines before these are missing
	} else if (lines) {
		if (lines.at(-1)?.type === "synced") beginStates();
		apply(lines);
	}
	onHealth();
}

function setHealth(health, retryAt = 0) {
	const isNews = health !== link.health || health === "lost";
	if (health === "live") link.heard = Date.now();
	Object.assign(link, { health, retryAt });
	if (!isNews) return;
	onHealth();
	send({ kind: "health" });
}

/** Notice that the tab that leads passes nothing on. */
function watch() {
	if (isLeading || document.hidden || link.health === "lost") return;
	if (Date.now() - link.heard < SILENCE + 2000) return;
	Object.assign(link, { health: "lost", fault: "the tab that reads events is silent" });
	onHealth();
}
