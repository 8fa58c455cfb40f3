// Pieces that several chapters are made of: a tree with its card, a slider, a chart, a badge.
import { inks } from "../charts.js";
import { drawCard, make, mark } from "../dom.js";
import { CONFIG } from "../figures.js";
import { eventAt } from "../phases.js";
import { TreeView } from "../tree_view.js";
import { nodesOf, say } from "../words.js";

const NARROW = 560, FALL = 62, TALLEST = 460; // px; a box so narrow has a tree that grows down

/** The end of a text, begun at a word. */
export function tail(text, letters) {
  if (text.length <= letters) return text;
  const end = text.slice(-letters);
  return "… " + end.slice(Math.max(0, end.search(/\s/) + 1));
}

export const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** "estimated" or "measured", as everywhere in the app. */
export function badge(words, name) {
  return make("span", { class: `propd-badge ${name}` }, words[name]);
}

/** The marks of these fates, with their names. */
export function legendOf(words, fates) {
  return make("ul", { class: "propd-legend" }, ...[...fates].map((fate) => make("li", { class: "propd-fate" }, mark(fate), words.fates[fate])));
}

/** A slider with its value beside it; on(number) while it moves. Read and set by `.value`. */
export class Slider {
  constructor(label, { min, max, step = 1, value, tell = String }, on) {
    this.tell = tell;
    this.input = make("input", { type: "range", min, max, step, "aria-label": label, oninput: () => { this.say(); on(this.value); } });
    this.output = make("output", {});
    this.element = make("label", { class: "propd-slider" }, make("span", {}, label), this.input, this.output);
    this.value = value;
  }

  get value() { return Number(this.input.value); }

  set value(value) {
    this.input.value = String(value);
    this.say();
  }

  say() {
    this.output.textContent = this.tell(this.value);
    this.input.setAttribute("aria-valuetext", this.output.textContent);
  }
}

/** A plotly chart with its description for those who do not see it. */
export class Chart {
  constructor(label, height) {
    this.height = height;
    this.element = make("div", { class: "propd-chart", role: "img", "aria-label": label, style: `height:${height}px` });
  }

  /** figure(options) -> {data, layout}; nothing happens before plotly has come or while hidden. */
  draw(figure, words) {
    const width = this.element.clientWidth;
    if (!window.Plotly || !width) return null;
    const drawn = figure({ width, height: this.height, words, ...inks(this.element) });
    window.Plotly.react(this.element, drawn.data, drawn.layout, CONFIG);
    return drawn;
  }
}

/** A token tree of a recorded step, drawn by `treeFigure`; its card says why, of the node pointed at. */
export class TreePicture {
  /** options: {card, fates, point(node), pick(node)}; the last two besides what the picture does. */
  constructor(words, { card = true, fates = "raxp", point = () => {}, pick = () => {} } = {}) {
    Object.assign(this, { words, told: point, picked: pick, pinned: null, pointed: null });
    this.box = make("div", { class: "propd-tree-box", role: "group", "aria-label": words.tree }, make("div", { class: "propd-tree" }));
    this.card = make("section", { class: "propd-card", "aria-label": words.card });
    this.element = make("div", { class: "propd-tree-picture", onkeydown: (e) => this.key(e) },
      make("div", { class: "propd-tree-side" }, this.box, legendOf(words, fates)), ...(card ? [this.card] : []));
    this.view = new TreeView(this.box, words, { point: (node) => this.point(node), pick: (node) => this.pick(node) });
  }

  /** options as for `TreeView.draw`, and {chosen}: the node whose card is shown while none is pointed at. */
  draw(event, { chosen = null, ...options } = {}) {
    if (event.index !== this.event?.index || event.nodes.parent.length !== this.event.nodes.parent.length) {
      Object.assign(this, { pinned: null, pointed: null });
      this.view.fit([event]);
      if (this.box.clientWidth < NARROW) this.box.style.setProperty("--tall", `${Math.min(TALLEST, 74 + FALL * Math.max(...nodesOf(event).map(({ depth }) => depth)))}px`);
    }
    Object.assign(this, { event, options, chosen });
    this.view.draw(event, { ...options, selected: options.selected ?? this.pinned ?? undefined });
    this.drawCard();
  }

  point(node) {
    if (this.pointed === node) return;
    this.pointed = node;
    this.drawCard();
    this.told(node ?? this.pinned);
  }

  pick(node) {
    this.pinned = this.pinned === node ? null : node;
    this.draw(this.event, { ...this.options, chosen: this.chosen });
    this.picked(node);
    this.told(this.pinned);
  }

  drawCard() {
    const at = this.pointed ?? this.pinned ?? this.chosen;
    drawCard(this.card, at === null ? null : eventAt(this.event, this.options.phase), at, this.words);
  }

  /** Up and down walk the tree, Enter and Space pick; all other keys belong to the walkthrough. */
  key(event) {
    const act = { ArrowUp: () => this.view.walk(-1), ArrowDown: () => this.view.walk(1), Enter: () => this.view.pickFocused(), " ": () => this.view.pickFocused() }[event.key];
    if (!act || !act()) return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** A sentence for one or for many. */
export function countOf({ one, many }, count) {
  return say(count === 1 ? one : many, { count });
}

/** A big number with what it is. */
export function metric(value, name) {
  return make("div", {}, make("dd", {}, value), make("dt", {}, name));
}

/** Where a recorded step comes from, with a way to see it in its run. */
export function sourceOf({ run, event }, words) {
  const told = say(words.source_step, { step: event.index, prompt: run.header.prompt, method: run.label || run.header.method, machine: run.header.machine, date: run.header.recorded });
  const link = run.name ? [" ", make("a", { href: `#watch/${encodeURIComponent(run.name)}/${event.index}` }, words.source_open)] : [];
  return make("p", { class: "propd-source" }, told, ...link);
}

/** A chip for each table, of which one is pressed: {element, press(table)}; hidden where there is no choice. */
export function chipsOf(tables, words, on) {
  const chips = tables.map(({ name, table }) => make("button", { type: "button", class: "propd-chip", onclick: () => on(table) }, words.weights[name]));
  const element = make("div", { class: "propd-runs", role: "group", "aria-label": words.weights_choice, hidden: tables.length < 2 }, ...chips);
  return { element, press: (table) => chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String(tables[i].table === table))) };
}

/** The command that measured a table of costs. */
export function costsCommand({ about }) {
  const kept = about.weights === "w4a8" ? "" : ` --dtype ${about.dtype} --weights dense`;
  return `propd costs --rows ${about.rows} --sweeps ${about.sweeps}${kept}`;
}

/** How a table was measured. */
export function sourceOfTable(about, command, words) {
  return make("p", { class: "propd-source" },
    say(words.source_table, { model: about.model, dtype: about.weights === "w4a8" ? words.weights.w4a8 : about.dtype, device: about.device, threads: countOf(words.threads, about.threads), date: about.recorded }), " ", make("code", {}, command));
}
