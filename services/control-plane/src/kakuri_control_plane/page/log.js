// The log of a workload, in blocks. New lines wait while the reader pauses.

import { dueAfter, readLines, request, waitUntil, workloadPath } from "./api.js";
import { $, count, h, inNextFrame, toggle, write } from "./parts.js";

const MAX_LINES = 20_000; // the oldest go first
const MAX_CHARACTERS = 16 << 20;
const BLOCK = 200; // lines
const LONG = 4000; // characters of a line that ends its block
const FRAME = 4; // milliseconds of a frame, after one block
const MAX_RANGES = 2000; // highlighted matches

const box = $("log");
let workload = "";
let visit = new AbortController(); // aborted when this log is not shown
let lines = []; // that are shown: text and element
let waiting = [];
let [characters, dropped] = [0, 0];
let arrived = 0; // while paused
let isFollowing = true;
let [top, height] = [0, 0]; // of the box, when it was scrolled
let target = null; // of the last jump, until a scroll
let ended = "";
let last = {}; // the latest time, and how many lines had it
let pattern = null;
let hits = [];
let [current, scanned] = [-1, 0];

export function start() {
	box.onscroll = onScroll;
	$("log-follow").onclick = () => follow(!isFollowing);
	$("log-new").onclick = () => {
		follow(true);
		box.focus();
	};
	setInterval(() => isFollowing && toEnd(), 500); // as blocks are measured
	new ResizeObserver(() => (isFollowing ? toEnd() : showTarget())).observe(box);
	for (const name of ["wrap", "times"])
		toggle(`log-${name}`, (isOn) => rearrange(() => box.classList.toggle(name, isOn)));
	const isRegex = toggle("log-regex", search);
	const isOnly = toggle("log-only", () => rearrange(showOnly));
	const showOnly = () => box.classList.toggle("only", isOnly() && pattern !== null);
	function search() {
		find($("log-search").value, isRegex());
		showOnly();
	}
	$("log-search").oninput = search;
	$("log-search").onkeydown = ({ key, shiftKey }) => {
		if (key === "Enter" && hits.length) stepToHit(shiftKey ? -1 : 1);
	};
	$("log-back").onclick = () => jump(-1);
	$("log-forth").onclick = () => jump(1);
	document.addEventListener("visibilitychange", () => {
		visit.abort();
		if (!document.hidden && workload && !ended) read();
	});
}

export function open(id) {
	workload = id;
	box.ariaLabel = `Log of ${id}`;
	visit.abort();
	clear();
	follow(true);
	if (id && !document.hidden) read();
}

// Read on if the log had ended: the workload runs again.
export function resume() {
	if (workload && ended && !document.hidden) read();
}

function clear() {
	[lines, waiting, last] = [[], [], {}];
	characters = dropped = arrived = 0;
	box.replaceChildren();
	rescan();
}

function follow(isOn) {
	isFollowing = isOn;
	$("log-follow").ariaPressed = isOn;
	if (isOn) [arrived, target] = [0, null];
	inNextFrame(append);
}

async function read() {
	const { signal } = (visit = new AbortController());
	let attempts = 0;
	ended = "";
	while (!signal.aborted) {
		let [note, isOver] = ["end of the log", true];
		try {
			await readOnce(signal, () => (attempts = 0));
		} catch ({ status, message }) {
			note = status ? message : "the log was cut off";
			isOver = status < 500;
		}
		if (signal.aborted) return; // another visit may have begun
		ended = isOver ? note : "";
		showState(note);
		if (isOver) return;
		await waitUntil(dueAfter(attempts++), signal);
	}
}

async function readOnce(signal, onSuccess) {
	let { at, times } = last;
	if (!at) clear(); // without times
	const from = at ? `since=${at}` : `tail=${MAX_LINES}`;
	const path = `${workloadPath(workload)}/log?format=ndjson&follow&${from}`;
	const response = await request(path, { signal });
	await readLines(response, (received) => {
		if (signal.aborted) return;
		onSuccess();
		for (const line of received) {
			if (times > 0 && line.at === at) times -= 1;
			else receive(line);
		}
		inNextFrame(append);
	});
}

function receive(line) {
	if (line.at) last = { at: line.at, times: line.at === last.at ? last.times + 1 : 1 };
	waiting.push(line);
	if (!isFollowing && !line.type) arrived += 1;
	if (waiting.length < MAX_LINES + BLOCK) return;
	waiting.splice(0, BLOCK);
	dropped += BLOCK;
}

function append() {
	if (isFollowing) {
		const started = performance.now();
		let done = 0;
		while (done < waiting.length && (done < BLOCK || performance.now() - started < FRAME))
			add(waiting[done++]);
		waiting.splice(0, done);
		while (lines.length > MAX_LINES || characters > MAX_CHARACTERS) dropBlock();
		if (done) showHits();
		toEnd();
		if (done) inNextFrame(append);
	}
	showState();
}

function add(line) {
	const entry = entryOf(line);
	let block = box.lastChild;
	if (!block || block.childElementCount === BLOCK || lines.at(-1).text.length > LONG) {
		block?.style.setProperty("--lines", block.childElementCount);
		block = h("div", { class: "block" });
		box.append(block);
	}
	block.append(entry.element);
	characters += entry.text.length;
	lines.push(entry);
	if (scanned === lines.length - 1) test(entry);
}

