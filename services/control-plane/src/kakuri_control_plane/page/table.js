/** The table of workloads: a row each, changed in place, so that focus and selection stay. */

import { $, copyOf, duration, inNextFrame, set, setText, shape, timeElement } from "./parts.js";
import { filterOf, store, subscribe } from "./store.js";

const BUILT_AT_ONCE = 40; // new rows of a frame
const REORDER = 1000; // milliseconds
const STILL = 1500; // milliseconds after the pointer moved

const KEYS = {
	state: (row) => row.severity,
	name: (row) => row.id,
	why: (row) => row.why.toLowerCase(),
	image: (row) => row.image,
	restarts: (row) => -row.restarts,
	age: (row) => -row.since,
};

const headers = document.querySelectorAll("[data-sort]");
const body = $("rows");
const parts = new Map(); // elements of each row, by id
let key = "state";
let sign = 1;
let admits = () => true;
let selected = "";
let home = null; // the one row that the Tab key reaches
let [pointedAt, timer] = [0, 0];

/** Begin, and call a function with the id of a clicked row. */
export function start(onSelect) {
	subscribe(update);
	for (const { firstChild, dataset } of headers) firstChild.onclick = () => sortBy(dataset.sort);
	body.onclick = ({ target }) => {
		const row = target.closest("tr");
		if (row && !target.closest("a") && getSelection().isCollapsed) onSelect(row.dataset.id);
	};
	body.onpointermove = () => (pointedAt = Date.now());
	setInterval(() => inNextFrame(showAges), 1000);
}

/** Show only workloads that match conditions. */
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

/** Return the id of the next workload, or with -1 the one before. */
export function neighbour(direction) {
	const rows = [...body.children];
	const place = rows.indexOf(parts.get(selected)?.row);
	return rows.at(place < 0 && direction < 0 ? -1 : Math.max(0, place + direction))?.dataset.id;
}

/** Focus the selected workload, or the first. */
export const focus = () => home && linkOf(home).focus({ preventScroll: true });

const linkOf = (row) => row.querySelector("a");

function setHome(row) {
	if (home) linkOf(home).tabIndex = -1;
	if (row) linkOf(row).tabIndex = 0;
	home = row;
}

function sortBy(name) {
	sign = name === key ? -sign : 1;
	key = name;
	for (const header of headers) {
		const direction = sign > 0 ? "ascending" : "descending";
		set(header, "aria-sort", header.dataset.sort === key ? direction : null);
	}
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
	const rows = [...store.rows.values()].filter(admits).sort((one, other) =>
		sign * compare(KEYS[key](one), KEYS[key](other)) || compare(one.id, other.id));
	place(rows);
	const { size } = store.rows;
	setText($("count"), rows.length < size ? `${rows.length} of ${size}` : size);
	$("empty").hidden = rows.length > 0;
	setText($("empty"),
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
	const [svg, word] = state.children;
	const element = { row, svg, word, why, image, restarts, time: age.firstChild };
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
