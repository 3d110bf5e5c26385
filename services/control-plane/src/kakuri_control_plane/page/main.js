// The page: banner, events, announcements and keys.

import { getJSON, workloadPath } from "./api.js";
import * as detail from "./detail.js";
import * as feed from "./feed.js";
import { $, count, duration, h, inNextFrame, setText, shape, timeElement, timeOfDay, write } from "./parts.js";
import { KINDS, describe, kindOf, store, subscribe, whyOf } from "./store.js";
import * as table from "./table.js";

const QUIET = 5000; // milliseconds between announcements
const FEW = 8; // specifications, which are read one by one

const select = (id) => (location.hash = `#/${id}`);

function route() {
	const [id, tab] = location.hash.slice(2).split("/");
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

const counters = KINDS.map((kind) => {
	const button = h("button", {}, shape(kind), h("b"), kind);
	const text = `state:${kind}`;
	button.onclick = () => filter($("filter").value === text ? "" : text);
	return { kind, button, text };
});
$("overview").prepend(...counters.map(({ button }) => button));

function showCounts() {
	const rows = Object.groupBy(store.rows.values(), ({ kind }) => kind);
	for (const { kind, button } of counters) {
		const { length } = rows[kind] ?? [];
		setText(button.querySelector("b"), length);
		button.classList.toggle("none", !length);
	}
	document.title = rows.failed ? `(${rows.failed.length} failed) Kakuri` : "Kakuri";
}

const memory = (mib) => (mib < 1024 ? `${mib} MiB` : `${Math.round(mib / 102.4) / 10} GiB`);
const cores = (thousandths) => Math.round(thousandths / 100) / 10;

function showMeter(id, used = 0, total = 0, format, unit = "") {
	$(id).hidden = !total;
	const [meter, text] = $(id).children;
	Object.assign(meter, { max: total, high: total * 0.9, value: used });
	setText(text, `${format(used)} of ${format(total)}${unit}`);
}

async function readNode() {
	if (document.hidden) return;
	try {
		[store.node] = (await getJSON("/nodes")).nodes;
		store.nodeFault = "";
	} catch (error) {
		store.nodeFault = error.status ? error.message : "";
	}
	inNextFrame(showNode);
}

function showNode() {
	const { name, state, runtime, version, handlers = {}, ...node } = store.node ?? {};
	write("node", [name, state, runtime, version].filter(Boolean).join(" · "));
	$("node").title = Object.entries(handlers).map((pair) => pair.join(" → "));
	showMeter("memory", node.memory_mb_used, node.memory_mb, memory);
	showMeter("cpu", node.cpu_millicores_used, node.cpu_millicores, cores, " cores");
	$("simulated").hidden = !node.simulated;
	showHealth();
}

let wasLost = false;

function showHealth() {
	const { health, heard, fault, retryAt } = feed.link;
	const { node, nodeFault = "", isComplete } = store;
	const isLost = health === "lost";
	const since = `${timeOfDay(heard)}, ${duration(Date.now() - heard)} ago`;
	const text =
		isLost ? isComplete ? `Last heard at ${since}: ${fault}. What is shown is from then.` : fault
		: nodeFault || !node || node.state === "ready" ? nodeFault
		: `Node ${node.name} is ${node.state}, last heard at ${timeOfDay(node.last_heard)}: ${node.message}`;
	document.body.classList.toggle("stale", isLost);
	$("live").dataset.health = health;
	write("live", isLost ? "not connected" : health);
	$("trouble").hidden = !text;
	$("reconnect").hidden = !isLost;
	write("trouble-text", text);
	write("next", `next attempt in ${duration(retryAt - Date.now())}`);
	if (isLost === wasLost) return;
	wasLost = isLost;
	announce(`the control plane ${isLost ? "is lost" : "answers again"}`);
	readNode();
}

const REQUESTS = { stopped: "stop", restarted: "restart", removed: "removal" };

const textOf = ({ type, state, desired, available, version }) => ({
	workload: state,
	desired: `${REQUESTS[desired] ?? "start"} requested`,
	runtime: `the runtime ${available ? "answers" : "is lost"}`,
	node: `the agent ${version} started`,
	gap: "earlier events are not kept",
})[type] ?? type;

function eventElement(event) {
	const { type, id, index, at } = event;
	const why = whyOf(event);
	return h(
		"li", {},
		timeElement(at),
		h("span", { class: "index" }, index),
		id ? h("a", { href: `#/${id}` }, id) : h("span", {}, "node"),
		h("span", { class: "state" }, shape(type === "workload" ? kindOf(event) : ""), textOf(event)),
		h("span", { class: "why", title: why }, why),
	);
}

subscribe((_changed, arrivals) => {
	const list = $("events");
	showCounts();
	list.prepend(...arrivals.toReversed().map(eventElement));
	while (list.childElementCount > store.events.length) list.lastChild.remove();
	for (const event of arrivals) {
		const { type, id, index } = event;
		if (!(index > store.start)) continue;
		if (type === "workload" && kindOf(event) === "failed") announce(`${id} failed: ${whyOf(event)}`);
		if (type === "removed") announce(`${id} is removed`);
		if (!id) readNode();
	}
});

const news = [];
let quietUntil = 0;

// Announce news, not too often; urgent news at once.
function announce(text, isUrgent) {
	if (isUrgent) quietUntil = 0;
	news[isUrgent ? "unshift" : "push"](text);
	announceNext();
}

function announceNext() {
	if (Date.now() < quietUntil) return;
	const more = news.length > 3 ? `; ${count(news.length - 3, "more change")}` : "";
	write("status", news.splice(0).slice(0, 3).join("; ") + more);
	quietUntil = Date.now() + QUIET;
}

let isDescribing = false;

async function describeNew() {
	const unknown = [...store.rows.values()].filter(({ labels }) => !labels);
	if (isDescribing || !unknown.length || !store.isComplete || document.hidden) return;
	isDescribing = true;
	try {
		if (unknown.length <= FEW) {
			for (const { id } of unknown) describe(await getJSON(`${workloadPath(id)}?spec`));
		} else {
			let page = { next: "" };
			while (page.next !== undefined) {
				page = await getJSON(`/workloads?spec&after=${page.next}`);
				page.workloads.forEach(describe);
			}
		}
	} catch {} // again in a second
	isDescribing = false;
}

function filter(text) {
	$("filter").value = text;
	for (const each of counters) each.button.ariaPressed = text === each.text;
	table.filter(text);
}

const KEYS = {
	j: () => step(1),
	k: () => step(-1),
	"/": () => $("filter").focus(),
	"?": () => $("keys").showModal(),
	Escape: close,
};

document.onkeydown = (event) => {
	const { key, target } = event;
	if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector(":modal")) return;
	const isTyping = target.matches("input");
	if (!KEYS[key] || (isTyping && key !== "Escape")) return;
	event.preventDefault();
	if (!isTyping) return KEYS[key]();
	if (target.id === "filter") filter("");
	table.focus();
};

$("filter").oninput = () => filter($("filter").value);
$("help").onclick = KEYS["?"];
$("close").onclick = close;
$("retry").onclick = feed.retry;
onhashchange = route;
document.onvisibilitychange = readNode;
table.start(select);
detail.start(announce);
feed.start(() => inNextFrame(showHealth));
setInterval(readNode, 5000);
setInterval(() => {
	describeNew();
	announceNext();
	inNextFrame(showHealth);
}, 1000);
filter("");
showCounts();
readNode();
route();
