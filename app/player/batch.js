// Batches: the same prompts, so many at a time; a small tree a row. Everything comes from their events.
import { Cell } from "./cell.js";
import { chartEngine, inks, loadPlotly } from "./charts.js";
import { pointed } from "./column.js";
import { make, mark } from "./dom.js";
import { CONFIG } from "./figures.js";
import { batchFigures, gridOf, meanNodes, sweepFigure } from "./batch_figures.js";
import { append, Inbox, openRecorded, setup, statusLine } from "./inbox.js";
import { linkTo, whenShown } from "./places.js";
import { calm, Transport } from "./transport.js";
import { say } from "./words.js";

const PASSES_A_SECOND = 2.5;
const PLOT_HEIGHT = 330;
let wanted = null, view = null; // what an address asked for, perhaps before the panel was there

/** An address names the batches: bring them into sight, and so many rows. */
export function visitBatches(rows) {
  wanted = { rows: Number(rows) };
  if (view) view.visit();
}

export class Batches {
  /** heading: whether it says itself what it is; above the controls of the app it stands already. */
  constructor(host, { words, batches, base, heading }) {
    Object.assign(this, { words, batches, base, heading, run: null, rows: 1, cells: [] });
    this.inbox = new Inbox({
      begin: () => ({ batches: {} }), merge: (run, message) => this.merge(run, message), changed: (run) => this.news(run),
    });
    this.playback = new Transport(words, {
      start: () => 0, end: () => Math.max(0, this.passes().length - 1), rate: () => PASSES_A_SECOND,
      after: (position, direction) => (direction > 0 ? Math.floor(position) + 1 : Math.ceil(position) - 1),
      told: (position) => say(words.pass_of, { at: Math.floor(position) + 1, end: this.passes().length }),
      changed: () => this.render(),
    });
    this.parts = this.build();
    host.replaceChildren(this.parts.root);
    this.chips();
    whenShown(this.parts.forest, () => this.render(true));
    new MutationObserver(() => this.render(true)).observe(document.body, { attributeFilter: ["class"] });
  }

  build() {
    const { words } = this;
    const p = {};
    p.runs = make("div", { class: "propd-runs", role: "group", "aria-label": words.runs });
    p.status = make("span", { class: "propd-status" });
    p.setup = make("p", { class: "propd-setup" });
    p.sizes = make("div", { class: "propd-switch", role: "group", "aria-label": words.rows_together });
    p.mean = make("p", { class: "propd-caption" });
    p.forest = make("div", { class: "propd-forest", role: "group" });
    p.card = make("p", { class: "propd-point" }, words.card_hint);
    p.plot = make("div", { class: "propd-sweep" });
    p.table = make("div", { class: "propd-table-box", tabindex: 0, role: "region", "aria-label": words.batch_table });
    p.texts = make("ol", { class: "propd-row-texts" });
    p.textBox = make("details", { class: "propd-table", ontoggle: () => this.render() }, make("summary", {}, words.rows_texts), p.texts);
    const legend = make("ul", { class: "propd-legend" },
      ...["r", "a", "b", "x", "p"].map((fate) => make("li", { class: "propd-fate" }, mark(fate), words.fates[fate])));
    p.root = make("div", {
      class: "propd-player propd-batches", tabindex: 0, role: "group", "aria-label": words.batch_title,
      onkeydown: (event) => this.key(event),
    },
    ...(this.heading ? [make("h2", {}, words.batch_title), make("p", { class: "propd-lead" }, words.batch_lead)] : []),
    make("div", { class: "propd-top" }, make("div", { class: "propd-which" }, p.runs, p.status), p.setup),
    p.sizes, this.playback.bar,
    make("div", { class: "propd-batch-stage" },
      make("div", { class: "propd-main" }, p.mean, p.forest, p.card, legend),
      make("section", { class: "propd-decision", "aria-label": words.plot_size },
        make("span", { class: "propd-badge measured" }, words.measured), p.plot,
        make("p", { class: "propd-hint" }, words.batch_note),
        make("details", { class: "propd-table" }, make("summary", {}, words.batch_table), p.table))),
    p.textBox, make("p", { class: "propd-keys" }, words.keys));
    return p;
  }

