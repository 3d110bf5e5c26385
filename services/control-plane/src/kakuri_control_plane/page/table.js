// The table of workloads: a row each, changed in place, so that focus and selection stay.

import { $, copyOf, duration, inNextFrame, set, setText, shape, timeElement, write } from "./parts.js";
import { filterOf, store, subscribe } from "./store.js";

const BUILT_AT_ONCE = 40; // new rows of a frame
const REORDER = 1000; // milliseconds
const STILL = 1500; // milliseconds after the pointer moved

// The sort key of each column.
const KEYS = [
	(row) => row.severity,
	(row) => row.id,
	(row) => row.why.toLowerCase(),
	(row) => row.image,
	(row) => -row.restarts,
	(row) => -row.since,
];

const headers = document.querySelectorAll("#list th");
const body = $("rows");
const parts = new Map(); // elements of each row, by id
let sorted = 0; // a column
let sign = 1;
let admits = () => true;
let selected = "";
let home = null; // the one link that the Tab key reaches
let [pointedAt, timer] = [0, 0];

export function start(onSelect) {
	subscribe(update);
	headers.forEach(({ firstChild }, column) => (firstChild.onclick = () => sortBy(column)));
	body.onclick = ({ target }) => {
		const row = target.closest("tr");
		if (row && !target.closest("a") && getSelection().isCollapsed) onSelect(row.dataset.id);
	};
	body.onpointermove = () => (pointedAt = Date.now());
	setInterval(() => inNextFrame(showAges), 1000);
}

export function filter(text) {
	admits = filterOf(text);
	order();
}

export function select(id) {
	selected = id;
	for (const [each, { row }] of parts) set(row, "aria-current", each === id ? "true" : null);
	const row = parts.get(id)?.row;
	if (!row?.isConnected) return;
	setHome(row);
	row.scrollIntoView({ block: "nearest" });
}

// Return the id of the next workload, or with -1 the one before.
export function neighbour(direction) {
	const rows = [...body.children];
	const place = rows.indexOf(parts.get(selected)?.row);
	return rows.at(place < 0 && direction < 0 ? -1 : Math.max(0, place + direction))?.dataset.id;
}

// Focus the selected workload, or the first.
export const focus = () => home?.focus({ preventScroll: true });

function setHome(row) {
	if (home) home.tabIndex = -1;
	home = row?.querySelector("a");
	if (home) home.tabIndex = 0;
}

function sortBy(column) {
	sign = column === sorted ? -sign : 1;
	headers[sorted].ariaSort = null;
	sorted = column;
	headers[sorted].ariaSort = sign > 0 ? "ascending" : "descending";
	order();
}

function update(changed) {
	let isNew = !store.rows.size;
	for (const id of changed) {
		if (store.rows.has(id) && parts.has(id)) fill(parts.get(id), store.rows.get(id));
		else isNew = true;
	}
	if (isNew) order();
	else orderLater();
}

function orderLater() {
	timer ||= setTimeout(() => {
		timer = 0;
		if (Date.now() < pointedAt + STILL) orderLater();
		else inNextFrame(order);
	}, REORDER);
}

function order() {
	const compare = (one, other) => (one < other ? -1 : Number(one > other));
	const key = KEYS[sorted];
	const rows = [...store.rows.values()].filter(admits).sort((one, other) =>
		sign * compare(key(one), key(other)) || compare(one.id, other.id));
	place(rows);
	const { size } = store.rows;
	write("count", rows.length < size ? `${rows.length} of ${size}` : size);
	$("empty").hidden = rows.length > 0;
	write("empty",
		!store.isComplete ? "Asking the control plane…"
		: size ? "No workload matches the filter."
		: "No workloads on this node. Start one: kakuri run -d nginx");
}

function place(rows) {
	const missing = rows.filter(({ id }) => !parts.has(id));
	for (const row of missing.slice(0, BUILT_AT_ONCE)) parts.set(row.id, build(row));
	if (missing.length > BUILT_AT_ONCE) inNextFrame(order);
	const places = rows.map(({ id }) => parts.get(id)?.row).filter(Boolean);
	const shown = new Set(places);
	for (const [id, { row }] of parts) {
		if (!store.rows.has(id)) parts.delete(id);
		if (!shown.has(row)) row.remove();
	}
	const focused = document.activeElement;
	let cursor = body.firstChild;
	for (const row of places) {
		if (row === cursor) cursor = cursor.nextSibling;
		else if (row === cursor?.nextSibling) cursor = row.nextSibling;
		else body.insertBefore(row, cursor);
	}
	if (focused !== document.activeElement) focused.focus({ preventScroll: true });
	const row = parts.get(selected)?.row;
	setHome(shown.has(row) ? row : places[0]);
}

function build(data) {
	const row = copyOf("row");
	const [state, name, why, image, restarts, age] = row.children;
	const svg = shape(data.kind);
	state.prepend(svg);
	const element = { row, svg, word: svg.nextSibling, why, image, restarts, time: age.firstChild };
	row.dataset.id = data.id;
	if (data.id === selected) row.ariaCurrent = "true";
	setText(name.firstChild, data.id);
	name.firstChild.href = `#/${data.id}`;
	fill(element, data);
	return element;
}

function fill(element, { kind, word, restarts, at, since, ...row }) {
	element.row.dataset.kind = kind;
	shape(kind, element.svg);
	setText(element.word, word);
	for (const name of ["why", "image"]) {
		setText(element[name], row[name]);
		set(element[name], "title", row[name]);
	}
	setText(element.restarts, restarts || "");
	if (element.at === at) return;
	const time = timeElement(at, duration(Date.now() - since));
	element.time.replaceWith(time);
	Object.assign(element, { at, since, time });
}

function showAges() {
	for (const { time, since } of parts.values()) {
		if (!time.checkVisibility({ contentVisibilityAuto: true })) continue;
		setText(time, duration(Date.now() - since));
	}
}
