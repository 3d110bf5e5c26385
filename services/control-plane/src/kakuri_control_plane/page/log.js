/**
 * The log of the selected workload: lines in blocks, which are laid out when they come into view.
 * While the reader pauses, new lines wait outside of the document, so that nothing moves.
 */

import { Backoff, readLines, reasonOf, request, waitUntil, workloadPath } from "./api.js";
import { $, count, h, inNextFrame, onClick, setText, toggle } from "./parts.js";

const MAX_LINES = 20_000; // the oldest go first
const MAX_CHARACTERS = 16 << 20;
const BLOCK = 200; // lines
const FIRST_LINES = 5000; // that are asked for at first
const FRAME = 4; // milliseconds of a frame for new lines
const MAX_RANGES = 2000; // matches that are highlighted

const box = $("log");
let workload = "";
let visit = new AbortController(); // aborted when another log is read, or the tab is hidden
let lines = []; // that are shown: text and element
let waiting = [];
let characters = 0;
let dropped = 0;
let arrived = 0; // while paused
let isFollowing = true;
let top = 0; // where the log was scrolled to, and how high it was
let height = 0;
let ended = "";
let last = { at: "", times: 0 }; // the time of the last line, and how many lines had it
let pattern = null;
let hits = [];
let current = -1;
let scanned = 0;

export function start() {
	box.addEventListener("scroll", onScroll, { passive: true });
	onClick("log-follow", () => follow(!isFollowing));
	onClick("log-new", () => follow(true));
	for (const name of ["wrap", "times"]) {
		toggle(`log-${name}`, (isOn) => {
			box.classList.toggle(name, isOn);
			if (isFollowing) toEnd();
		});
	}
	const isRegex = toggle("log-regex", search);
	const isOnly = toggle("log-only", search);
	function search() {
		find($("log-search").value, isRegex());
		box.classList.toggle("only", isOnly() && pattern !== null);
	}
	$("log-search").addEventListener("input", search);
	$("log-search").addEventListener("keydown", ({ key, shiftKey }) => {
		if (key === "Enter" && hits.length) stepToHit(shiftKey ? -1 : 1);
	});
	onClick("log-back", () => jump(-1));
	onClick("log-forth", () => jump(1));
	document.addEventListener("visibilitychange", () => {
		visit.abort();
		if (!document.hidden && workload && !ended) read();
	});
}

/** Show the log of a workload; none if the id is empty. */
export function open(id) {
	workload = id;
	box.ariaLabel = `Log of ${id}`;
	visit.abort();
	clear();
	follow(true);
	if (id) read();
}

/** Read on if the log had ended, because the workload runs again. */
export function resume() {
	if (workload && ended && !document.hidden) read();
}

function clear() {
	lines = [];
	waiting = [];
	characters = dropped = arrived = 0;
	last = { at: "", times: 0 };
	box.replaceChildren();
	rescan();
}

/** Follow new lines, or stay where the reader is. */
function follow(isOn) {
	isFollowing = isOn;
	$("log-follow").ariaPressed = isOn;
	if (isOn) arrived = 0;
	inNextFrame(append);
}

async function read() {
	const { signal } = (visit = new AbortController());
	const backoff = new Backoff();
	ended = "";
	while (!signal.aborted) {
		let note = "";
		try {
			await readOnce(signal, backoff);
			ended = "end of the log";
		} catch (error) {
			note = error.status ? reasonOf(error) : "cut off, continues soon";
			if (error.status < 500) ended = note;
		}
		if (signal.aborted) ended = "";
		else showState(note);
		if (ended) return;
		await waitUntil(backoff.due(), signal);
	}
}

async function readOnce(signal, backoff) {
	const { at, times } = last;
	if (!at) clear(); // lines without times can't be continued
	const from = at ? `since=${encodeURIComponent(at)}` : `tail=${FIRST_LINES}`;
	const path = `${workloadPath(workload)}/log?format=ndjson&follow&${from}`;
	const response = await request(path, { signal });
	showState();
	let known = times; // lines of the same time that were received before
	await readLines(response, (received) => {
		if (signal.aborted) return;
		backoff.next = 500;
		for (const line of received) {
			if (known > 0 && line.at === at) known -= 1;
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
		while (done < waiting.length && performance.now() - started < FRAME) add(waiting[done++]);
		waiting.splice(0, done);
		while (lines.length > MAX_LINES || characters > MAX_CHARACTERS) dropBlock();
		if (done) showHits();
		toEnd();
		if (done) inNextFrame(append); // also because blocks get their true height in this frame
	}
	showState();
}

function add(line) {
	const entry = entryOf(line);
	let block = box.lastChild;
	if (!block || block.childElementCount === BLOCK) {
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

function entryOf({ type, attempt, stream, at, line }) {
	const source = stream === "stderr" ? "err" : "";
	const text = h("span", { class: "text" },
		!type ? line : type === "attempt" ? `attempt ${attempt}` : "lines were removed here");
	const element = h("div", { class: type ? `mark ${type}` : `line ${source}` });
	if (at) element.append(h("time", { datetime: at, title: at }, clockOf(new Date(at))));
	if (!type) element.append(h("span", { class: "source" }, source));
	element.append(text);
	return { text: text.textContent, element };
}

/** Return the local time to the millisecond, ten times faster than Intl. */
const clockOf = (date) =>
	new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(11, 23);

function toEnd() {
	box.scrollTop = height = box.scrollHeight;
	top = box.scrollTop;
}

function onScroll() {
	const { scrollTop, scrollHeight, clientHeight } = box;
	const isAtEnd = scrollHeight - scrollTop - clientHeight < 8;
	const isHigher = scrollTop < top - 2 && scrollHeight >= height; // not because it shrank
	if (isFollowing && isHigher && !isAtEnd) follow(false);
	else if (!isFollowing && scrollTop > top && isAtEnd) follow(true);
	[top, height] = [scrollTop, scrollHeight];
}

function showState(note = ended) {
	const parts = [
		count(lines.length, "line"), dropped && `${count(dropped, "older line")} dropped`,
		!isFollowing && "paused", note,
	];
	setText($("log-state"), parts.filter(Boolean).join(" · "));
	$("log-new").hidden = isFollowing || !arrived;
	setText($("log-new"), `↓ ${count(arrived, "new line")}`);
}

/** Show the next attempt, or with -1 the beginning of this one or the one before. */
function jump(direction) {
	const start = box.getBoundingClientRect().top;
	const marks = [...box.querySelectorAll(".attempt")];
	if (direction < 0) marks.reverse();
	const isNext = (mark) => (mark.getBoundingClientRect().top - start) * direction > 8;
	const next = marks.find(isNext);
	if (!next && direction > 0) follow(true);
	else if (lines.length) reveal(next ?? lines[0].element, "start");
}

function reveal(element, block) {
	follow(false);
	element.scrollIntoView({ block });
	top = box.scrollTop;
}

// Search: what is shown is scanned in slices, and new lines as they come.

function find(text, isRegex) {
	let fault = "";
	pattern = null;
	try {
		const source = isRegex ? text : text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
		if (text) pattern = new RegExp(source, "gi");
	} catch (error) {
		fault = error.message;
	}
	$("log-search").ariaInvalid = fault !== "";
	rescan();
	setText($("log-hits"), fault);
}

function rescan() {
	for (const { element } of hits) element.classList.remove("hit", "current");
	hits = [];
	current = -1;
	scanned = 0;
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
	if (pattern) setText($("log-hits"), place + count(hits.length, "match", "matches"));
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
	hits[current].element.classList.add("current");
	reveal(hits[current].element, "center");
	showHits();
}
