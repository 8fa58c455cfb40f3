// Limits and honesty: lossless, promised and measured, what the paper reports and what was measured.
import { make } from "../../dom.js";
import { nodeAt, say, visible } from "../../words.js";
import { promiseFigure } from "../figures.js";
import { badge, Chart } from "../parts.js";
import { lost, promises, sameText, stepOfLoss } from "../pick.js";

function prepare({ runs, bench }) {
  const same = sameText(runs), told = promises(runs), wrong = stepOfLoss(runs);
  if (!same || !told.length || !wrong) return null;
  const mean = (name) => (told.reduce((sum, one) => sum + one[name] * one.steps, 0) / told.reduce((sum, one) => sum + one.steps, 0)).toFixed(2);
  const facts = {
    same: same.same, loss: visible(nodeAt(wrong.event, lost(wrong.event)).text), promised: mean("length"), got: mean("got"),
    promised_ms: Math.round(mean("ms")), took: Math.round(mean("took")),
  };
  return { same, told: told.map((one) => ({ ...one, label: (one.run.label || one.run.name).split(" · ")[0] })), bench, facts, choices: 3, right: 2 };
}

/** A text in which the part that both have is underlined. */
function textOf(title, text, same) {
  return make("div", {}, make("h4", {}, title), make("div", { class: "propd-same", tabindex: 0, role: "region", "aria-label": title }, make("span", { class: "both" }, text.slice(0, same)), make("span", {}, text.slice(same))));
}

const list = (items) => make("ul", { class: "propd-list" }, ...items.map((item) => make("li", {}, item)));

function benchTable(bench, words) {
  const cell = (tag, text) => make(tag, tag === "th" ? { scope: "col" } : {}, text);
  const rows = bench.rows.map(({ label, ratio, per_pass, identical, prompts }) => make("tr", {},
    make("th", { scope: "row" }, label), cell("td", `×${ratio.toFixed(2)}`), cell("td", per_pass ? per_pass.toFixed(2) : ""), cell("td", `${identical}/${prompts}`)));
  return make("div", { class: "propd-table-box", tabindex: 0, role: "region", "aria-label": words.bench_title }, make("table", {}, make("thead", {}, make("tr", {}, ...words.bench_columns.map((name) => cell("th", name)))), make("tbody", {}, ...rows)));
}

class LimitsPicture {
  constructor(lesson, words) {
    Object.assign(this, { lesson, words });
    this.heading = make("h3", {});
    this.chart = new Chart(words.promise_chart, 290);
    this.parts = { same: this.texts(), promised: this.promised(), paper: this.paper(), limits: list(words.limits_list) };
    this.element = make("div", { class: "propd-lesson" }, this.heading, ...Object.values(this.parts));
  }

  texts() {
    const { words, lesson: { facts, same: { one, other, a, b, same } } } = this;
    return make("div", {}, make("p", {}, make("span", { class: "propd-chip ok" }, say(words.same_badge, facts))),
      make("div", { class: "propd-pair" }, textOf(one.label, a, same), textOf(other.label, b, same)));
  }

  promised() {
    const { words } = this;
    return make("div", {}, this.chart.element, make("p", { class: "propd-told" }, make("span", { class: "propd-key hollow" }), words.estimated, " ", make("span", { class: "propd-key full" }), words.measured));
  }

  paper() {
    const { words, lesson: { bench } } = this;
    const ours = bench ? [make("h4", {}, words.bench_title, " ", badge(words, "measured")), benchTable(bench, words), make("p", { class: "propd-source" }, say(words.bench_source, bench))] : [];
    return make("div", { class: "propd-stack" }, make("h4", {}, words.paper_says), list(words.paper_list), ...ours);
  }

  show(step, answered) {
    const open = step === "ask" ? (answered ? "same" : null) : step;
    for (const [name, part] of Object.entries(this.parts)) part.hidden = name !== open;
    this.heading.textContent = this.words.limits_titles[open || step];
    if (open === "promised") this.chart.draw((options) => promiseFigure(this.lesson.told, options), this.words);
  }
}

export const limits = { id: "limits", steps: ["ask", "same", "promised", "paper", "limits"], prepare, picture: (lesson, words) => new LimitsPicture(lesson, words) };
