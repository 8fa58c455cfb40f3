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

function picture(lesson, words) {
  const { planned: event, count, deep, options } = lesson;
  const drafted = event.nodes.fate.length - 1;
  const told = make("p", { class: "propd-told", "aria-live": "polite" });
  const heading = make("h3", {}, words.tree_title, " ", badge(words, "estimated"));
  let step = "paths", pointed = null, timer = null;
  const tree = new TreePicture(words, { card: false, fates: "rd", point: (node) => { pointed = node; say_(); } });
  const slider = new Slider(words.nodes_slider, { min: 0, max: drafted, value: drafted }, () => { stop(); draw(); });
  const play = make("button", { type: "button", class: "propd-button play", "aria-label": words.play, onclick: () => (timer ? stop() : start()) }, icon("play"));
  const controls = make("div", { class: "propd-row" }, play, slider.element);
  const element = make("div", { class: "propd-lesson" }, heading, tree.element, controls, told, sourceOf(lesson.found, words));

  const shownCount = (answered) => (step === "grow" ? slider.value : step === "ask" ? count + (answered ? 1 : 0) : drafted);
  let answeredNow = false;

  function say_() {
    const n = shownCount(answeredNow);
    const sum = event.nodes.value.slice(1, n + 1).reduce((all, one) => all + one, 1);
    const node = pointed ?? (step === "value" ? deep : null);
    if (step !== "grow" && node !== null && node > 0) told.textContent = say(words.path_told, { path: pathText(event, node), product: product(event, node) });
    else told.textContent = step === "paths" ? words.paths_told : say(words.grow_told, { n, length: sum.toFixed(2) });
  }

  function draw() {
    const n = shownCount(answeredNow);
    const shown = event.nodes.fate.split("").map((_, i) => i <= n);
    const marked = step === "value" ? [0, ...pathTo(event, deep)] : step === "grow" ? [n] : step === "ask" && answeredNow ? [lesson.next] : [];
    tree.draw(event, { phase: "grow", shown, marked });
    say_();
  }

  function stop() {
    clearTimeout(timer);
    timer = null;
    play.replaceChildren(icon("play"));
    play.setAttribute("aria-label", words.play);
  }

  function start() {
    if (slider.value >= drafted) slider.value = 0;
    play.replaceChildren(icon("pause"));
    play.setAttribute("aria-label", words.pause);
    const tick = () => {
      slider.value = slider.value + 1;
      draw();
      if (slider.value < drafted) timer = setTimeout(tick, GROW_MS);
      else stop();
    };
    timer = setTimeout(tick, GROW_MS);
  }

  return {
    element,
    show(name, answered, fresh) {
      if (name !== step || fresh) { stop(); pointed = null; }
      const entered = name === "grow" && fresh;
      [step, answeredNow] = [name, answered];
      controls.hidden = step !== "grow";
      if (entered && !calm()) { slider.value = 0; draw(); start(); return; }
      draw();
    },
    close: stop,
  };
}

export const tree = { id: "tree", steps: ["paths", "value", "ask", "grow"], prepare, picture };
