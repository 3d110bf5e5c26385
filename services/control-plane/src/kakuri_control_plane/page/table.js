/** The table of workloads: one row each, changed in place, so that focus and selection stay. */

import { byId, duration, h, inNextFrame, setAttribute, setShape, setText, shape, timeElement, visible } from "./parts.js";
import { filterOf } from "./store.js";

const BUILT_AT_ONCE = 150; // new rows of a frame
const REORDER = 1000; // milliseconds between changes of the order
const STILL = 1500; // milliseconds for which rows stay where they are under a moving pointer

const KEYS = {
  state: (row) => row.severity,
  name: (row) => row.id,
  why: (row) => row.why.toLowerCase(),
  image: (row) => row.image,
  restarts: (row) => -row.restarts,
  age: (row) => -row.at,
};

/** Shows the rows of a store that a filter admits, in an order of the user's choice. */
export class Table {
  #store;
  #elements = new Map(); // by id
  #body = byId("rows");
  #sort = "state";
  #isDescending = false;
  #admits = () => true;
  #hasFilter = false;
  #orderedAt = 0;
  #pointerAt = 0;
  #timer = 0;
  #selected = "";
  #home = null; // the one row that the Tab key reaches
  #onSelect;

  /**
   * @param {Store} store Whose workloads are shown.
   * @param {function(string): void} onSelect Is called with the id of a chosen workload.
   */
  constructor(store, onSelect) {
    this.#store = store;
    this.#onSelect = onSelect;
    store.subscribe((changed) => this.#update(changed));
    for (const header of document.querySelectorAll("th[data-sort]")) {
      header.firstElementChild.addEventListener("click", () => this.#sortBy(header.dataset.sort));
    }
    this.#body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row && !event.target.closest("a") && getSelection().isCollapsed) onSelect(row.dataset.id);
    });
    this.#body.addEventListener("pointermove", () => (this.#pointerAt = Date.now()));
    setInterval(() => inNextFrame(this.#showAges), 1000);
  }

  /** Show only workloads that a text of conditions admits. */
  filter(text) {
    this.#admits = filterOf(text);
    this.#hasFilter = text.trim() !== "";
    this.#order();
  }

  /** Mark a workload as chosen. */
  select(id) {
    const before = this.#elements.get(this.#selected);
    this.#selected = id;
    for (const element of [before, this.#elements.get(id)]) if (element) this.#mark(element);
    this.#setHome(this.#elements.get(id)?.row ?? this.#home);
    this.#elements.get(id)?.row.scrollIntoView({ block: "nearest" });
  }

  /** Choose the next workload, or with -1 the one before. */
  step(direction) {
    const rows = [...this.#body.children];
    const place = rows.findIndex((row) => row.dataset.id === this.#selected);
    const next = rows[place < 0 ? (direction > 0 ? 0 : rows.length - 1) : place + direction];
    if (!next) return;
    this.#onSelect(next.dataset.id);
    this.focus();
  }

  /** Move the focus to the chosen workload, or to the first. */
  focus() {
    this.#home?.querySelector("a").focus({ preventScroll: true });
  }

  #sortBy(key) {
    this.#isDescending = key === this.#sort && !this.#isDescending;
    this.#sort = key;
    for (const header of document.querySelectorAll("th[data-sort]")) {
      const direction = this.#isDescending ? "descending" : "ascending";
      setAttribute(header, "aria-sort", header.dataset.sort === key ? direction : null);
    }
    this.#order();
  }

  #update(changed) {
    let isNew = false;
    for (const id of changed) {
      const row = this.#store.rows.get(id);
      const element = this.#elements.get(id);
      if (!row || !element) isNew = true;
      else this.#fill(element, row);
    }
    if (isNew) this.#order();
    else if (changed.size) this.#orderLater();
    this.#showCount();
  }

  /** Change the order soon, but not under a pointer that is about to choose. */
  #orderLater() {
    if (this.#timer) return;
    const now = Date.now();
    const due = Math.max(this.#orderedAt + REORDER, this.#pointerAt + STILL, now);
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (Date.now() < this.#pointerAt + STILL) this.#orderLater();
      else inNextFrame(this.#order);
    }, due - now);
  }

  #order = () => {
    this.#orderedAt = Date.now();
    const key = KEYS[this.#sort];
    const sign = this.#isDescending ? -1 : 1;
    const rows = [...this.#store.rows.values()].filter(this.#admits);
    const keys = new Map(rows.map((row) => [row, key(row)]));
    const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
    rows.sort((one, other) =>
      sign * compare(keys.get(one), keys.get(other)) || compare(one.id, other.id),
    );
    this.#place(rows);
    this.#showCount(rows.length);
  };

  #place(rows) {
    const wanted = new Set();
    const places = [];
    let built = 0;
    for (const row of rows) {
      let element = this.#elements.get(row.id);
      if (!element) {
        if (built === BUILT_AT_ONCE) {
          inNextFrame(this.#order);
          continue;
        }
        built += 1;
        element = this.#build(row);
        this.#fill(element, row);
      }
      wanted.add(element.row);
      places.push(element.row);
    }
    for (const [id, { row }] of this.#elements) {
      if (!this.#store.rows.has(id)) this.#elements.delete(id);
      if (!wanted.has(row)) row.remove();
    }
    const focused = document.activeElement;
    let cursor = this.#body.firstChild;
    for (const row of places) {
      if (row === cursor) {
        cursor = cursor.nextSibling;
      } else if (row === cursor?.nextSibling) {
        cursor = row.nextSibling; // the one before is inserted at its own place
      } else {
        this.#body.insertBefore(row, cursor);
      }
    }
    if (focused !== document.activeElement && focused.isConnected) {
      focused.focus({ preventScroll: true });
    }
    const selected = this.#elements.get(this.#selected)?.row;
    this.#setHome(wanted.has(selected) ? selected : (places[0] ?? null));
  }

  #setHome(row) {
    if (row === this.#home) return;
    this.#home?.querySelector("a").setAttribute("tabindex", "-1");
    row?.querySelector("a").setAttribute("tabindex", "0");
    this.#home = row;
  }

  #build(row) {
    const element = {
      mark: shape(row.kind),
      state: h("span"),
      link: h("a", { href: `#/${row.id}`, tabindex: "-1" }, row.id),
      why: h("td", { role: "cell", class: "why" }),
      image: h("td", { role: "cell", class: "image" }),
      restarts: h("td", { role: "cell", class: "number" }),
      age: h("td", { role: "cell", class: "number age" }),
    };
    element.row = h(
      "tr", { role: "row", "data-id": row.id },
      h("td", { role: "cell", class: "state" }, element.mark, element.state),
      h("th", { role: "rowheader", scope: "row", class: "name" }, element.link),
      element.why, element.image, element.restarts, element.age,
    );
    this.#elements.set(row.id, element);
    this.#mark(element);
    return element;
  }

  #fill(element, row) {
    setAttribute(element.row, "data-kind", row.kind);
    setShape(element.mark, row.kind);
    setText(element.state, row.word);
    const why = visible(row.why);
    setText(element.why, why);
    setAttribute(element.why, "title", why || null);
    setText(element.image, visible(row.image));
    setAttribute(element.image, "title", row.image || null);
    setText(element.restarts, row.restarts ? `${row.restarts}` : "");
    if (element.at !== row.at) {
      element.at = row.at;
      element.time = timeElement(row.at);
      element.age.replaceChildren(element.time);
    }
    setText(element.time, duration(Date.now() - row.at));
  }

  #mark({ row }) {
    setAttribute(row, "aria-current", row.dataset.id === this.#selected ? "true" : null);
  }

  #showAges = () => {
    const now = Date.now();
    for (const { time, at } of this.#elements.values()) setText(time, duration(now - at));
  };

  #showCount(shown = this.#body.childElementCount) {
    const { rows, isComplete } = this.#store;
    setText(byId("count"), this.#hasFilter ? `${shown} of ${rows.size}` : `${rows.size}`);
    const note = byId("empty");
    note.hidden = shown > 0;
    if (shown > 0) return;
    if (!isComplete) setText(note, "Asking the control plane…");
    else if (rows.size) setText(note, "No workload matches the filter.");
    else setText(note, "No workloads on this node. Start one: kakuri run -d --name web nginx");
  }
}
