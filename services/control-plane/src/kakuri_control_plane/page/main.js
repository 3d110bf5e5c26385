/** The page: connects the parts, and has the banner, the list of events and the keys. */

import { Problem, getJSON, reasonOf, workloadPath } from "./api.js";
import { Detail } from "./detail.js";
import { Feed } from "./feed.js";
import { byId, cores, count, duration, h, inNextFrame, memory, setAttribute, setText, shape, timeElement, timeOfDay, visible } from "./parts.js";
import { Store } from "./store.js";
import { Table } from "./table.js";

const NODE_PERIOD = 5000; // milliseconds between descriptions of the node
const SHOWN_EVENTS = 200;
const QUIET = 5000; // milliseconds between two announcements
const FEW = 8; // workloads whose specifications are read one by one

const store = new Store();
const detail = new Detail(store, announce);
const table = new Table(store, select);
const feed = new Feed(store, () => inNextFrame(showHealth));

// Selection: the address names the workload and the tab, so that it can be bookmarked.

function select(id) {
  location.hash = id ? `#/${id}` : "#/";
}

function route() {
  const [id, tab] = location.hash.replace(/^#\/?/, "").split("/");
  table.select(decodeURIComponent(id));
  detail.show(decodeURIComponent(id), tab);
}

addEventListener("hashchange", route);
byId("close").addEventListener("click", close);

function close() {
  select("");
  table.focus();
}

// Banner: what is wrong, and is there room.

function showCounts() {
  const counts = new Map();
  for (const row of store.rows.values()) counts.set(row.kind, (counts.get(row.kind) ?? 0) + 1);
  for (const button of document.querySelectorAll("[data-count]")) {
    const number = counts.get(button.dataset.count) ?? 0;
    if (!button.firstElementChild) button.prepend(shape(button.dataset.count), h("b"));
    setText(button.querySelector("b"), `${number}`);
    button.classList.toggle("none", number === 0);
  }
  const failed = counts.get("failed") ?? 0;
  document.title = failed ? `(${failed} failed) Kakuri` : "Kakuri";
}

for (const button of document.querySelectorAll("[data-count]")) {
  button.addEventListener("click", () => setFilter(button.dataset.filter));
}

function showMeter(name, used, total, text) {
  byId(name).hidden = total === undefined;
  if (total === undefined) return;
  const meter = byId(name).querySelector("meter");
  meter.max = total;
  meter.high = total * 0.9;
  meter.value = used ?? 0;
  setText(byId(name).querySelector("span"), text);
}

function showNode() {
  const { node, nodeFault } = store;
  const parts = node ? [node.name, node.state, node.runtime, node.version] : [nodeFault || "…"];
  setText(byId("node"), parts.join(" · "));
  setAttribute(byId("node"), "data-state", node?.state ?? "unknown");
  const handlers = Object.entries(node?.handlers ?? {}).map((pair) => pair.join(" → ")).join(", ");
  setAttribute(byId("node"), "title", handlers || null);
  showMeter("memory", node?.memory_mb_used, node?.memory_mb,
    node && `${memory(node.memory_mb_used ?? 0)} of ${memory(node.memory_mb ?? 0)}`);
  showMeter("cpu", node?.cpu_millicores_used, node?.cpu_millicores,
    node && `${cores(node.cpu_millicores_used ?? 0)} of ${cores(node.cpu_millicores ?? 0)} cores`);
  byId("simulated").hidden = !node?.simulated;
  showHealth();
}

async function readNode() {
  if (document.hidden) return;
  try {
    const { nodes } = await getJSON("/nodes");
    [store.node] = nodes;
    store.nodeFault = "";
  } catch (error) {
    store.nodeFault = error instanceof Problem ? reasonOf(error) : "";
  }
  inNextFrame(showNode);
}

setInterval(readNode, NODE_PERIOD);
document.addEventListener("visibilitychange", readNode);

// Connection: what is shown stays while the API is gone, and says from when it is.

let wasLost = false;

function showHealth() {
  const isLost = feed.health === "lost";
  const { node, nodeFault } = store;
  document.body.classList.toggle("stale", isLost);
  setAttribute(byId("live"), "data-health", feed.health);
  setText(byId("live"), isLost ? "not connected" : feed.health === "live" ? "live" : "connecting…");
  const lines = [];
  if (isLost) {
    const since = feed.lostSince || Date.now();
    const next = Math.max(0, feed.retryAt - Date.now());
    lines.push(store.isComplete
      ? `Last heard at ${timeOfDay(since)}, ${duration(Date.now() - since)} ago: ${feed.fault}. What is shown is from then.`
      : `No answer yet: ${feed.fault}.`);
    setText(byId("next"), feed.retryAt ? `next attempt in ${Math.ceil(next / 1000)} s` : "");
  } else if (nodeFault) {
    lines.push(nodeFault);
  } else if (node && node.state !== "ready") {
    const heard = timeOfDay(Date.parse(node.last_heard));
    lines.push(`Node ${node.name} is ${node.state}: ${node.message ?? "it does not answer"}. Last heard at ${heard}.`);
  }
  byId("trouble").hidden = !lines.length;
  byId("reconnect").hidden = !isLost;
  setText(byId("trouble-text"), lines.map(visible).join(" "));
  if (isLost !== wasLost) {
    announce(isLost ? "The connection to the control plane is lost." : "The control plane answers again.");
    wasLost = isLost;
    if (!isLost) readNode();
  }
}

setInterval(() => inNextFrame(showHealth), 1000);
byId("retry").addEventListener("click", () => feed.retry());

// Events: the newest first.

function eventElement(event) {
  const kind = event.type === "workload" ? store.rows.get(event.id)?.kind : event.type;
  const text = {
    workload: event.state,
    desired: event.desired ? `to be ${event.desired}` : "as desired",
    removed: "removed",
    runtime: event.available ? "container runtime answers" : "container runtime does not answer",
    node: `agent ${event.version ?? ""} started`,
    gap: "events before this one are no longer kept",
  }[event.type] ?? event.type;
  const shapeOf = event.type === "workload"
    ? event.reason === "BackOff" ? "backoff" : event.reason === "Stopped" && event.state !== "pending" ? "stopped" : event.state
    : "event";
  const why = [
    event.reason, event.exit_code !== undefined ? `exit ${event.exit_code}` : "", event.message,
  ].filter(Boolean).join(" · ");
  return h(
    "li", {},
    timeElement(Date.parse(event.at)),
    h("span", { class: "index" }, event.index ? `${event.index}` : ""),
    event.id ? h("a", { href: `#/${event.id}` }, event.id) : h("span", {}, "node"),
    h("span", { class: "what" }, shape(shapeOf ?? kind), visible(text)),
    h("span", { class: "why", title: visible(why) || null }, visible(why)),
  );
}

function showEvents(arrivals) {
  const list = byId("events");
  list.prepend(...arrivals.slice(-SHOWN_EVENTS).reverse().map(eventElement));
  while (list.childElementCount > SHOWN_EVENTS) list.lastChild.remove();
  byId("no-events").hidden = list.childElementCount > 0;
}

// Announcements: for screen readers politely and not too often, and to be read for some seconds.

const news = [];
let announcedAt = 0;
let announceTimer = 0;

function announce(text, isFault = false) {
  news.push(text);
  const toast = byId("toast");
  if (isFault || text.includes(": accepted")) {
    setText(byId("toast-text"), visible(text));
    toast.hidden = false;
    toast.classList.toggle("fault", isFault);
    clearTimeout(announce.timer);
    announce.timer = setTimeout(() => (toast.hidden = true), isFault ? 15_000 : 4000);
  }
  announceTimer ||= setTimeout(() => {
    announceTimer = 0;
    announcedAt = Date.now();
    const some = news.splice(0);
    const more = some.length > 3 ? ` and ${count(some.length - 3, "more change")}` : "";
    setText(byId("status"), some.slice(0, 3).map(visible).join("; ") + more);
  }, Math.max(0, announcedAt + QUIET - Date.now()));
}

function announceChanges(arrivals) {
  for (const { type, id, state, reason } of arrivals) {
    if (type === "workload" && state === "failed" && reason !== "Stopped") announce(`${id} failed: ${reason ?? ""}`);
    else if (type === "removed") announce(`${id} was removed`);
  }
}

// Images and labels: in the list of workloads, not in events.

let isDescribing = false;

async function describe() {
  if (isDescribing || document.hidden || feed.health !== "live") return;
  const ids = store.undescribed();
  if (!ids.length || !store.isComplete) return;
  isDescribing = true;
  try {
    if (ids.length <= FEW) {
      for (const id of ids) {
        await getJSON(`${workloadPath(id)}?spec`).then((found) => store.describe(found), () => {});
      }
    } else {
      for (let next = ""; next !== undefined; ) {
        const page = await getJSON(`/workloads?spec&limit=100&after=${encodeURIComponent(next)}`);
        for (const workload of page.workloads) store.describe(workload);
        next = page.next;
      }
    }
  } catch {
    // The API is gone, which the stream reports; the next second tries again.
  } finally {
    isDescribing = false;
  }
}

setInterval(describe, 1000);

store.subscribe((changed, arrivals) => {
  showCounts();
  if (arrivals.length) {
    showEvents(arrivals);
    announceChanges(arrivals);
  }
  if (arrivals.some(({ type }) => type === "node" || type === "runtime")) readNode();
  if (store.isComplete && store.undescribed().length > 0) describe();
});

// Filter and keys.

function setFilter(text) {
  byId("filter").value = text;
  table.filter(text);
}

byId("filter").addEventListener("input", () => table.filter(byId("filter").value));
byId("filter").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.preventDefault();
  setFilter("");
  table.focus();
});
byId("help").addEventListener("click", () => byId("keys").showModal());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const isTyping = event.target.matches("input, textarea, select");
  if (isTyping && event.key !== "Escape") return;
  const action = {
    j: () => table.step(1),
    k: () => table.step(-1),
    "/": () => byId("filter").focus(),
    "?": () => byId("keys").showModal(),
    Escape: () => (isTyping ? event.target.blur() : close()),
  }[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

readNode();
showCounts();
route();
