/**
 * The log of a workload.
 *
 * Lines stay in the document, in blocks that the browser lays out only when they are in view. While
 * the reader is paused, lines that arrive wait outside of it, so that nothing moves.
 */

import { Backoff, Problem, pause, readLines, reasonOf, request, workloadPath } from "./api.js";
import { byId, count, dateTime, h, inNextFrame, preciseTime, setText, visible } from "./parts.js";

const MAX_LINES = 20_000; // that are kept; the oldest go first
const MAX_CHARACTERS = 16 << 20; // of all kept lines
const BLOCK = 200; // lines
const FRAME = 8; // milliseconds of a frame for new lines
const MAX_RANGES = 2000; // highlighted matches
const highlights = globalThis.Highlight && CSS.highlights;

/** Shows one log at a time, and follows it. */
export class LogView {
  #box = byId("log");
  #id = "";
  #stop = null; // aborted when another log is opened, or the tab is hidden
  #lines = []; // {text, element, attempt} or marks
  #blocks = []; // {element, size}
  #waiting = [];
  #characters = 0;
  #dropped = 0;
  #arrived = 0; // while paused
  #isFollowing = true;
  #top = 0;
  #ended = "";
  #position = { at: "", times: 0 }; // of the last line: how many had its time
  #pattern = null;
  #hits = [];
  #current = -1;
  #scan = 0;

