/** The page: banner, events, announcements and keys. */

import { getJSON, reasonOf, workloadPath } from "./api.js";
import * as detail from "./detail.js";
import * as feed from "./feed.js";
import { $, count, duration, h, inNextFrame, onClick, setText, shape, timeElement, timeOfDay } from "./parts.js";
import { describe, kindOf, store, subscribe, whyOf } from "./store.js";
import * as table from "./table.js";

const NODE_PERIOD = 5000; // milliseconds between descriptions of the node
const SHOWN_EVENTS = 60; // each costs time in each frame that brings one
const QUIET = 5000; // milliseconds between announcements
const FEW = 8; // specifications that are read one by one

// The address names workload and tab.

const select = (id) => (location.hash = `#/${id}`);

function route() {
	const [id = "", tab] = decodeURI(location.hash).slice(2).split("/");
	table.select(id);
	detail.show(id, tab);
}

function close() {
	select("");
	table.focus();
}

function step(direction) {
	const id = table.neighbour(direction);
	if (!id) return;
	select(id);
	route();
	table.focus();
}

// Is anything wrong, and is there room?

const counters = [...document.querySelectorAll("[data-kind]")];
for (const button of counters) {
	button.prepend(shape(button.dataset.kind), h("b"));
	button.addEventListener("click", () => {
		const text = `state:${button.dataset.kind}`;
		filter($("filter").value === text ? "" : text);
	});
}

function showCounts() {
	const numbers = {};
	for (const { kind } of store.rows.values()) numbers[kind] = (numbers[kind] ?? 0) + 1;
	for (const button of counters) {
		const number = numbers[button.dataset.kind] ?? 0;
		setText(button.querySelector("b"), number);
		button.classList.toggle("none", !number);
	}
	document.title = numbers.failed ? `(${numbers.failed} failed) Kakuri` : "Kakuri";
}

function showMeter(id, used = 0, total = 0, size, unit) {
	$(id).hidden = !total;
	const [meter, text] = $(id).children;
	Object.assign(meter, { max: total, high: total * 0.9, value: used });
	const [own, all] = [used, total].map((each) => Number((each / size).toFixed(1)));
	setText(text, `${own} of ${all} ${unit}`);
}

async function readNode() {
	if (document.hidden) return;
	try {
		[store.node] = (await getJSON("/nodes")).nodes;
		store.nodeFault = "";
	} catch (error) {
		store.nodeFault = error.status ? reasonOf(error) : "";
	}
	inNextFrame(showNode);
}

function showNode() {
	const { name, state, runtime, version, handlers = {}, ...node } = store.node ?? {};
	setText($("node"), [name, state, runtime, version].filter(Boolean).join(" · "));
	$("node").title = Object.entries(handlers).map((pair) => pair.join(" → "));
	showMeter("memory", node.memory_mb_used, node.memory_mb, 1024, "GiB");
	showMeter("cpu", node.cpu_millicores_used, node.cpu_millicores, 1000, "cores");
	$("simulated").hidden = !node.simulated;
	showHealth();
}

// While the API is gone, what is shown stays.

let wasLost = false;

function showHealth() {
	const { health, heard, fault, retryAt } = feed.link;
	const { node, nodeFault = "", isComplete } = store;
	const isLost = health === "lost";
	const since = `${timeOfDay(heard)}, ${duration(Date.now() - heard)} ago`;
	const text =
		isLost && isComplete ? `Last heard at ${since}: ${fault}. What is shown is from then.`
		: isLost ? `No answer yet: ${fault}.`
		: nodeFault || !node || node.state === "ready" ? nodeFault
		: `Node ${node.name} is ${node.state}, last heard at ${timeOfDay(node.last_heard)}: ${node.message}`;
	document.body.classList.toggle("stale", isLost);
	$("live").dataset.health = health;
	setText($("live"), isLost ? "not connected" : health);
	$("trouble").hidden = !text;
	$("reconnect").hidden = !isLost;
	setText($("trouble-text"), text);
	setText($("next"), `next attempt in ${duration(retryAt - Date.now())}`);
	if (isLost === wasLost) return;
	wasLost = isLost;
	announce(isLost ? "the connection to the control plane is lost" : "the control plane answers again");
	readNode();
}

