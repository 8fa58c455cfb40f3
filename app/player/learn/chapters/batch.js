// What happens when the batch grows: more texts in one pass, smaller trees.
import { inks } from "../../charts.js";
import { make } from "../../dom.js";
import { treeFigure } from "../../figures.js";
import { drawTree } from "../../svg.js";
import { counts, say } from "../../words.js";
import { batchFigure } from "../figures.js";
import { badge, Chart, metric, sourceOfTable } from "../parts.js";
import { stepTime } from "../tables.js";

const EACH = 15; // nodes a text of the largest trees that were timed for all batch sizes

/** The events of one step, one for each text; a typical one: of middle size among those in which all take part. */
export function typicalStep(run, rows) {
  const by = new Map();
  for (const event of run.events) {
    if (event.kind === "decode") by.set(event.index, [...(by.get(event.index) || []), event]);
  }
  const whole = [...by.values()].filter((events) => events.length === rows);
  const size = (events) => events.reduce((sum, event) => sum + counts(event).drafted, 0);
  return whole.sort((a, b) => size(a) - size(b))[Math.floor(whole.length / 2)];
}

/** Means over a whole run: nodes a text, tokens a text and pass. */
export function meansOf(run) {
  const steps = run.events.filter(({ kind }) => kind === "decode");
  const mean = (of) => steps.reduce((sum, event) => sum + of(event), 0) / steps.length;
  return { nodes: mean((event) => counts(event).drafted), tokens: mean((event) => event.token_ids.length) };
}

function prepare({ batches, costs }) {
  const told = batches.filter(({ rows, run }) => costs[rows] && run && typicalStep(run, rows)).map(({ rows, run }) => {
    const table = costs[rows], means = meansOf(run), plain = stepTime(table, 0, rows);
    const sizes = Array.from({ length: EACH + 1 }, (_, n) => n);
    const times = (n) => stepTime(table, n, rows) / plain;
    return { rows, run, means, sizes, ratio: sizes.map(times), chosen: means.nodes, at: times(means.nodes), events: typicalStep(run, rows), plain };
  });
  if (told.length < 2) return null;
  const [small, large] = [told[0], told.at(-1)];
  const facts = {
    small: small.rows, large: large.rows, small_nodes: small.means.nodes.toFixed(1), large_nodes: large.means.nodes.toFixed(1),
    small_tokens: small.means.tokens.toFixed(2), large_tokens: large.means.tokens.toFixed(2), eight_small: small.ratio[8].toFixed(1), eight_large: large.ratio[8].toFixed(1),
  };
  const change = large.means.nodes / Math.max(0.1, small.means.nodes);
  return { told, facts, choices: 3, right: change < 0.8 ? 2 : change > 1.25 ? 0 : 1 };
}

/** A tree without words, small: one of many. */
function thumbnail(event, words, element) {
  const bare = (columns) => columns && { ...columns, text: columns.text.map(() => "") };
  const figure = treeFigure({ ...event, nodes: bare(event.nodes), bonus: bare(event.bonus) }, { width: element.clientWidth || 140, height: element.clientHeight || 84, words, ...inks(element) });
  drawTree(element.firstElementChild, figure);
}

function picture(lesson, words) {
  const { told } = lesson;
  let step = "one", answered = false, chosen = told[0].rows;
  const heading = make("h3", {});
  const chips = make("div", { class: "propd-runs", role: "group", "aria-label": words.batch_choice }, ...told.map(({ rows }) =>
    make("button", { type: "button", class: "propd-chip", "data-rows": rows, onclick: () => { chosen = rows; draw(); } }, say(words.batch_texts, { rows }))));
  const grid = make("div", { class: "propd-thumbs" }), metrics = make("dl", { class: "propd-metrics" });
  const chart = new Chart(words.batch_chart, 280);
  const chartBox = make("div", {}, make("h4", {}, words.batch_chart, " ", badge(words, "measured")), chart.element);
  const last = told.at(-1);
  const element = make("div", { class: "propd-lesson" }, heading, chips, metrics, make("div", { class: "propd-pair wide" }, grid, chartBox),
    make("p", { class: "propd-source" }, say(words.batch_source, { prompts: last.rows, method: last.run.header.method, machine: last.run.header.machine, date: last.run.header.recorded })),
    sourceOfTable(told[0].table?.about || lesson.about, `propd costs --rows ${last.rows}`, words));

  function draw() {
    const one = told.find(({ rows }) => rows === chosen);
    heading.textContent = say(words.batch_title, { rows: one.rows });
    for (const chip of chips.children) chip.setAttribute("aria-pressed", String(Number(chip.dataset.rows) === chosen));
    const nodes = one.events.reduce((sum, event) => sum + counts(event).drafted, 0);
    metrics.replaceChildren(metric(one.means.nodes.toFixed(1), words.nodes_each), metric(String(nodes + one.rows), words.tokens_in_pass), metric(one.means.tokens.toFixed(2), words.tokens_per_pass_each));
    grid.dataset.rows = String(one.rows);
    grid.replaceChildren(...one.events.map((event) => make("div", { class: "propd-thumb", role: "img", "aria-label": say(words.thumb_label, { row: (event.row || 0) + 1, ...counts(event) }) }, make("div", {}))));
    [...grid.children].forEach((thumb, i) => thumbnail(one.events[i], words, thumb));
    chart.draw((options) => batchFigure(told, chosen, options), words);
  }

  return {
    element,
    show(name, answered_, fresh) {
      if (fresh) chosen = name === "many" ? last.rows : told[0].rows;
      if (name === "ask" && answered_ && !answered) chosen = last.rows;
      [step, answered] = [name, answered_];
      const open = step === "many" || (step === "ask" && answered);
      chips.hidden = !open;
      chartBox.hidden = !open;
      draw();
    },
  };
}

export const batch = { id: "batch", steps: ["one", "ask", "many"], prepare, picture };