function dropBlock() {
	const block = box.firstChild;
	const size = block.childElementCount;
	block.remove();
	for (const { text } of lines.splice(0, size)) characters -= text.length;
	dropped += size;
	scanned = Math.max(0, scanned - size);
	const before = hits.length;
	hits = hits.filter(({ element }) => element.isConnected);
	current = Math.max(-1, current - before + hits.length);
}

function entryOf({ type, attempt, stream, at, line, partial }) {
	const source = stream === "stderr" ? "err" : "";
	const content = type === "attempt" ? `attempt ${attempt}` : "lines were removed here";
	const text = h("span", { class: "text" }, type ? content : line);
	const element = h(
		"div", { class: type ? `mark ${type}` : `line ${source} ${partial ? "partial" : ""}` },
		at && h("time", { datetime: at }, clockOf(new Date(at)) + " "),
		!type && h("span", { class: "source" }, source), text,
	);
	return { text: text.textContent, element };
}

const clockOf = (date) =>
	new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(11, 23);

function toEnd() {
	box.scrollTop = height = box.scrollHeight;
	top = box.scrollTop;
}

function onScroll() {
	const { scrollTop, scrollHeight, clientHeight } = box;
	const isAtEnd = scrollHeight - scrollTop - clientHeight < 8;
	const hasShrunk = scrollHeight < height; // which scrolls, too
	if (scrollTop !== top && !hasShrunk) target = null;
	if (isFollowing && scrollTop < top - 2 && !hasShrunk && !isAtEnd) follow(false);
	else if (!isFollowing && scrollTop > top && isAtEnd) follow(true);
	[top, height] = [scrollTop, scrollHeight];
}

function showState(note = ended) {
	const parts = [
		count(lines.length, "line"), dropped && `${count(dropped, "older line")} dropped`,
		!isFollowing && "paused", note,
	];
	write("log-state", parts.filter(Boolean).join(" · "));
	$("log-new").hidden = isFollowing || !arrived;
	write("log-new", `↓ ${count(arrived, "new line")}`);
}

function jump(direction) {
	showTarget();
	const topOf = (element) => element.getBoundingClientRect().top;
	const marks = [...box.querySelectorAll(".attempt")];
	if (direction < 0) marks.reverse();
	const next = marks.find((mark) => (topOf(mark) - topOf(box)) * direction > 8);
	if (!next && direction > 0) follow(true);
	else if (lines.length) reveal(next ?? lines[0].element, "start");
}

// Scroll to an element, and stay there until the reader scrolls.
function reveal(element, block) {
	follow(false);
	target = { element, block };
	showTarget();
	setTimeout(inNextFrame, 50, showTarget); // then the blocks have their true height
}

function showTarget() {
	if (!target) return;
	target.element.scrollIntoView({ block: target.block });
	[top, height] = [box.scrollTop, box.scrollHeight];
}

// Change how lines are shown; what the reader sees stays in view.
function rearrange(change) {
	const { left, top: edge } = box.getBoundingClientRect();
	const first = document.elementFromPoint(left + 1, edge + 2)?.closest("#log .line, .mark");
	change();
	const from = target?.element ?? first;
	if (isFollowing || !from) return inNextFrame(append);
	const later = lines.slice(lines.findIndex(({ element }) => element === from));
	const shown = later.find(({ element }) => element.checkVisibility());
	if (shown) reveal(shown.element, target?.block ?? "start");
}

function find(text, isRegex) {
	let fault = "";
	pattern = null;
	try {
		const source = isRegex ? text : text.replace(/\W/g, "\\$&");
		if (text) pattern = new RegExp(source, "gi");
	} catch ({ message }) {
		fault = message.replace(/.*: /, "");
	}
	$("log-search").ariaInvalid = fault !== "";
	rescan();
	write("log-hits", fault);
}

function rescan() {
	for (const { element } of hits) element.classList.remove("hit", "current");
	hits = [];
	[current, scanned] = [-1, 0];
	inNextFrame(scan);
}

function scan() {
	const started = performance.now();
	while (scanned < lines.length && performance.now() - started < FRAME) test(lines[scanned]);
	if (scanned < lines.length) inNextFrame(scan);
	else showHits();
}

function test(entry) {
	scanned += 1;
	if (!pattern || entry.text.search(pattern) < 0) return;
	entry.element.classList.add("hit");
	hits.push(entry);
}

function showHits() {
	const place = current < 0 ? "" : `${current + 1} of `;
	const text = hits.length ? place + count(hits.length, "match", "es") : "no match";
	if (pattern) write("log-hits", text);
	if (isFollowing) toEnd();
	CSS.highlights?.set("match", new Highlight(...ranges()));
}

function ranges() {
	const found = [];
	for (const { text, element } of hits.slice(-MAX_RANGES)) {
		const node = element.lastChild.firstChild;
		for (const { 0: match, index } of text.matchAll(pattern)) {
			if (!match || found.length === MAX_RANGES) continue;
			const range = { startContainer: node, startOffset: index, endContainer: node };
			found.push(new StaticRange({ ...range, endOffset: index + match.length }));
		}
	}
	return found;
}

function stepToHit(direction) {
	hits[current]?.element.classList.remove("current");
	if (current < 0 && direction < 0) current = 0;
	current = (current + direction + hits.length) % hits.length;
	const { element } = hits[current];
	element.classList.add("current");
	reveal(element, "center");
	showHits();
}
