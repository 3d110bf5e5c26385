/** Elements, times and text: what all parts of the page use. Text is only ever set as text. */

const SVG = "http://www.w3.org/2000/svg";

/** Shapes of the states, so that no state is told by its colour alone: 16 × 16, stroked. */
const SHAPES = {
  failed: "M4 4l8 8M12 4l-8 8",
  backoff: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3",
  pending: "M8 3v2M8 11v2M3 8h2M11 8h2",
  running: "M8 4.5a3.5 3.5 0 1 0 .01 0zM8 6.5a1.5 1.5 0 1 0 .01 0z",
  succeeded: "M3.5 8.5l3 3 6-7",
  stopped: "M5 5h6v6H5z",
  event: "M4 8h8",
};

/**
 * Create an element.
 * @param {string} tag Its name.
 * @param {Object} [attributes] Attributes; `on…` are listeners. null, undefined and false are left out.
 * @param {...(Node|string|null|undefined)} children What it contains.
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return the element with an id. */
export const byId = (id) => document.getElementById(id);

/** Set an element's text if it has another one, so that nothing is laid out in vain. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute if it has another value; null removes it. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Return the drawing of a state's shape. */
export function shape(kind) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `shape ${kind}`);
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", SHAPES[kind] ?? SHAPES.event);
  svg.append(path);
  return svg;
}

/** Change a shape into that of another state. */
export function setShape(svg, kind) {
  setAttribute(svg, "class", `shape ${kind}`);
  setAttribute(svg.firstChild, "d", SHAPES[kind] ?? SHAPES.event);
}

const tasks = new Set();
let frame = 0;

/** Call a function once in the next frame, however often it is asked for until then. */
export function inNextFrame(task) {
  tasks.add(task);
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const due = [...tasks];
    tasks.clear();
    for (const each of due) each();
  });
}

// Characters that are invisible, or that change the order in which others are shown.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const COLOURS = /\u001b\[[0-9;:]*m/g;

/** Return a text without terminal colours, and with each invisible character as an escape. */
export function visible(text) {
  return text
    .replace(COLOURS, "")
    .replace(HIDDEN, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-CA");

/** Return the local time of day, 14:01:07. */
export const timeOfDay = (at) => clock.format(at);

/** Return the local time of day to the millisecond, 14:01:07.119. */
export function preciseTime(date) {
  const two = (number) => `${number}`.padStart(2, "0");
  const seconds = `${two(date.getSeconds())}.${`${date.getMilliseconds()}`.padStart(3, "0")}`;
  return `${two(date.getHours())}:${two(date.getMinutes())}:${seconds}`;
}

/** Return the local date and time, 2026-11-26 14:01:07. */
export const dateTime = (at) => `${day.format(at)} ${clock.format(at)}`;

const UNITS = [[86_400, "d"], [3600, "h"], [60, "m"]];

/** Return a duration in its largest unit: 12 s, 4 m, 2 h, 3 d. */
export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  const [size, unit] = UNITS.find(([each]) => seconds >= each) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

/** Return a duration with a decimal below ten seconds: 0.9 s. */
export const shortDuration = (milliseconds) =>
  milliseconds < 9950 ? `${(Math.max(0, milliseconds) / 1000).toFixed(1)} s` : duration(milliseconds);

/** Return a <time> that shows the time of day, and the whole time when pointed at. */
export const timeElement = (at) =>
  h("time", { datetime: new Date(at).toISOString(), title: dateTime(at) }, timeOfDay(at));

/** Return MiB in words: 512 MiB, 4.8 GiB. */
export const memory = (mebibytes) =>
  mebibytes < 1024 ? `${mebibytes} MiB` : `${Number((mebibytes / 1024).toFixed(1))} GiB`;

/** Return thousandths of a core in cores: 1.6. */
export const cores = (millicores) => `${Number((millicores / 1000).toFixed(2))}`;

/** Return a number with its noun: 1 workload, 2 workloads, 2 matches. */
export const count = (number, noun, plural = `${noun}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;
