/** The pane about one workload: state, actions, timeline, log, specification, history, isolation. */

import { Problem, change, getJSON, reasonOf, workloadPath } from "./api.js";
import { LogView } from "./log.js";
import { byId, dateTime, duration, h, setAttribute, setShape, setText, shape, shortDuration, timeElement, timeOfDay, visible } from "./parts.js";

const REFRESH = 300; // milliseconds: changes that come together are read once
const TABS = ["log", "spec", "history", "isolation"];
const START_OF_RUN = new Set(["Pulling", "Restarted", "BackOff", "Adopted"]);

/** What can be done with a workload: the question, its explanation, and the request. */
const ACTIONS = {
  stop: {
    title: "Stop", grace: true,
    text: "Its run is ended. Record, log and history stay, and it can be started again.",
    send: (path, grace) => change("POST", `${path}/stop`, { grace_seconds: grace }),
  },
  start: {
    title: "Start",
    text: "It is run once more, as its next attempt.",
    send: (path) => change("POST", `${path}/start`),
  },
  restart: {
    title: "Restart", grace: true,
    text: "Its run is ended, and the next one begins.",
    send: (path, grace) => change("POST", `${path}/restart`, { grace_seconds: grace }),
  },
  rm: {
    title: "Remove", grace: true,
    text: "It is stopped and removed for good. Its last state and the end of its log stay readable for a while.",
    send: (path, grace) => change("DELETE", `${path}?grace_seconds=${grace}`),
  },
};

/** Shows a workload of a store. */
export class Detail {
  #store;
  #announce;
  #id = "";
  #tab = "log";
  #log = new LogView();
  #details = null;
  #transitions = [];
  #timer = 0;
  #reading = null;
  #isDue = false;
  #action = null;

