// Choosing the size: L(n), T(n), their ratio, and what happens when the cost curve is dragged.
import { make } from "../../dom.js";
import { say } from "../../words.js";
import { tradeFigure, tradeScale } from "../figures.js";
import { badge, Chart, chipsOf, costsCommand, Slider, sourceOf, sourceOfTable, TreePicture } from "../parts.js";
import { stepOfSize } from "../pick.js";
import { bent, bestSize, cutTo, lengths, stepTime } from "../tables.js";
import { weights } from "./slow.js";

const ASKED = 4; // times what every node costs, in the question
const FLOORS = [0.2, 3], STEEPEST = 10; // how far the curve can be bent
const LEFT = 0.12; // the part of the curve that means its floor
const PANELS = { lengths: ["length"], cost: ["length", "cost"], ask: ["length", "cost", "ratio"], drag: ["length", "cost", "ratio", "drag"] };

function prepare({ runs, costs }) {
  const found = stepOfSize(runs), table = costs[1];
  if (!found || !table) return null;
  const worth = lengths(found.event), times = worth.map((_, n) => stepTime(table, n)), last = worth.length - 1;
  const best = bestSize(worth, times), dear = bestSize(worth, bent(times, 1, ASKED));
  const choices = [...new Set([dear, best, Math.min(last, Math.max(2 * best, best + 1))])];
  const half = Math.round(last / 2);
  const facts = {
    most: last, best, dear, asked: ASKED, first: worth[1].toFixed(2), half: worth[half].toFixed(2), half_n: half, length_most: worth[last].toFixed(2),
    plain: times[0].toFixed(0), dearest: times[last].toFixed(0), times: (times[last] / times[0]).toFixed(1),
  };
  return { found, tables: weights(costs), worth, best, facts, choices: choices.map(String), right: 0 };
}

/** A pointer on the T(n) panel, as what it asks for: the floor on the left, the slope elsewhere. */
export function bend(scale, times, x, y, floor) {
  const n = Math.round(Math.max(0, Math.min(times.length - 1, scale.size(x)))), ms = scale.ms(y);
  if (n < LEFT * times.length) return { floor: Math.max(FLOORS[0], Math.min(FLOORS[1], ms / times[0])) };
  return { slope: Math.max(0, Math.min(STEEPEST, (ms - floor * times[0]) / (times[n] - times[0]))) };
}

class SizePicture {
  constructor(lesson, words) {
    Object.assign(this, { lesson, words, step: "lengths", answered: false, scale: null, dragged: false });
    this.source = make("div", {});
    this.chips = chipsOf(lesson.tables, words, (table) => { this.measure(table); this.draw(); });
    this.measure(lesson.tables[0].table);
    const tell = (value) => say(words.times, { value: value.toFixed(2) }), change = () => this.draw();
    this.slope = new Slider(words.slope_slider, { min: 0, max: STEEPEST, step: 0.05, value: 1, tell }, change);
    this.floor = new Slider(words.floor_slider, { min: FLOORS[0], max: FLOORS[1], step: 0.05, value: 1, tell }, change);
    this.size = new Slider(words.size_slider, { min: 0, max: lesson.worth.length - 1, value: lesson.best }, change);
    this.chart = new Chart(words.trade_chart, 380);
    this.tree = new TreePicture(words, { card: false, fates: "raxb" });
    this.heading = make("h3", {});
    this.told = make("p", { class: "propd-told", "aria-live": "polite" });
    const back = make("button", { type: "button", class: "propd-chip", onclick: () => { this.straighten(); this.draw(); } }, words.as_measured);
    this.sliders = make("div", { class: "propd-row" }, this.slope.element, this.floor.element, back, this.chips.element);
    const left = make("div", { class: "propd-stack" }, this.chart.element, this.sliders, this.size.element);
    this.element = make("div", { class: "propd-lesson" }, this.heading, make("div", { class: "propd-pair trade" }, left, this.tree.element), this.told,
      sourceOf(lesson.found, words), this.source);
    this.listen();
  }

  /** Take T(n) from a measured table. */
  measure(table) {
    this.times = this.lesson.worth.map((_, n) => stepTime(table, n));
    this.chips.press(table);
    this.source.replaceChildren(sourceOfTable(table.about, costsCommand(table), this.words));
  }

  straighten() { this.slope.value = this.floor.value = 1; }

  /** The sliders do the same for the keyboard. */
  listen() {
    const { element } = this.chart;
    element.addEventListener("pointerdown", (event) => {
      const y = this.place(event)[1];
      if (this.step !== "drag" || !this.scale || y < this.scale.top - 12 || y > this.scale.bottom + 12) return;
      this.dragged = true;
      element.setPointerCapture(event.pointerId);
      event.preventDefault();
      this.pull(event);
    });
    element.addEventListener("pointermove", (event) => { if (this.dragged) this.pull(event); });
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, () => { this.dragged = false; });
  }

  place(event) {
    const box = this.chart.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  pull(event) {
    const { floor = this.floor.value, slope = this.slope.value } = bend(this.scale, this.times, ...this.place(event), this.floor.value);
    this.floor.value = floor;
    this.slope.value = slope;
    this.draw();
  }

  draw() {
    const { lesson: { worth }, times, words, step } = this, weighed = step === "drag" || step === "ask";
    const now = bent(times, this.floor.value, this.slope.value), n = weighed ? bestSize(worth, now) : this.size.value;
    const figure = this.chart.draw((options) => tradeFigure({ lengths: worth, times: now, measured: times, best: n }, PANELS[step], options), words);
    if (figure) this.scale = tradeScale(figure);
    this.drawTree(n, now[n], weighed);
  }

  drawTree(n, ms, weighed) {
    const { lesson: { found, worth }, words, step } = this, cut = cutTo(found.event, n);
    this.tree.draw(cut, {});
    const values = { n, length: worth[n].toFixed(2), ms: ms.toFixed(0), speed: ((1000 * worth[n]) / ms).toFixed(1), got: cut.token_ids.length };
    this.told.textContent = say(weighed ? words.best_told : step === "cost" ? words.cost_told : words.length_told, values);
  }

  show(step, answered, fresh) {
    const revealed = step === "ask" && answered && !this.answered;
    if (fresh || (step === "ask" && !answered)) { this.straighten(); this.measure(this.lesson.tables[0].table); }
    if (revealed || (fresh && step === "ask" && answered)) this.slope.value = ASKED;
    Object.assign(this, { step, answered });
    this.sliders.hidden = step !== "drag";
    this.size.element.hidden = step === "drag" || step === "ask";
    this.chart.element.classList.toggle("drag", step === "drag");
    this.heading.replaceChildren(this.words.size_titles[step], " ", badge(this.words, step === "cost" ? "measured" : "estimated"));
    this.draw();
  }
}

export const size = { id: "size", steps: ["lengths", "cost", "ask", "drag"], prepare, picture: (lesson, words) => new SizePicture(lesson, words) };