// What just happened, the newest first.

function textOf({ type, state, desired, available, version }) {
	switch (type) {
		case "workload": return state;
		case "desired": return desired ? `to be ${desired}` : "as desired";
		case "runtime": return available ? "the runtime answers" : "the runtime does not answer";
		case "node": return `the agent ${version} started`;
		case "gap": return "earlier events are not kept";
		default: return type;
	}
}

function eventElement(event) {
	const { type, id, index, at } = event;
	const why = whyOf(event);
	return h(
		"li", {},
		timeElement(at),
		h("span", { class: "index" }, `${index ?? ""}`),
		id ? h("a", { href: `#/${id}` }, id) : h("span", {}, "node"),
		h("span", { class: "state" }, shape(type === "workload" ? kindOf(event) : ""), textOf(event)),
		h("span", { class: "why", title: why }, why),
	);
}

subscribe((_changed, arrivals) => {
	const list = $("events");
	showCounts();
	list.prepend(...arrivals.slice(-SHOWN_EVENTS).reverse().map(eventElement));
	while (list.childElementCount > SHOWN_EVENTS) list.lastChild.remove();
	$("no-events").hidden = list.childElementCount > 0;
	for (const event of arrivals) {
		const { type, id } = event;
		if (type === "workload" && kindOf(event) === "failed") announce(`${id} failed: ${whyOf(event)}`);
		if (type === "removed") announce(`${id} is removed`);
		if (type === "node" || type === "runtime") readNode();
	}
});

// Announcements, not too often; outcomes of actions at once.

const news = [];
let quietUntil = 0;

function announce(text, isUrgent) {
	if (isUrgent) quietUntil = 0;
	news[isUrgent ? "unshift" : "push"](text);
	announceNext();
}

function announceNext() {
	if (Date.now() < quietUntil) return;
	const more = news.length > 3 ? `; ${count(news.length - 3, "more change")}` : "";
	setText($("status"), news.splice(0).slice(0, 3).join("; ") + more);
	quietUntil = Date.now() + QUIET;
}

// Images and labels, which events do not have.

let isDescribing = false;

async function describeNew() {
	const unknown = [...store.rows.values()].filter(({ labels }) => !labels);
	if (isDescribing || !unknown.length || !store.isComplete || document.hidden) return;
	isDescribing = true;
	try {
		if (unknown.length <= FEW) {
			for (const { id } of unknown) describe(await getJSON(`${workloadPath(id)}?spec`));
		} else {
			for (let next = ""; next !== undefined; ) {
				const page = await getJSON(`/workloads?spec&after=${next}`);
				page.workloads.forEach(describe);
				({ next } = page);
			}
		}
	} catch {
		// It was removed, or the API is gone: the next second tries again.
	}
	isDescribing = false;
}

// Filter and keys.

function filter(text) {
	$("filter").value = text;
	for (const button of counters) button.ariaPressed = text === `state:${button.dataset.kind}`;
	table.filter(text);
}

const KEYS = {
	j: () => step(1),
	k: () => step(-1),
	"/": () => $("filter").focus(),
	"?": () => $("keys").showModal(),
	Escape: close,
};

document.addEventListener("keydown", (event) => {
	const { key, target } = event;
	if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector(":modal")) return;
	const isTyping = target.matches("input");
	if (!KEYS[key] || (isTyping && key !== "Escape")) return;
	event.preventDefault();
	if (!isTyping) KEYS[key]();
	else if (target.id === "filter") filter("");
	if (isTyping) table.focus();
});

$("filter").addEventListener("input", () => filter($("filter").value));
onClick("help", KEYS["?"]);
onClick("close", close);
onClick("retry", feed.retry);
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", readNode);
table.start(select);
detail.start(announce);
feed.start(() => inNextFrame(showHealth));
setInterval(readNode, NODE_PERIOD);
setInterval(describeNew, 1000);
setInterval(() => inNextFrame(showHealth), 1000);
setInterval(announceNext, 1000);
filter("");
showCounts();
readNode();
route();
