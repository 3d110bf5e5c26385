// The pane about one workload.

import { change, getJSON, reasonOf, workloadPath } from "./api.js";
import * as log from "./log.js";
import { $, dateTime, duration, h, shape, showFacts, timeElement, timeOfDay, write } from "./parts.js";
import { describe, kindOf, store, subscribe } from "./store.js";

const REFRESH = 300; // milliseconds: changes that come together are read once
const TABS = ["log", "spec", "history", "isolation"];
const BEGINS_RUN = /^(Pulling|Restarted|BackOff|Adopted)$/;

const ACTIONS = {
	start: ["Start", "It runs once more."],
	restart: ["Restart", "Its run ends, and the next one begins."],
	stop: ["Stop", "Its run ends. Record and log stay, and it can be started again."],
	rm: ["Remove", "It is stopped and removed for good, with its log."],
};

let selected = "";
let tab = "log";
let details = {};
let transitions = [];
let timer = 0;
let isReading = false;
let asked = []; // action, workload and title

export function start(announce) {
	log.start();
	subscribe((changed) => (changed.has(selected) || changed.has(undefined)) && onChange());
	for (const name of TABS) {
		const title = name[0].toUpperCase() + name.slice(1);
		const button = h("button", { id: `tab-${name}`, role: "tab" }, title);
		button.onclick = () => go(name);
		$("tabs").append(button);
		Object.assign($(`panel-${name}`), { role: "tabpanel", ariaLabel: title });
	}
	$("tabs").onkeydown = ({ key }) => {
		const place = TABS.indexOf(tab);
		const next = { ArrowRight: (place + 1) % TABS.length, ArrowLeft: place - 1, Home: 0, End: -1 }[key];
		if (next === undefined) return;
		go(TABS.at(next));
		$(`tab-${tab}`).focus();
	};
	for (const name in ACTIONS) {
		const button = h("button", { id: `do-${name}` }, ACTIONS[name][0]);
		button.onclick = () => ask(name);
		$("close").before(button);
	}
	$("ask").onclose = () => act(announce);
	$("grace").onkeydown = (event) => {
		if (event.key !== "Enter") return; // it would cancel
		event.preventDefault();
		if (!event.repeat) $("ask-yes").focus();
	};
	setInterval(showTimes, 1000);
}

// Show a workload and one of its tabs, or none.
export function show(id, name) {
	tab = TABS.includes(name) ? name : "log";
	$("detail").hidden = !id;
	for (const each of TABS) {
		const isShown = each === tab;
		Object.assign($(`tab-${each}`), { ariaSelected: isShown, tabIndex: isShown - 1 });
		$(`panel-${each}`).hidden = !isShown;
	}
	if (id !== selected) {
		selected = id;
		details = {};
		transitions = [];
		log.open(id);
		$("detail").scrollTop = 0;
		Object.assign($("log-download"), { href: `${workloadPath(id)}/log`, download: `${id}.log` });
		write("command", `kakuri logs -f ${id}`);
		if (id) read();
		else showDetails();
	}
	showHead();
}

function go(name) {
	location.hash = `#/${selected}/${name}`;
	show(selected, name);
}

function onChange() {
	showHead();
	if (["running", "pending"].includes(store.rows.get(selected)?.kind)) log.resume();
	timer ||= setTimeout(read, REFRESH);
}

async function read() {
	timer = isReading && setTimeout(read, REFRESH);
	if (isReading || !selected || !store.isComplete) return;
	isReading = true;
	const id = selected;
	const isGone = !store.rows.has(id);
	const path = workloadPath(id);
	try {
		const [found, history] = await Promise.all([
			getJSON(`${path}?spec${isGone ? "&removed" : ""}`),
			getJSON(`${path}/history${isGone ? "?removed" : ""}`),
		]);
		if (!isGone) describe(found);
		if (id === selected) {
			const known = details.created_at;
			[details, transitions] = [found, history.transitions];
			if (known && known !== found.created_at) log.open(id); // another one with its name
		}
	} catch ({ status = 500, message }) {
		if (status >= 500) timer ||= setTimeout(read, 5 * REFRESH);
		else if (id === selected) details.fault = message;
	}
	isReading = false;
	showHead();
	showDetails();
}

