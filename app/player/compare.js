// Compare: several methods on one prompt, replayed as a race. Everything shown comes from their events.
import { visitBatches } from "./batch.js";
import { Column } from "./column.js";
import { build, drawLanes, drawTable, headline, notes, speedTold } from "./compare_dom.js";
import { make } from "./dom.js";
import { append, Inbox, openRecorded, setup, statusLine } from "./inbox.js";
import { linkTo, register, whenShown } from "./places.js";
import { ALIGNMENTS, changeAfter, extentOf, indexAt, laneOf, startOf, translate } from "./race.js";
import { calm, Transport } from "./transport.js";
import { say } from "./words.js";

const LARGE = ["medusa", "propd"]; // shown large from the beginning, where they take part
const MOST = 4; // seen large side by side
const RATES = { clock: 1, step: 3, token: 6 }; // positions a second at speed 1; the clock as it ran
const DIGITS = { clock: 2, step: 0, token: 0 };

export class Race {
  constructor(host, { words, labels, comparisons, base }) {
    Object.assign(this, { words, labels, comparisons, base, run: null, lanes: [], shown: [], columns: [], alignment: "clock" });
    this.inbox = new Inbox({
      begin: () => ({ runs: {}, texts: {} }), merge: (run, message) => this.merge(run, message), changed: (run) => this.news(run),
    });
    this.playback = new Transport(words, {
      start: () => startOf(this.alignment), end: () => extentOf(this.lanes, this.alignment), rate: () => RATES[this.alignment],
      after: (position, direction) => changeAfter(this.lanes, this.alignment, position, direction),
      told: (position) => this.told(position), changed: () => this.render(),
    });
    this.parts = build(words, { align: (name) => this.align(name), key: (event) => this.key(event), bar: this.playback.bar });
    host.replaceChildren(this.parts.root);
    this.chips();
    whenShown(this.parts.columns, () => this.redraw());
    new MutationObserver(() => this.redraw()).observe(document.body, { attributeFilter: ["class"] });
  }

  // --- runs ---

  chips() {
    const chip = (label, pressed, onclick, title) => make("button", {
      type: "button", class: "propd-chip", "aria-pressed": String(Boolean(pressed)), onclick, title: title || null,
    }, label);
    const chips = this.comparisons.map((one) => chip(one.label, this.run && this.run.name === one.name, () => openRecorded(this, one), one.title));
    const live = this.inbox.run;
    if (live && live.begun) chips.unshift(chip(this.words.your_run, this.run === live, () => this.show(live)));
    this.parts.runs.replaceChildren(...chips);
  }

  /** What an address names: a recorded comparison and an alignment, or the batches below. */
  visit([name, alignment]) {
    if (name === "batches") return visitBatches(alignment);
    const found = this.comparisons.find((one) => one.name === name);
    if (!found) return undefined;
    if (ALIGNMENTS.includes(alignment)) this.alignment = alignment;
    return openRecorded(this, found);
  }

  /** Show a comparison; one that is over is played at once, for that is what one came for. */
  show(run) {
    this.wanted = null;
    this.run = run;
    this.take();
    const methods = Object.keys(run.runs);
    const large = methods.filter((method) => LARGE.includes(method));
    this.shown = large.length === LARGE.length ? large : methods.slice(0, LARGE.length);
    this.arrange();
    this.chips();
    if (run === this.inbox.run && this.inbox.busy()) return this.playback.seek(Infinity);
    return this.replay();
  }

  replay() {
    this.playback.seek(calm() ? Infinity : -Infinity);
    if (!calm()) this.playback.play();
  }

  /** The lanes of the run as it is now. */
  take() {
    this.lanes = Object.entries(this.run.runs).map(([method, { events }]) => laneOf(method, events));
  }

  // --- live: messages of app/comparing.py ---

  merge(run, message) {
    const over = ["done", "failed"].includes(message.phase); // such a message is whole
    for (const [method, told] of Object.entries(message.runs || {})) {
      const mine = (run.runs[method] ||= { events: [] });
      // In the end the run of median speed takes the place of the first one.
      if (over) mine.events = [];
      append(mine.events, told.events);
      Object.assign(mine, { state: told.state, repeats: told.repeats });
    }
    run.texts = message.texts || {};
    if (message.phase === "running" && !run.begun) Object.assign(run, { begun: true, fresh: true });
  }

  /** Something new of a live run, or (null) of what is waited for. */
  news(run) {
    if (run && run.fresh) {
      run.fresh = false;
      this.show(run);
    } else if (run && run === this.run) {
      this.take();
      if (run.state === "done" && !run.replayed) {
        run.replayed = true; // the last message may come more than once
        this.replay();
      } else if (!this.playback.playing) this.playback.position = extentOf(this.lanes, this.alignment);
    }
    this.render();
  }

  following() {
    return this.run !== null && this.run === this.inbox.run && this.inbox.busy();
  }