  constructor() {
    this.#box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    byId("log-follow").addEventListener("click", () => this.follow(!this.#isFollowing));
    byId("log-new").addEventListener("click", () => this.follow(true));
    for (const name of ["wrap", "times"]) {
      const button = byId(`log-${name}`);
      button.addEventListener("click", () => {
        const isOn = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", `${isOn}`);
        this.#box.classList.toggle(name, isOn);
        if (this.#isFollowing) this.#toEnd();
      });
    }
    for (const name of ["regex", "only"]) {
      const button = byId(`log-${name}`);
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", `${button.getAttribute("aria-pressed") !== "true"}`);
        this.#search();
      });
    }
    byId("log-search").addEventListener("input", () => this.#search());
    byId("log-search").addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#step(event.shiftKey ? -1 : 1);
    });
    byId("log-back").addEventListener("click", () => this.#jump(-1));
    byId("log-forth").addEventListener("click", () => this.#jump(1));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#stop?.abort();
      else if (this.#id) this.#run();
    });
  }

  /** Show a workload's log, or with an empty id none. */
  open(id) {
    this.#stop?.abort();
    this.#id = id;
    this.#clear();
    this.#ended = "";
    this.#box.setAttribute("aria-label", `Log of ${id}`);
    this.follow(true);
    if (id) this.#run();
  }

  #clear() {
    this.#lines = [];
    this.#blocks = [];
    this.#waiting = [];
    this.#characters = this.#dropped = this.#arrived = 0;
    this.#position = { at: "", times: 0 };
    this.#box.replaceChildren();
    this.#search();
  }

  /** Read on, if the log had ended: the workload runs again. */
  resume() {
    if (this.#id && this.#ended && !document.hidden) this.#run();
  }

  /** Follow new lines, or stay where the reader is. */
  follow(isFollowing) {
    this.#isFollowing = isFollowing;
    byId("log-follow").setAttribute("aria-pressed", `${isFollowing}`);
    if (isFollowing) {
      this.#arrived = 0;
      this.#toEnd();
      inNextFrame(this.#append);
    }
    this.#showState();
  }

  async #run() {
    this.#stop?.abort();
    const { signal } = (this.#stop = new AbortController());
    const backoff = new Backoff();
    this.#ended = "";
    for (;;) {
      this.#showState("reading…");
      try {
        await this.#read(signal, backoff);
        if (!signal.aborted) this.#ended = "end of the log";
        break;
      } catch (error) {
        if (signal.aborted) return;
        const isFinal = error instanceof Problem && error.status < 500;
        this.#showState(error instanceof Problem ? reasonOf(error) : "the log was cut off; reading on soon");
        if (isFinal) {
          this.#ended = reasonOf(error);
          break;
        }
      }
      await pause(backoff.next(), signal);
      if (signal.aborted) return;
    }
    this.#showState();
  }

  async #read(signal, backoff) {
    const { at, times } = this.#position;
    if (!at) this.#clear(); // lines without a time can't be continued after
    const from = at ? `since=${encodeURIComponent(at)}` : `tail=${MAX_LINES}`;
    const path = `${workloadPath(this.#id)}/log?format=ndjson&follow&${from}`;
    const response = await request(path, { signal });
    this.#showState();
    let known = times; // lines with the last time that were received before
    await readLines(response, (lines) => {
      if (signal.aborted) return;
      backoff.reset();
      const fresh = lines.filter((line) => {
        if (known > 0 && line.at === at) known -= 1;
        else return true;
      });
      for (const line of fresh) this.#receive(line);
      inNextFrame(this.#append);
    });
  }

  #receive(line) {
    if (line.at) {
      const isSame = line.at === this.#position.at;
      this.#position = { at: line.at, times: isSame ? this.#position.times + 1 : 1 };
    }
    this.#waiting.push(line);
    if (this.#waiting.length > MAX_LINES * 1.1) {
      this.#dropped += this.#waiting.length - MAX_LINES;
      this.#waiting.splice(0, this.#waiting.length - MAX_LINES);
    }
    if (!this.#isFollowing && !line.type) this.#arrived += 1;
  }

  #append = () => {
    if (!this.#isFollowing) {
      this.#showNew();
      return;
    }
    const started = performance.now();
    let done = 0;
    while (done < this.#waiting.length && (done % 50 || performance.now() - started < FRAME)) {
      this.#add(this.#waiting[done]);
      done += 1;
    }
    this.#waiting.splice(0, done);
    this.#shorten();
    this.#toEnd();
    if (this.#pattern) this.#showHits();
    if (this.#waiting.length) inNextFrame(this.#append);
    this.#showNew();
    this.#showState();
  };

  #add(line) {
    const entry = lineElement(line);
    let block = this.#blocks.at(-1);
    if (!block || block.size === BLOCK) {
      block = { element: h("div", { class: "block" }), size: 0 };
      this.#blocks.push(block);
      this.#box.append(block.element);
    }
    block.size += 1;
    block.element.append(entry.element);
    this.#characters += entry.text.length;
    this.#lines.push(entry);
    if (this.#scan < this.#lines.length - 1) return; // the scan comes to it
    this.#test(entry);
    this.#scan += 1;
  }

  #shorten() {
    while (
      this.#blocks.length > 1 &&
      (this.#lines.length - this.#blocks[0].size >= MAX_LINES || this.#characters > MAX_CHARACTERS)
    ) {
      const { element, size } = this.#blocks.shift();
      element.remove();
      for (const { text } of this.#lines.splice(0, size)) this.#characters -= text.length;
      this.#dropped += size;
      const hits = this.#hits.length;
      this.#hits = this.#hits.filter((hit) => hit.element.isConnected);
      this.#current = Math.max(-1, this.#current - hits + this.#hits.length);
      this.#scan = Math.max(0, this.#scan - size);
    }
  }

  #toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#top = this.#box.scrollTop;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < 8;
    if (this.#isFollowing && scrollTop < this.#top - 2 && !isAtEnd) this.follow(false);
    else if (!this.#isFollowing && isAtEnd && scrollTop > this.#top) this.follow(true);
    this.#top = this.#box.scrollTop;
  }

  #showNew() {
    const button = byId("log-new");
    button.hidden = this.#isFollowing || !this.#arrived;
    if (!button.hidden) setText(button, `↓ ${count(this.#arrived, "new line")}`);
  }

  #showState(note) {
    const parts = [count(this.#lines.length, "line")];
    if (this.#dropped) parts.push(`${count(this.#dropped, "older line")} dropped`);
    if (!this.#isFollowing) parts.push("paused");
    if (note || this.#ended) parts.push(note || this.#ended);
    setText(byId("log-state"), parts.join(" · "));
  }

  #jump(direction) {
    const marks = this.#lines.filter(({ isMark }) => isMark);
    const top = this.#box.getBoundingClientRect().top;
    const place = ({ element }) => element.getBoundingClientRect().top - top;
    const next = direction > 0
      ? marks.find((mark) => place(mark) > 8)
      : marks.findLast((mark) => place(mark) < -8);
    if (next) this.#reveal(next.element, "start");
    else if (direction < 0) this.#reveal(this.#box.firstElementChild, "start");
    else this.follow(true);
  }

  #reveal(element, block) {
    if (!element) return;
    this.follow(false);
    element.scrollIntoView({ block });
    this.#top = this.#box.scrollTop;
  }

  // Search: every line that is loaded, in slices; then each line as it arrives.

  #search() {
    const input = byId("log-search");
    const isRegex = byId("log-regex").getAttribute("aria-pressed") === "true";
    const isOnly = byId("log-only").getAttribute("aria-pressed") === "true";
    const text = input.value;
    this.#pattern = null;
    let fault = "";
    try {
      const source = isRegex ? text : text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
      if (text) this.#pattern = new RegExp(source, "gi");
    } catch (error) {
      fault = error.message.replace(/^.*: /, "");
    }
    input.setAttribute("aria-invalid", `${fault !== ""}`);
    this.#box.classList.toggle("only", isOnly && this.#pattern !== null);
    this.#hits = [];
    this.#current = -1;
    this.#scan = 0;
    setText(byId("log-hits"), fault);
    highlights?.delete("match");
    if (!fault) inNextFrame(this.#scanOn);
  }

  #scanOn = () => {
    const started = performance.now();
    while (this.#scan < this.#lines.length && performance.now() - started < FRAME) {
      const end = Math.min(this.#scan + 100, this.#lines.length);
      for (; this.#scan < end; this.#scan += 1) this.#test(this.#lines[this.#scan]);
    }
    if (this.#scan < this.#lines.length) inNextFrame(this.#scanOn);
    else if (this.#pattern) this.#showHits();
    else setText(byId("log-hits"), "");
    if (this.#isFollowing) this.#toEnd();
  };

  #test(line) {
    const { text, element } = line;
    const isHit = this.#pattern !== null && !line.isMark && text.search(this.#pattern) >= 0;
    element.classList.toggle("hit", isHit);
    if (isHit) this.#hits.push(line);
  }

  #showHits = () => {
    const hits = this.#hits.length;
    const place = this.#current >= 0 ? `${this.#current + 1} of ` : "";
    setText(byId("log-hits"), hits ? `${place}${count(hits, "match", "matches")}` : "no match");
    if (highlights) highlights.set("match", new Highlight(...this.#ranges()));
  };

  #ranges() {
    const ranges = [];
    for (const { text, element } of this.#hits.slice(-MAX_RANGES)) {
      const node = element.lastChild.firstChild;
      for (const { 0: found, index } of text.matchAll(this.#pattern)) {
        if (found && ranges.length < MAX_RANGES) {
          ranges.push(new StaticRange({
            startContainer: node, startOffset: index, endContainer: node, endOffset: index + found.length,
          }));
        }
      }
    }
    return ranges;
  }

  #step(direction) {
    const hits = this.#hits;
    if (!hits.length) return;
    hits[this.#current]?.element.classList.remove("current");
    const first = direction > 0 ? 0 : hits.length - 1;
    this.#current = this.#current < 0 ? first : (this.#current + direction + hits.length) % hits.length;
    const { element } = hits[this.#current];
    element.classList.add("current");
    this.#reveal(element, "center");
    this.#showHits();
  }
}

/** Return a line of the log, or a mark between lines, as an element. */
function lineElement(line) {
  if (line.type) {
    const text = line.type === "attempt" ? `attempt ${line.attempt}` : "lines were removed here";
    return { text, isMark: line.type === "attempt", element: h("div", { class: "mark" }, h("span", {}, text)) };
  }
  const text = visible(line.line);
  const isError = line.stream === "stderr";
  const moment = line.at ? new Date(line.at) : null;
  const element = h(
    "div", { class: isError ? "line err" : "line" },
    moment && h("time", { datetime: line.at, title: dateTime(moment) }, preciseTime(moment)),
    h("span", { class: "source" }, isError ? "err" : ""),
    h("span", { class: "text" }, text),
  );
  return { text, isMark: false, element };
}