  /**
   * @param {Store} store Where the workload's state is.
   * @param {function(string): void} announce Tells what an action did, also to screen readers.
   */
  constructor(store, announce) {
    this.#store = store;
    this.#announce = announce;
    store.subscribe((changed) => {
      if (changed.has(this.#id)) this.#changed();
    });
    for (const name of TABS) byId(`tab-${name}`).addEventListener("click", () => this.#go(name));
    byId("tabs").addEventListener("keydown", (event) => this.#moveTab(event));
    for (const name of Object.keys(ACTIONS)) {
      byId(`do-${name}`).addEventListener("click", () => this.#ask(name));
    }
    byId("question").addEventListener("close", () => this.#answered());
    setInterval(() => this.#showTimes(), 1000);
  }

  /** Show a workload and one of the tabs; an empty id closes the pane. */
  show(id, tab = "log") {
    byId("detail").hidden = !id;
    document.body.classList.toggle("has-detail", Boolean(id));
    const isOther = id !== this.#id;
    this.#id = id;
    this.#tab = TABS.includes(tab) ? tab : "log";
    for (const name of TABS) {
      const isShown = name === this.#tab;
      setAttribute(byId(`tab-${name}`), "aria-selected", `${isShown}`);
      setAttribute(byId(`tab-${name}`), "tabindex", isShown ? "0" : "-1");
      byId(`panel-${name}`).hidden = !isShown;
    }
    if (isOther) {
      this.#details = null;
      this.#transitions = [];
      this.#log.open(id);
      byId("log-download").href = id ? `${workloadPath(id)}/log` : "";
      byId("log-download").download = `${id}.log`;
      setText(byId("cli"), `kakuri logs -f ${id}`);
      if (id) this.#read();
    }
    this.#fill();
  }

  #go(tab) {
    location.hash = `#/${this.#id}${tab === "log" ? "" : `/${tab}`}`;
  }

  #moveTab(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const place = TABS.indexOf(this.#tab);
    const next = event.key === "Home" ? 0 : event.key === "End" ? TABS.length - 1 : step && (place + step + TABS.length) % TABS.length;
    if (next === undefined) return;
    event.preventDefault();
    byId(`tab-${TABS[next]}`).focus();
    this.#go(TABS[next]);
  }

  #changed() {
    this.#fill();
    if (this.#store.rows.get(this.#id)?.state !== "succeeded") this.#log.resume();
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#read();
    }, REFRESH);
  }

  /** Read what events do not have, one request at a time. */
  async #read() {
    if (this.#reading === this.#id) {
      this.#isDue = true;
      return;
    }
    const id = (this.#reading = this.#id);
    const isRemoved = this.#store.isComplete && !this.#store.rows.has(id);
    const removed = isRemoved ? "removed" : "";
    try {
      const [details, history] = await Promise.all([
        getJSON(`${workloadPath(id)}?spec${removed && `&${removed}`}`),
        getJSON(`${workloadPath(id)}/history${removed && `?${removed}`}`),
      ]);
      if (id !== this.#id) return;
      this.#details = details;
      this.#transitions = history.transitions;
      if (!isRemoved) this.#store.describe(details);
    } catch (error) {
      if (id !== this.#id) return;
      if (error instanceof Problem && error.status === 404) this.#details ??= { missing: error.message };
    } finally {
      if (this.#reading === id) this.#reading = null;
    }
    this.#fill();
    if (this.#isDue) {
      this.#isDue = false;
      this.#read();
    }
  }

  #fill() {
    if (!this.#id) return;
    const row = this.#store.rows.get(this.#id);
    const details = this.#details ?? {};
    const isGone = this.#store.isComplete && !row;
    const kind = row?.kind ?? (details.state || "event");
    setText(byId("detail-name"), this.#id);
    byId("detail").setAttribute("aria-label", `Workload ${this.#id}`);
    setShape(byId("detail-shape").firstChild ?? byId("detail-shape").appendChild(shape(kind)), kind);
    byId("detail").dataset.kind = kind;
    const word = isGone ? (details.missing ? "unknown" : "removed") : (row?.word ?? "…");
    setText(byId("detail-state"), word);
    setText(byId("detail-why"), visible(row?.why ?? details.missing ?? ""));
    this.#fillFacts(row, details);
    this.#showActions(row);
    this.#showTimeline(isGone);
    this.#showSpec(details);
    this.#showHistory();
    this.#showIsolation(details);
    this.#showTimes();
  }

  #fillFacts(row, details) {
    const spec = details.spec ?? {};
    const facts = [
      ["Image", spec.image && visible(spec.image)],
      ["Digest", details.image_digest],
      ["Address", details.address],
      ["Memory", spec.memory_mb && `${spec.memory_mb} MiB`],
      ["CPU", spec.cpu_millicores && `${spec.cpu_millicores / 1000}`],
      ["Class", spec.runtime_class],
      ["Restarts", row?.restarts ? `${row.restarts}` : ""],
      ["Created", details.created_at && dateTime(Date.parse(details.created_at))],
      ["Removed", details.removed_at && dateTime(Date.parse(details.removed_at))],
      ["Labels", Object.entries(spec.labels ?? {}).map(([key, value]) => `${visible(key)}=${visible(value)}`).join("  ")],
    ].filter(([, value]) => value);
    const list = byId("facts");
    const text = JSON.stringify(facts);
    if (list.dataset.shown === text) return;
    list.dataset.shown = text;
    list.replaceChildren(...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  #showActions(row) {
    const hasEnded = row && (row.state === "failed" || row.state === "succeeded");
    byId("do-start").hidden = !row || !(hasEnded || row.kind === "backoff");
    byId("do-stop").hidden = !row || hasEnded;
    byId("do-restart").hidden = !row || hasEnded;
    byId("do-rm").hidden = !row;
    const isRemoving = row?.desired === "removed";
    for (const name of Object.keys(ACTIONS)) byId(`do-${name}`).disabled = isRemoving;
  }

  #showTimes() {
    if (!this.#id) return;
    const row = this.#store.rows.get(this.#id);
    const parts = row ? [`for ${duration(Date.now() - row.at)}`] : [];
    const restart = row?.kind === "backoff" && this.#details?.restart_at;
    if (restart) {
      const left = Date.parse(restart) - Date.now();
      parts.push(left > 0 ? `next run in ${duration(left)}` : "next run is due");
    }
    setText(byId("detail-since"), parts.join(" · "));
  }

  /** Show the steps of the latest run, each as wide as it was long, in a root scale. */
  #showTimeline(isGone) {
    const all = this.#transitions;
    let first = all.findLastIndex(({ reason }) => START_OF_RUN.has(reason));
    if (first < 0) first = 0;
    const steps = all.slice(first).map((step, place, list) => {
      const next = list[place + 1];
      const at = Date.parse(step.at);
      const isLast = !next;
      const length = (isLast ? Math.max(at, Date.now()) : Date.parse(next.at)) - at;
      return { step, length, isOpen: isLast && !isGone && !isEnd(step), isEnd: isLast && isEnd(step) };
    });
    const key = JSON.stringify(all.slice(first)) + isGone;
    const list = byId("timeline");
    if (list.dataset.shown === key) return;
    list.dataset.shown = key;
    list.replaceChildren(...steps.map(({ step, length, isOpen, isEnd: hasNoLength }) => {
      const label = step.reason && step.reason !== "Stopped" ? step.reason : step.state;
      const kind = step.reason === "BackOff" ? "backoff" : step.reason === "Stopped" && step.state !== "pending" ? "stopped" : step.state;
      const time = isOpen ? `since ${timeOfDay(Date.parse(step.at))}` : hasNoLength ? timeOfDay(Date.parse(step.at)) : shortDuration(length);
      const item = h(
        "li", { class: kind, title: `${dateTime(Date.parse(step.at))} ${visible(step.message ?? "")}` },
        h("span", { class: "bar" }), h("b", {}, visible(label)), h("span", { class: "muted" }, time),
      );
      item.style.flexGrow = hasNoLength ? 0 : Math.max(1, Math.sqrt(length / 100));
      return item;
    }));
  }

  #showSpec(details) {
    const box = byId("panel-spec");
    const text = details.spec ? visible(JSON.stringify(details.spec, null, 2)) : details.missing ?? "";
    setText(byId("spec"), text);
    box.classList.toggle("is-empty", !text);
  }

  #showHistory() {
    const body = byId("history");
    const key = JSON.stringify(this.#transitions);
    if (body.dataset.shown === key) return;
    body.dataset.shown = key;
    body.replaceChildren(...this.#transitions.toReversed().map((each) => h(
      "tr", {},
      h("td", {}, timeElement(Date.parse(each.at))),
      h("td", { class: "state" }, shape(each.reason === "BackOff" ? "backoff" : each.state), each.state),
      h("td", {}, visible(each.reason ?? ""), each.count > 1 ? ` × ${each.count}` : ""),
      h("td", { class: "number" }, each.exit_code === undefined ? "" : `${each.exit_code}`),
      h("td", {}, visible(each.message ?? "")),
    )));
  }

  #showIsolation(details) {
    const list = byId("isolation");
    const found = details.isolation;
    const isSimulated = this.#store.node?.simulated;
    const hasOwn = found?.kernel && found.host_kernel && found.kernel !== found.host_kernel;
    const shared = found?.kernel && found.kernel === found.host_kernel;
    let verdict = "There is no evidence yet: it is read some seconds after a start, and that of an ended run is kept in memory only.";
    if (isSimulated) verdict = "Nothing really runs on this node, so nothing is isolated.";
    else if (hasOwn) verdict = "The zone has a kernel of its own.";
    else if (shared) verdict = "The zone shares the host's kernel: it is a container.";
    else if (found) verdict = "The kernels could not be compared.";
    setText(byId("verdict"), verdict);
    const facts = found
      ? [
        ["Handler", found.handler], ["Kernel of the zone", found.kernel && `${found.kernel} (as the image's own uname reports it)`],
        ["Kernel of the host", found.host_kernel], ["Security profile", found.profile],
        ["Checked", dateTime(Date.parse(found.checked_at))],
      ].filter(([, value]) => value)
      : [];
    list.replaceChildren(...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, visible(value)))));
  }

  #ask(name) {
    const action = ACTIONS[name];
    this.#action = { ...action, name, id: this.#id };
    setText(byId("question-title"), `${action.title} ${this.#id}?`);
    setText(byId("question-text"), action.text);
    byId("question-grace").hidden = !action.grace;
    setText(byId("question-cli"), `kakuri ${name} ${this.#id}`);
    setText(byId("question-yes"), action.title);
    byId("question-yes").classList.toggle("danger", name === "rm");
    byId("question").returnValue = "";
    byId("question").showModal();
  }

  async #answered() {
    const { title, send, id } = this.#action;
    if (byId("question").returnValue !== "yes") return;
    const grace = Math.min(3600, Math.max(0, Math.trunc(byId("grace").valueAsNumber || 0)));
    try {
      await send(workloadPath(id), grace);
      this.#announce(`${title} ${id}: accepted`);
    } catch (error) {
      const hint = isSecureContext ? "" : " (browsers may change nothing over plain HTTP, except on localhost)";
      this.#announce(`${title} ${id} failed: ${reasonOf(error)}${hint}`, true);
    }
  }
}

const isEnd = ({ state }) => state === "failed" || state === "succeeded";