  // --- what one does ---

  align(name) {
    const { position, playing } = this.playback;
    const next = this.lanes.length ? translate(this.lanes, this.alignment, name, position) : startOf(name);
    this.alignment = name;
    this.playback.set(next);
    if (playing) this.playback.play();
  }

  /** Show or hide the tree of a method; one always stays. */
  pick(method) {
    const without = this.shown.filter((one) => one !== method);
    if (without.length === this.shown.length) this.shown = [...this.shown, method].slice(-MOST);
    else if (without.length) this.shown = without;
    const order = this.lanes.map((lane) => lane.method);
    this.shown.sort((a, b) => order.indexOf(a) - order.indexOf(b));
    this.arrange();
    this.render();
  }

  arrange() {
    this.columns = this.shown.map((method) =>
      this.columns.find((column) => column.method === method) || new Column(method, this.labels[method] || method, this.words));
    this.parts.columns.replaceChildren(...this.columns.map((column) => column.root));
    this.redraw();
  }

  key(event) {
    if (this.columns.some((column) => column.root.contains(event.target) && column.key(event))) event.preventDefault();
    else this.playback.key(event);
  }

  told(position) {
    const digits = DIGITS[this.alignment];
    const end = extentOf(this.lanes, this.alignment);
    const at = digits ? position : Math.floor(position);
    return say(this.words.positions[this.alignment], { at: at.toFixed(digits), end: end.toFixed(digits) });
  }

  // --- drawing ---

  /** Draw the trees anew: their boxes or the colours of the page have changed. */
  redraw() {
    for (const column of this.columns) Object.assign(column, { event: undefined, drawn: 0 });
    this.render();
  }

  render() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  draw() {
    const { parts, words, run } = this;
    const status = statusLine({ shown: run, inbox: this.inbox }, words, (method) => this.labels[method] || method);
    if (parts.status.textContent !== status) parts.status.textContent = status;
    for (const [name, button] of Object.entries(parts.alignments)) button.setAttribute("aria-pressed", String(name === this.alignment));
    parts.hint.textContent = words.align_hints[this.alignment];
    this.playback.draw();
    if (!run) return;
    if (run.name) linkTo("compare", run.name, this.alignment); // a live run has no address
    parts.prompt.textContent = run.header.prompt;
    parts.setup.textContent = run.header.model ? setup(run.header, words) : "";
    this.drawRace();
    this.drawResults();
  }

  drawRace() {
    const { lanes, alignment, words, labels } = this;
    const { position, playing } = this.playback;
    const following = this.following();
    const indices = lanes.map((lane) => (following ? lane.events.length - 1 : indexAt(lane, alignment, position)));
    // after Stop nobody waits for a turn any more
    const states = lanes.map(({ method }) => this.run.runs[method].state).map((state) => (state === "waiting" && !following ? "" : state));
    drawLanes(this.parts.lanes, { lanes, shown: this.shown, alignment, indices, states }, words, labels, (method) => this.pick(method));
    for (const column of this.columns) {
      const k = lanes.findIndex((lane) => lane.method === column.method);
      if (k < 0) continue;
      const speed = speedTold(this.run.runs[column.method], lanes[k], indices[k], words);
      const nodes = indices[k] >= 0 ? lanes[k].events[indices[k]].nodes.fate.length - 1 : 0;
      const numbers = [speed, say(words.nodes_now, { nodes })];
      column.show(lanes[k], indices[k], numbers.filter(Boolean).join(" · "), playing || following);
    }
  }

  /** The table says what the whole runs came to, wherever the race stands; it changes with them. */
  drawResults() {
    const state = JSON.stringify(Object.values(this.run.runs).map((one) => [one.repeats, one.state !== "running" && one.events.length]));
    const key = [this.run.name, this.run.id, this.run.state, state, Object.keys(this.run.texts)].join();
    if (key === this.resulted) return;
    this.resulted = key;
    const { parts, run, words, labels } = this;
    parts.headline.textContent = headline(run, words, labels);
    drawTable(parts.table, run, words, labels);
    parts.notes.replaceChildren(...notes(run, words, labels).map((note) => make("li", {}, note)));
  }
}

/** Called by the page: `props` and `watch` are Gradio's (js_on_load of gr.HTML). */
export function mount(element, props, watch, base) {
  const { words, labels, comparisons } = props;
  const race = new Race(element.querySelector(".propd-host"), { words, labels, comparisons, base });
  register("compare", (parts) => race.visit(parts));
  if (comparisons.length && !race.wanted && !race.run) openRecorded(race, comparisons[0]);
  watch("value", () => race.inbox.receive(props.value));
  window.addEventListener("propd-compare-asked", () => race.inbox.asked());
  window.addEventListener("propd-compare-ended", () => race.inbox.ended());
  window.propdRace = race; // for the browser tests
  return race;
}
