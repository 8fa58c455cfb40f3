// Choosing the size: L(n), T(n), their ratio, and what happens when the cost curve is dragged.
import { make } from "../../dom.js";
import { say } from "../../words.js";
import { tradeFigure, tradeScale } from "../figures.js";
import { badge, Chart, Slider, sourceOf, sourceOfTable, TreePicture } from "../parts.js";
import { stepOfSize } from "../pick.js";
import { bent, bestSize, cutTo, lengths, stepTime } from "../tables.js";

const ASKED = 4; // times what every node costs, in the question
const STEEPEST = 10;
const ROWS = { lengths: ["length"], cost: ["length", "cost"], ask: ["length", "cost", "ratio"], drag: ["length", "cost", "ratio", "drag"] };

function prepare({ runs, costs }) {
  const found = stepOfSize(runs), table = costs[1];
  if (!found || !table) return null;
  const worth = lengths(found.event), times = worth.map((_, n) => stepTime(table, n));
  const best = bestSize(worth, times), dear = bestSize(worth, bent(times, 1, ASKED));
  const last = worth.length - 1;
  const choices = [...new Set([dear, best, Math.min(last, Math.max(2 * best, best + 1))])];
  const facts = {
    most: last, best, dear, asked: ASKED, length_best: worth[best].toFixed(2), length_most: worth[last].toFixed(2), first: worth[1].toFixed(2),
    half: worth[Math.round(last / 2)].toFixed(2), half_n: Math.round(last / 2), plain: times[0].toFixed(0), dearest: times[last].toFixed(0), times: (times[last] / times[0]).toFixed(1),
    gain: (worth[best] / times[best] / (worth[0] / times[0])).toFixed(2),
  };
  return { found, table, worth, times, best, facts, choices: choices.map(String), right: choices.indexOf(dear), sources: { lengths: found } };
}

/** A pointer on the T(n) panel, as what it asks for: the floor near n = 0, the slope elsewhere. */
export function bend(scale, times, x, y, floor) {
  const n = Math.round(Math.max(0, Math.min(times.length - 1, scale.size(x)))), ms = scale.ms(y);
  if (n < 0.12 * times.length) return { floor: Math.max(0.2, Math.min(3, ms / times[0])) };
  return { slope: Math.max(0, Math.min(STEEPEST, (ms - floor * times[0]) / (times[n] - times[0]))) };
}

function picture(lesson, words) {
  const { found, table, worth, times } = lesson;
  let step = "lengths", answered = false, dragged = false, scale = null;
  const told = make("p", { class: "propd-told", "aria-live": "polite" });
  const times_ = (value) => say(words.times, { value: value.toFixed(2) });
  const slope = new Slider(words.slope_slider, { min: 0, max: STEEPEST, step: 0.05, value: 1, tell: times_ }, () => draw());
  const floor = new Slider(words.floor_slider, { min: 0.2, max: 3, step: 0.05, value: 1, tell: times_ }, () => draw());
  const size = new Slider(words.size_slider, { min: 0, max: worth.length - 1, value: lesson.best }, () => draw());
  const back = make("button", { type: "button", class: "propd-chip", onclick: () => { slope.value = floor.value = 1; draw(); } }, words.as_measured);
  const chart = new Chart(words.trade_chart, 380);
  const tree = new TreePicture(words, { card: false, fates: "raxb" });
  const sliders = make("div", { class: "propd-row" }, slope.element, floor.element, back);
  const heading = make("h3", {});
  const element = make("div", { class: "propd-lesson" }, heading, make("div", { class: "propd-pair trade" }, make("div", { class: "propd-stack" }, chart.element, sliders, size.element), tree.element), told,
    sourceOf(found, words), sourceOfTable(table.about, `propd costs --rows 1 --sweeps ${table.about.sweeps}`, words));

  chart.element.addEventListener("pointerdown", (event) => {
    if (step !== "drag" || !inside(event)) return;
    dragged = true;
    chart.element.setPointerCapture(event.pointerId);
    event.preventDefault();
    pull(event);
  });
  chart.element.addEventListener("pointermove", (event) => { if (dragged) pull(event); });
  for (const end of ["pointerup", "pointercancel"]) chart.element.addEventListener(end, () => { dragged = false; });

  const place = (event) => { const box = chart.element.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const inside = (event) => { const y = place(event)[1]; return scale && y > scale.top - 12 && y < scale.bottom + 12; };
  function pull(event) {
    const asked = bend(scale, times, ...place(event), floor.value);
    if ("floor" in asked) floor.value = asked.floor;
    else slope.value = asked.slope;
    draw();
  }

  function draw() {
    const bending = step === "drag" || (step === "ask" && answered);
    const now = bending ? bent(times, floor.value, slope.value) : times;
    const best = bestSize(worth, now), weighed = step === "drag" || step === "ask";
    const n = weighed ? best : size.value;
    const drawn = chart.draw((options) => tradeFigure({ lengths: worth, times: now, measured: times, best: n }, ROWS[step], options), words);
    if (drawn) scale = tradeScale(drawn);
    chart.element.classList.toggle("drag", step === "drag");
    const cut = cutTo(found.event, n);
    tree.draw(cut, {});
    sliders.hidden = step !== "drag";
    size.element.hidden = weighed;
    heading.replaceChildren(words.size_titles[step], " ", badge(words, step === "cost" ? "measured" : "estimated"));
    const values = { n, length: worth[n].toFixed(2), ms: now[n].toFixed(0), speed: ((1000 * worth[n]) / now[n]).toFixed(1), got: cut.token_ids.length };
    told.textContent = say(weighed ? words.best_told : step === "cost" ? words.cost_told : words.length_told, values);
  }

  return {
    element,
    show(name, answered_, fresh) {
      if (fresh) slope.value = floor.value = 1;
      if (name === "ask" && answered_ && !answered) slope.value = ASKED;
      [step, answered] = [name, answered_];
      draw();
    },
  };
}

export const size = { id: "size", steps: ["lengths", "cost", "ask", "drag"], prepare, picture };
