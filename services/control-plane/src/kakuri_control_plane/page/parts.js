// Elements, texts and times. Text is only set as text, with hidden characters escaped.

export const $ = (id) => document.getElementById(id);

// Characters that are invisible or reorder others; terminal colours.
const HIDDEN = /[[\p{Cc}\p{DI}\u2028\u2029\ufff9-\ufffb]--[\t\n\ufe00-\ufe0f]]/gv;
const COLOURS = /\x1b\[[0-9;:]*m/g;
const escape = (found) => {
	const code = found.codePointAt(0).toString(16);
	return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
};

// Return a text without colours, hidden characters escaped.
export const visible = (text) => `${text}`.replace(COLOURS, "").replace(HIDDEN, escape);

// Return a new element; falsy attributes and children are left out.
export function h(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) if (value) set(element, name, value);
	element.append(...children.filter(Boolean).map((each) => (each.nodeType ? each : visible(each))));
	return element;
}

// Only what differs is set: layout takes time.

export function setText(element, text) {
	const shown = visible(text);
	if (element.textContent !== shown) element.textContent = shown;
}

export const write = (id, text) => setText($(id), text);

export function set(element, name, value) {
	if (value === null) element.removeAttribute(name);
	else if (element.getAttribute(name) !== value) element.setAttribute(name, visible(value));
}

// Show in a <dl> the facts with a value.
export const showFacts = (list, facts) =>
	list.replaceChildren(...Object.entries(facts).filter(([, value]) => value).map(
		([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

// Make a button a switch; return a function that returns whether it is on.
export function toggle(id, listener) {
	const isOn = () => $(id).ariaPressed === "true";
	$(id).ariaPressed ??= false;
	$(id).onclick = () => {
		$(id).ariaPressed = !isOn();
		listener(isOn());
	};
	return isOn;
}

// No state is shown by colour alone.
const SHAPES = {
	failed: "M4 4l8 8M12 4l-8 8",
	"back-off": "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3",
	pending: "M8 3v2M8 11v2M3 8h2M11 8h2",
	running: "M8 4.5a3.5 3.5 0 1 0 .01 0zM8 6.5a1.5 1.5 0 1 0 .01 0z",
	succeeded: "M3.5 8.5l3 3 6-7",
	stopped: "M5 5h6v6H5z",
};

export const copyOf = (id) => $(id).content.firstElementChild.cloneNode(true);

// Return the shape of a state, or change one into it.
export function shape(kind, svg = copyOf("shape")) {
	set(svg, "class", `shape ${kind}`);
	set(svg.firstChild, "d", SHAPES[kind] ?? "M4 8h8");
	return svg;
}

const tasks = new Set();

// Call a function once in the next frame.
export function inNextFrame(task) {
	if (!tasks.size) {
		requestAnimationFrame(() => {
			const due = [...tasks];
			tasks.clear();
			for (const each of due) each();
		});
	}
	tasks.add(task);
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-CA");
const UNITS = [[86_400, "d"], [3600, "h"], [60, "m"], [1, "s"]];

export const timeOfDay = (at) => clock.format(new Date(at));

export const dateTime = (at) => at && `${day.format(new Date(at))} ${timeOfDay(at)}`;

export const timeElement = (at, text = timeOfDay(at)) =>
	h("time", { datetime: at, title: dateTime(at) }, text);

// Return the largest unit only: 0.9 s, 12 s, 3 d.
export function duration(milliseconds, digits = 0) {
	const seconds = Math.max(0, milliseconds / 1000);
	if (seconds < 10) return `${seconds.toFixed(digits)} s`;
	const [size, unit] = UNITS.find(([each]) => seconds >= each);
	return `${Math.floor(seconds / size)} ${unit}`;
}

// Return 1 line, or 2,000 lines.
export const count = (number, noun, ending = "s") =>
	`${number.toLocaleString("en")} ${noun}${number === 1 ? "" : ending}`;