  key(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step && this.cells.some((cell) => cell.tree.walk(step))) event.preventDefault();
    else this.playback.key(event);
  }

  // --- runs ---

  chips() {
    const chip = (label, pressed, onclick) => make("button", {
      type: "button", class: "propd-chip", "aria-pressed": String(Boolean(pressed)), onclick,
    }, label);
    const chips = this.batches.map((one) => chip(one.label, this.run && this.run.name === one.name, () => openRecorded(this, one)));
    const live = this.inbox.run;
    if (live && live.begun) chips.unshift(chip(this.words.your_run, this.run === live, () => this.show(live)));
    this.parts.runs.replaceChildren(...chips);
    this.parts.runs.hidden = chips.length < 2;
  }

  visit() {
    if (!wanted) return;
    const { rows } = wanted;
    wanted = null;
    this.parts.root.scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
    this.asked = rows;
    if (this.run) this.choose(rows);
  }

  show(run) {
    this.wanted = null;
    this.run = run;
    this.chips();
    const sizes = this.sizes();
    this.choose(sizes.includes(this.asked) ? this.asked : sizes.includes(this.rows) ? this.rows : sizes[0]);
    this.asked = null;
  }

  sizes() {
    return Object.values(this.run ? this.run.batches : {}).map((batch) => batch.rows).sort((a, b) => a - b);
  }

  /** So many rows are looked at; an address may ask for a number that was not run. */
  choose(rows) {
    if (!this.sizes().includes(rows)) return;
    this.rows = rows;
    this.playback.position = Math.min(this.playback.position, this.playback.line.end());
    if (this.linked) linkTo("compare", "batches", rows);
    this.render();
  }

  passes() {
    const batch = this.run && this.run.batches[this.rows];
    return batch ? batch.passes : [];
  }

  // --- live: messages of app/batching.py ---

  merge(run, message) {
    for (const [rows, told] of Object.entries(message.batches || {})) {
      const mine = (run.batches[rows] ||= { rows: told.rows, passes: [] });
      Object.assign(mine, { state: told.state, first: told.first });
      for (const pass of Object.values(told.passes)) {
        // the last pass of a message may lack rows that the next message brings
        if (pass.index < mine.passes.length) mine.passes[pass.index] = pass;
      }
      append(mine.passes, told.passes);
    }
    if (message.phase === "running" && !run.begun) Object.assign(run, { begun: true, fresh: true });
  }

  news(run) {
    if (run && run.fresh) {
      run.fresh = false;
      this.show(run);
    }
    if (run && run === this.run && run.state === "running") {
      const now = Object.values(run.batches).find((batch) => batch.state === "running");
      if (now) this.rows = now.rows;
      this.playback.position = this.playback.line.end();
    }
    this.render();
  }

  // --- drawing ---

  render(anew = false) {
    this.anew ||= anew;
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  draw() {
    const { parts, words, run } = this;
    const status = statusLine({ shown: run, inbox: this.inbox }, words);
    if (parts.status.textContent !== status) parts.status.textContent = status;
    this.playback.draw();
    if (!run) return;
    parts.setup.textContent = run.header.model ? setup(run.header, words) : "";
    this.drawSizes();
    const index = Math.floor(this.playback.position);
    const pass = this.passes()[index];
    const drawn = [run.name || run.id, this.rows, index, pass && Object.keys(pass.rows).length].join();
    if (pass && (this.anew || drawn !== this.drawn)) {
      this.drawn = drawn;
      this.drawForest(pass, index);
    }
    this.drawSweep();
    if (parts.textBox.open) this.drawTexts(index);
    this.anew = false;
  }

  drawSizes() {
    const sizes = this.sizes(), { sizes: box } = this.parts;
    if (box.dataset.sizes !== sizes.join()) {
      box.dataset.sizes = sizes.join();
      box.replaceChildren(make("span", {}, this.words.rows_together), ...sizes.map((rows) =>
        make("button", { type: "button", "data-rows": rows, onclick: () => { this.linked = true; this.choose(rows); } }, String(rows))));
    }
    for (const button of box.querySelectorAll("button")) {
      const rows = Number(button.dataset.rows);
      button.setAttribute("aria-pressed", String(rows === this.rows));
      button.disabled = !this.run.batches[rows].passes.length;
    }
  }

  drawForest(pass, index) {
    const { parts, words, rows } = this;
    const mean = meanNodes(pass).toFixed(1);
    parts.mean.textContent = say(words.mean_now, { mean, ms: pass.ms.toFixed(1) });
    parts.forest.setAttribute("aria-label", say(words.forest, { rows, at: index + 1, mean }));
    if (this.cells.length !== rows) {
      this.cells = Array.from({ length: rows }, (_, row) => new Cell(row, words, (event, i) => this.tell(event, i)));
      parts.forest.replaceChildren(...this.cells.map((cell) => cell.root));
    }
    const { columns, height } = gridOf(rows, parts.forest.clientWidth);
    parts.forest.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    parts.forest.style.gridAutoRows = `${height}px`;
    this.cells.forEach((cell, row) => cell.show(pass.rows[row] || null));
  }

  tell(event, i) {
    this.parts.card.replaceChildren(...(event ? pointed(event, i, this.words) : [this.words.card_hint]));
  }

  /** The plots change when a batch is over, not with every pass. */
  drawSweep() {
    const batches = this.sizes().map((rows) => this.run.batches[rows]);
    const known = batches.map((batch) => (batch.state === "done" || !this.inbox.busy() ? batch : { ...batch, passes: [] }));
    const key = JSON.stringify([this.run.name || this.run.id, this.rows, known.map((batch) => batch.passes.length)]);
    const { parts, words } = this;
    if (key === this.swept && !this.anew) return;
    this.swept = key;
    const figures = known.map(batchFigures);
    this.drawTable(figures);
    if (!chartEngine() || !parts.plot.clientWidth) return; // the table says it too
    const options = { width: parts.plot.clientWidth, height: PLOT_HEIGHT, words, ...inks(parts.root) };
    const figure = sweepFigure(figures, this.rows, options);
    chartEngine().react(parts.plot, figure.data, figure.layout, CONFIG);
    if (this.picking || !parts.plot.on) return; // a stand-in for plotly does not listen
    this.picking = true;
    parts.plot.on("plotly_click", (data) => { this.linked = true; this.choose(data.points[0].x); });
  }

  drawTable(figures) {
    const told = (value, digits) => (value === null ? this.words.none : value.toFixed(digits));
    const row = (one) => make("tr", {}, make("th", { scope: "row" }, String(one.rows)),
      ...[told(one.size, 2), told(one.perPass, 2), told(one.speed, 1), String(one.passes)].map((text) => make("td", {}, text)));
    this.parts.table.replaceChildren(make("table", {},
      make("thead", {}, make("tr", {}, ...this.words.batch_columns.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...figures.map(row))));
  }

  drawTexts(index) {
    const batch = this.run.batches[this.rows];
    const items = Object.keys(batch.first).map((row) => {
      const text = batch.passes.slice(0, index + 1).map((pass) => (pass.rows[row] ? pass.rows[row].text : "")).join("");
      return make("li", {}, make("p", { class: "propd-prompt" }, this.run.header.prompts[row]),
        make("p", { class: "propd-row-text" }, batch.first[row] + text));
    });
    this.parts.texts.replaceChildren(...items);
  }
}

/** Called by the page: `props` and `watch` are Gradio's (js_on_load of gr.HTML). */
export function mount(element, props, watch, base) {
  view = new Batches(element.querySelector(".propd-host"), { ...props, base });
  loadPlotly(base + props.plotly).then(() => view.render(true), () => {});
  if (props.batches.length) openRecorded(view, props.batches[0]);
  watch("value", () => view.inbox.receive(props.value));
  window.addEventListener("propd-batches-asked", () => view.inbox.asked());
  window.addEventListener("propd-batches-ended", () => view.inbox.ended());
  view.visit();
  window.propdBatches = view; // for the browser tests
  return view;
}
