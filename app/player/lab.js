// The Lab: sliders ask the planner, and its answer is drawn. No number is made here.
import { inks, loadPlotly } from "./charts.js";
import { make } from "./dom.js";
import { CONFIG } from "./figures.js";
import { build, drawFacts, drawNumbers, drawTable, place } from "./lab_dom.js";
import { batchFigure, batchSentence, CURVES, curveFigure } from "./lab_figures.js";
import { serverPlanner, tablePlanner } from "./lab_planner.js";
import { decode, encode, moved, nextPosition, positionOf, SLIDERS, valueAt } from "./lab_settings.js";
import { headline, labelFor, nodeFacts, reasons, sources, tableRows, treeEvent } from "./lab_words.js";
import { addressOf, linkTo, register, whenShown } from "./places.js";
import { TreeView } from "./tree_view.js";
import { say } from "./words.js";

const REST = 25; // ms between a move and the question
const YOUR_RUN = "your-run";
const PHONE = 560; // px of a tree that grows down
const LARGEST = 5e6; // bytes of a trace, as propd/trace.py has it
const ARROWS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };

export class Lab {
  /** planner: {ask(question), movable}, readRun(text) -> {run, about} or {error}; null where there is no server */
  constructor(host, { words, presets, planner, readRun }) {
    Object.assign(this, { words, presets, planner, readRun, answer: null, pinned: null, asking: false, timer: null });
    this.first = presets[0].name;
    this.state = { preset: this.first, changes: {}, run: null };
    this.parts = build(words, presets, this.listeners());
    this.parts.runs.hidden = !readRun;
    this.parts.still.hidden = Boolean(readRun);
    host.replaceChildren(this.parts.root);
    this.tree = new TreeView(this.parts.treeBox, words, {
      point: (node) => this.point(node), pick: (node) => { this.pinned = this.pinned === node ? null : node; this.draw(); },
    });
    this.parts.treeBox.addEventListener("keydown", (e) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[e.key];
      if (by && this.tree.walk(by)) e.preventDefault();
    });
    whenShown(this.parts.root, () => this.resized());
    new MutationObserver(() => this.render()).observe(document.body, { attributeFilter: ["class"] });
  }

  listeners() {
    return {
      preset: (name) => this.begin(name),
      run: (name) => (name === "watch" ? this.takeWatch() : this.begin(name || this.first)),
      file: (e) => { const [file] = e.target.files; e.target.value = ""; if (file) this.takeFile(file); },
      input: (slider, position) => this.change(slider.name, valueAt(slider, position)),
      key: (slider, event) => this.key(slider, event),
      prune: (mode) => this.change("prune", mode),
      reset: () => this.set({ changes: {} }),
      copy: () => this.copy(),
      table: () => this.render(),
    };
  }

  // --- what is asked ---

  /** What an address names: a preset and changes; anything may stand there. */
  visit([name, settings]) {
    const known = name === YOUR_RUN ? this.state.run : this.presets.some((one) => one.name === name);
    if (name === YOUR_RUN && !known) this.tell(this.words.run_gone);
    this.set({ preset: known ? name : this.first, changes: decode(settings) });
  }

  /** Another preset, its sliders where it has them. */
  begin(name) {
    this.tell("");
    this.set({ preset: name, changes: {} });
  }

  change(name, value) {
    this.set({ changes: moved(this.state.changes, name, value) });
  }

  /** Arrow keys pass over positions that show the same number. */
  key(slider, event) {
    const by = ARROWS[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const at = Number(this.parts.sliders[slider.name].input.value), next = nextPosition(slider, at, by);
    if (next !== at) this.change(slider.name, valueAt(slider, next));
  }

  set(more) {
    Object.assign(this.state, more);
    this.placeSliders();
    if (this.state.preset !== YOUR_RUN || this.state.run) linkTo("lab", this.state.preset, encode(this.state.changes));
    this.timer ||= setTimeout(() => { this.timer = null; this.ask(); }, REST);
  }

  /** One question at a time; what moved meanwhile is asked next. */
  async ask() {
    if (this.asking) { this.again = true; return; }
    this.asking = true;
    const { preset, changes, run } = this.state;
    const answer = await this.question({ preset, changes, run: preset === YOUR_RUN ? run.run : null });
    this.asking = false;
    if (this.again) { this.again = false; this.ask(); }
    if (answer.error || this.failed) this.tell(answer.error || "");
    this.failed = Boolean(answer.error);
    if (this.failed) return;
    if (this.answer && this.answer.preset !== preset) this.pinned = null;
    this.answer = { ...answer, preset };
    if (answer.changes && !this.timer) this.state.changes = answer.changes; // a table knows some places only
    this.render();
  }

  async question(asked) {
    try {
      return await this.planner.ask(asked);
    } catch {
      return { error: this.words.failed };
    }
  }

  // --- a run of one's own ---

  async takeFile(file) {
    if (file.size > LARGEST) return this.tell(say(this.words.file_large, { limit: LARGEST / 1e6 }));
    return this.take(await file.text());
  }

  /** The run that the place Watch shows, recorded or live. */
  takeWatch() {
    const run = window.propdPlayer && window.propdPlayer.run;
    this.parts.run.value = this.state.preset;
    if (!run) return this.tell(this.words.run_missing);
    return this.take(JSON.stringify({ schema: "propd-trace/1", header: run.header, events: run.events }));
  }

  async take(text) {
    let found;
    try {
      found = await this.readRun(text);
    } catch {
      found = { error: this.words.failed };
    }
    if (found.error) return this.tell(found.error);
    this.state.run = found;
    return this.begin(YOUR_RUN);
  }

  // --- drawing ---

  tell(sentence) {
    this.parts.note.textContent = sentence;
    this.parts.note.hidden = !sentence;
  }

  async copy() {
    const { preset, changes } = this.state;
    try {
      await navigator.clipboard.writeText(addressOf("lab", preset, encode(changes)));
    } catch { // not allowed, or a page without https
      this.tell(this.words.copy_failed);
      return;
    }
    this.parts.copy.textContent = this.words.copied;
    setTimeout(() => { this.parts.copy.textContent = this.words.copy; }, 1500);
  }

  /** A new width needs new figures; a new height follows from them. */
  resized() {
    const { clientWidth } = this.parts.root;
    if (clientWidth === this.width) return;
    this.width = clientWidth;
    this.render();
  }

  /** Sliders follow the answer, but for those that were moved: these are where they were put. */
  placeSliders() {
    const { answer, state, words, planner } = this;
    if (!answer) return;
    const same = answer.preset === state.preset;
    for (const slider of SLIDERS) {
      const { name } = slider, part = this.parts.sliders[name];
      const value = state.changes[name] ?? (same ? answer.values : answer.own)[name];
      if (name === "layer") part.input.max = answer.layers - 2;
      part.input.disabled = Boolean(planner.movable) && !planner.movable.includes(name);
      place(part, slider, positionOf(slider, value), value, name in state.changes, words);
    }
    for (const radio of this.parts.radios) radio.checked = radio.value === (state.changes.prune ?? answer.own.prune);
    this.parts.reset.disabled = !Object.keys(state.changes).length;
    for (const chip of this.parts.root.querySelectorAll("[data-preset]")) chip.setAttribute("aria-pressed", String(chip.dataset.preset === state.preset));
    const yours = this.parts.run.querySelector(`[value="${YOUR_RUN}"]`);
    yours.hidden = !state.run;
    this.parts.run.value = state.preset;
    if (this.parts.run.selectedIndex < 0) this.parts.run.value = "";
  }

  render() {
    if (this.frame || !this.answer) return;
    this.frame = requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  draw() {
    const { parts, answer, words } = this;
    this.placeSliders();
    drawNumbers(parts.numbers, headline(answer, words));
    const why = reasons(answer, words).join(" ");
    if (parts.why.textContent !== why) parts.why.textContent = why;
    parts.share.textContent = say(words.prune_share, { share: `${Math.round(100 * answer.share_before)}%`, layer: answer.values.layer });
    this.drawSources();
    if (!parts.root.clientWidth) return;
    this.drawTree();
    this.plot();
    parts.batchText.textContent = batchSentence(answer, words);
    if (parts.table.open) drawTable(parts.tableBox, tableRows(answer, words), words);
  }

  drawSources() {
    const { parts, answer, words, state } = this;
    const { kind, about } = answer.preset === YOUR_RUN ? state.run : answer;
    parts.kind.className = `propd-badge ${kind}`;
    parts.kind.textContent = words["preset_" + kind];
    parts.touched.hidden = !Object.keys(state.changes).length;
    parts.sourceLines.replaceChildren(...sources(kind, about, words).map((line) => make("p", {}, line)));
  }

  drawTree() {
    const { parts, answer, words } = this;
    const none = answer.tree.parent.length === 1;
    parts.treeBox.hidden = none;
    parts.treeNone.hidden = !none;
    parts.pruned.hidden = !answer.chosen.prunes;
    if (this.pinned !== null && this.pinned >= answer.tree.parent.length) this.pinned = null;
    this.point(null);
    if (none) return;
    const room = parts.treeBox.clientWidth;
    const label = labelFor(room < PHONE ? 0 : room / (1 + Math.max(...answer.tree.depth)));
    parts.chance.hidden = !label.endsWith("chance");
    const event = treeEvent(answer, words, label);
    this.tree.fit([event]);
    this.tree.draw(event, { selected: this.pinned });
  }

  /** The facts of the node pointed at, else pinned. */
  point(node) {
    const shown = node ?? this.pinned;
    const there = shown !== null && shown < this.answer.tree.parent.length;
    drawFacts(this.parts.card, there ? nodeFacts(this.answer, shown, this.words) : [], this.words.card_tree_hint);
  }

  plot() {
    if (!window.Plotly) return;
    const { parts, answer, words } = this;
    const colours = inks(parts.root);
    const put = (box, figure) => window.Plotly.react(box, figure.data, figure.layout, CONFIG);
    const room = (box, height) => ({ width: box.clientWidth, height, words, ...colours });
    for (const which of CURVES) put(parts[which], curveFigure(answer, which, room(parts[which], 210)));
    for (const which of ["size", "gain"]) put(parts[which], batchFigure(answer, which, room(parts[which], 190)));
    const ghost = answer.chosen.prunes ? words.ghost_unpruned : words.ghost_pruned;
    parts.ghost.lastElementChild.textContent = ghost;
    parts.wasMeasured.hidden = !answer.measured.length;
    this.listen();
  }

  /** A click on a batch takes it. */
  listen() {
    if (this.listening) return;
    this.listening = true;
    for (const which of ["size", "gain"]) {
      this.parts[which].on("plotly_click", ({ points }) => { if (points[0]) this.change("rows", points[0].x); });
    }
  }
}

/**
 * Called by the page: `props` are Gradio's (js_on_load of gr.HTML). A page without a server gives
 * `props.tables`, the address of each preset's table, and no run of one's own can be read.
 */
export function mount(element, props, watch, base, tools) {
  const { words, presets, tables, axes } = props;
  const table = async (preset) => (await fetch(base + tables[preset])).json();
  const lab = new Lab(element.querySelector(".propd-host"), {
    words, presets,
    planner: tables ? tablePlanner(table, axes) : serverPlanner(tools.server),
    readRun: tables ? null : (text) => tools.server.read_run(text),
  });
  loadPlotly(base + props.plotly).then(() => lab.render());
  register("lab", (parts) => lab.visit(parts));
  if (!lab.timer) lab.ask(); // else the address has asked
  window.propdLab = lab; // for the browser tests
  return lab;
}
