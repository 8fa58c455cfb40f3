// From guesses to a tree: paths, values, and growth best node first.
import { icon, make } from "../../dom.js";
import { eventAt } from "../../phases.js";
import { nodeAt, say, visible } from "../../words.js";
import { badge, calm, Slider, sourceOf, TreePicture } from "../parts.js";
import { fairMoment, frontier, pathTo, stepOfTree } from "../pick.js";

const GROW_MS = 550; // between two nodes
const EXPLAINED = 3; // depth of the node whose value is explained: a product one can follow
const value = (event, i) => event.nodes.value[i];

/** The chances along a path, as "0.60 × 0.31". */
export function factors(event, i) {
  return pathTo(event, i).map((node) => (value(event, node) / value(event, event.nodes.parent[node])).toFixed(2)).join(" × ");
}

/** The value of a node as the product that it is: "0.60 × 0.31 = 0.18". */
export function product(event, i) {
  const told = factors(event, i), result = value(event, i).toFixed(2);
  return told.includes("×") ? `${told} = ${result}` : result;
}

const pathText = (event, i) => pathTo(event, i).map((node) => visible(nodeAt(event, node).text)).join(" ");

function prepare({ runs }) {
  const found = stepOfTree(runs);
  if (!found) return null;
  const { event } = found;
  const count = fairMoment(event), next = frontier(event, count).slice(0, 3);
  const order = [...next].sort((a, b) => a - b).reverse(); // the right one is not always the first
  const depth = Math.min(EXPLAINED, Math.max(...event.nodes.depth)), deep = event.nodes.depth.indexOf(depth);
  const sum = event.nodes.value.slice(1).reduce((all, one) => all + one, 1);
  const facts = {
    drafted: event.nodes.fate.length - 1, deep: visible(nodeAt(event, deep).text), deep_path: pathText(event, deep), product: product(event, deep),
    count, next: visible(nodeAt(event, next[0]).text), next_value: value(event, next[0]).toFixed(2), length: sum.toFixed(2), got: event.token_ids.length,
  };
  // The event as the planner saw it: what became of the nodes must not show before it is time.
  const planned = eventAt(event, "grow");
  return { found, planned, deep, count, next: next[0], options: order, facts, choices: order.map((i) => `${pathText(event, i)}\n${factors(event, i)}`), right: order.indexOf(next[0]) };
}

class TreeGrowth {
  constructor(lesson, words) {
    Object.assign(this, { lesson, words, event: lesson.planned, drafted: lesson.planned.nodes.fate.length - 1, step: "paths", pointed: null, timer: null });
    this.told = make("p", { class: "propd-told", "aria-live": "polite" });
    this.tree = new TreePicture(words, { card: false, fates: "rd", point: (node) => { this.pointed = node; this.tell(); } });
    this.slider = new Slider(words.nodes_slider, { min: 0, max: this.drafted, value: this.drafted }, () => { this.stop(); this.draw(); });
    this.play = make("button", { type: "button", class: "propd-button play", onclick: () => (this.timer ? this.stop() : this.start()) });
    this.controls = make("div", { class: "propd-row" }, this.play, this.slider.element);
    this.element = make("div", { class: "propd-lesson" }, make("h3", {}, words.tree_title, " ", badge(words, "estimated")),
      this.tree.element, this.controls, this.told, sourceOf(lesson.found, words));
    this.stop();
  }

  /** How many nodes stand. */
  get count() {
    if (this.step === "grow") return this.slider.value;
    return this.step === "ask" ? this.lesson.count + (this.answered ? 1 : 0) : this.drafted;
  }

  tell() {
    const { event, words, step, count } = this;
    const sum = event.nodes.value.slice(1, count + 1).reduce((all, one) => all + one, 1);
    const node = this.pointed ?? (step === "value" ? this.lesson.deep : null);
    if (step !== "grow" && node > 0) this.told.textContent = say(words.path_told, { path: pathText(event, node), product: product(event, node) });
    else this.told.textContent = step === "paths" ? words.paths_told : say(words.grow_told, { n: count, length: sum.toFixed(2) });
  }

  draw() {
    const { event, step, count, lesson } = this;
    const shown = event.nodes.fate.split("").map((_, i) => i <= count);
    const marked = { value: [0, ...pathTo(event, lesson.deep)], grow: [count], ask: this.answered ? [lesson.next] : [] }[step] || [];
    this.tree.draw(event, { phase: "grow", shown, marked });
    this.tell();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.button("play");
  }

  button(name) {
    this.play.replaceChildren(icon(name));
    this.play.setAttribute("aria-label", this.words[name]);
  }

  start() {
    if (this.slider.value >= this.drafted) this.slider.value = 0;
    this.button("pause");
    this.draw();
    this.timer = setTimeout(() => this.grow(), GROW_MS);
  }

  grow() {
    this.slider.value += 1;
    this.draw();
    if (this.slider.value < this.drafted) this.timer = setTimeout(() => this.grow(), GROW_MS);
    else this.stop();
  }

  show(step, answered, fresh) {
    if (fresh) { this.stop(); this.pointed = null; }
    Object.assign(this, { step, answered });
    this.controls.hidden = step !== "grow";
    if (fresh && step === "grow" && !calm()) this.start();
    else this.draw();
  }

  close() { this.stop(); }
}

export const tree = { id: "tree", steps: ["paths", "value", "ask", "grow"], prepare, picture: (lesson, words) => new TreeGrowth(lesson, words) };