function showHead() {
	const { activeElement } = document;
	const row = store.rows.get(selected);
	const kind = row?.kind ?? kindOf(details);
	$("detail").ariaLabel = `Workload ${selected}`;
	$("detail").dataset.kind = kind;
	write("detail-name", selected);
	$("detail-shape").replaceChildren(shape(kind));
	write("detail-state", row?.word ?? (details.removed_at ? "removed" : store.isComplete ? "unknown" : ""));
	write("detail-why", details.fault ?? row?.why ?? details.message ?? "");
	const hasEnded = /failed|succeeded/.test(row?.event.state);
	$("do-start").hidden = !hasEnded && row?.kind !== "back-off";
	$("do-stop").hidden = $("do-restart").hidden = !row || hasEnded;
	$("do-rm").hidden = !row;
	for (const name in ACTIONS) $(`do-${name}`).disabled = row?.desired === "removed";
	showTimes();
	if (activeElement.matches("[hidden], :disabled")) $("close").focus();
}

function showDetails() {
	showTimeline();
	showHistory();
	showSpec(details);
	showIsolation(details.isolation);
}

function showTimes() {
	const row = store.rows.get(selected);
	const left = row?.kind === "back-off" && Date.parse(details.restart_at) - Date.now();
	const next = left ? ` · next run ${left > 0 ? `in ${duration(left)}` : "is due"}` : "";
	write("detail-since", row ? `for ${duration(Date.now() - row.since)}${next}` : "");
}

// Show the latest run's steps: the longer, the wider.
function showTimeline() {
	const first = transitions.findLastIndex(({ reason }) => BEGINS_RUN.test(reason));
	const steps = transitions.slice(Math.max(0, first));
	$("timeline").replaceChildren(...steps.map((step, place) => {
		const { at, state, reason } = step;
		const next = steps[place + 1]?.at;
		const length = Date.parse(next) - Date.parse(at);
		const isOpen = !next && !details.removed_at && /running|pending/.test(state);
		const time = next ? duration(length, 1) : `${isOpen ? "since" : "at"} ${timeOfDay(at)}`;
		const kind = kindOf(step);
		const item = h(
			"li", { class: kind },
			h("i"), h("b", {}, kind === "stopped" ? kind : (reason ?? state)), h("span", {}, time),
		);
		item.style.flexGrow = next ? Math.sqrt(length) : isOpen ? 99 : 0;
		return item;
	}));
}

function showHistory() {
	$("history").replaceChildren(...transitions.toReversed().map((step) => {
		const { at, state, reason = "", count = 1, exit_code: code = "", message } = step;
		const cells = [
			timeElement(at), h("span", { class: "state" }, shape(kindOf(step)), state),
			reason + (count > 1 ? ` × ${count}` : ""), `${code}`, message,
		];
		return h("tr", {}, ...cells.map((cell) => h("td", {}, cell)));
	}));
}

function showSpec({ spec, image_digest: Digest, address: Address, created_at, removed_at }) {
	const [Created, Removed] = [dateTime(created_at), dateTime(removed_at)];
	showFacts($("facts"), { Created, Removed, Address, Digest });
	write("spec", spec ? JSON.stringify(spec, null, 2) : "");
}

function showIsolation({ handler, kernel, host_kernel: host, profile, checked_at } = {}) {
	write("verdict",
		store.node?.simulated ? "Nothing really runs on this node, so nothing is isolated."
		: !checked_at ? "No evidence: it is read some seconds after a start, and kept in memory only."
		: !kernel || !host ? "The kernels are not known."
		: kernel === host ? "The zone shares the host's kernel: it is a container."
		: "The zone has a kernel of its own.");
	showFacts($("isolation"), {
		Handler: handler, Kernel: kernel && `${kernel}, by the image's own uname`,
		"Host's kernel": host, Profile: profile, Checked: dateTime(checked_at),
	});
}

function ask(name) {
	const [title, text] = ACTIONS[name];
	asked = [name, selected, title];
	write("ask-title", `${title} ${selected}?`);
	write("ask-text", text);
	write("ask-command", `kakuri ${name} ${selected}`);
	write("ask-yes", title);
	$("ask-yes").classList.toggle("danger", name === "rm");
	$("ask-grace").hidden = name === "start";
	$("grace").form.reset();
	$("ask").returnValue = "";
	$("ask").showModal();
}

async function act(announce) {
	const [name, id, title] = asked;
	$("close").focus();
	$(`do-${name}`).focus(); // not if it is hidden now
	if ($("ask").returnValue !== "yes") return;
	const path = workloadPath(id);
	const grace = $("grace").valueAsNumber;
	try {
		if (name === "rm") await change("DELETE", `${path}?grace_seconds=${grace}`);
		else await change("POST", `${path}/${name}`, name === "start" ? {} : { grace_seconds: grace });
		announce(`${title} ${id}: accepted`, true);
	} catch (error) {
		announce(`${title} ${id} failed: ${reasonOf(error)}`, true);
	}
}
