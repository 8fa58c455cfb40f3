// What happens when the batch grows: more texts in one pass, smaller trees.
import { inks } from "../../charts.js";
import { make } from "../../dom.js";
import { treeFigure } from "../../figures.js";
import { drawTree } from "../../svg.js";
import { counts, say } from "../../words.js";
import { batchFigure } from "../figures.js";
import { badge, Chart, countOf, metric, sourceOfTable, TreePicture } from "../parts.js";
import { stepTime } from "../tables.js";

const NARROWEST = 280; // of a small tree's own pixels that its box shows
const EACH = 15; // nodes a text of the largest trees that were timed for all batch sizes

/** The events of one step, one for each text: of middle size, and of such the one that gained most. */
export function typicalStep(run, rows) {
  const by = new Map();
  for (const event of run.events) {
    if (event.kind === "decode") by.set(event.index, [...(by.get(event.index) || []), event]);
  }
  const whole = [...by.values()].filter((events) => events.length === rows);
  const size = (events) => events.reduce((sum, event) => sum + counts(event).drafted, 0);
  whole.sort((a, b) => size(a) - size(b));
  const third = Math.floor(whole.length / 3), middle = whole.slice(third, whole.length - third);
  const gained = (events) => events.reduce((sum, event) => sum + event.accepted.length, 0);
  return middle.sort((a, b) => gained(b) - gained(a))[0];
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
  return { told, about: costs[large.rows].about, facts, choices: 3, right: change < 0.8 ? 2 : change > 1.25 ? 0 : 1 };
}

/** Trees without words: one of many. Only those that would not fit are drawn smaller than the others. */
function drawThumbnails(events, words, boxes) {
  const bare = (columns) => columns && { ...columns, text: columns.text.map(() => "") };
  const figures = events.map((event, i) => treeFigure({ ...event, nodes: bare(event.nodes), bonus: bare(event.bonus) }, { width: 60, height: 30, words, ...inks(boxes[i]) }));
  figures.forEach((figure, i) => {
    drawTree(boxes[i].firstElementChild, figure);
    const picture = boxes[i].querySelector("svg");
    const { width, height } = figure.layout, view = `-4 0 ${Math.max(NARROWEST, width + 8)} ${height}`;
    for (const [name, value] of [["width", "100%"], ["height", "100%"], ["viewBox", view], ["preserveAspectRatio", "xMinYMid meet"]]) picture.setAttribute(name, value);
  });
}

function picture(lesson, words) {
  const { told } = lesson;
  let step = "one", answered = false, chosen = told[0].rows;
  const heading = make("h3", {});
  const chips = make("div", { class: "propd-runs", role: "group", "aria-label": words.batch_choice }, ...told.map(({ rows }) =>
    make("button", { type: "button", class: "propd-chip", "data-rows": rows, onclick: () => { chosen = rows; draw(); } }, countOf(words.batch_texts, rows))));
  const grid = make("div", { class: "propd-thumbs" }), metrics = make("dl", { class: "propd-metrics" });
  const tree = new TreePicture(words, { card: false, fates: "raxpb" });
  const chart = new Chart(words.batch_chart, 240);
  const chartBox = make("div", {}, make("h4", {}, words.batch_chart, " ", badge(words, "measured")), chart.element);
  const last = told.at(-1);
  const element = make("div", { class: "propd-lesson" }, heading, chips, metrics, tree.element, grid, chartBox,
    make("p", { class: "propd-source" }, say(words.batch_source, { prompts: last.rows, method: last.run.header.method, machine: last.run.header.machine, date: last.run.header.recorded })),
    sourceOfTable(lesson.about, `propd costs --rows ${last.rows} --sweeps ${lesson.about.sweeps}`, words));

  function draw() {
    const one = told.find(({ rows }) => rows === chosen);
    heading.textContent = countOf(words.batch_titles, one.rows);
    for (const chip of chips.children) chip.setAttribute("aria-pressed", String(Number(chip.dataset.rows) === chosen));
    const nodes = one.events.reduce((sum, event) => sum + counts(event).drafted, 0);
    metrics.replaceChildren(metric(one.means.nodes.toFixed(1), words.nodes_each), metric(String(nodes + one.rows), words.tokens_in_pass), metric(one.means.tokens.toFixed(2), words.tokens_per_pass_each));
    grid.dataset.rows = String(one.rows);
    tree.element.hidden = one.rows > 1;
    grid.hidden = one.rows === 1;
    if (one.rows === 1) tree.draw(one.events[0], {});
    grid.replaceChildren(...one.events.map((event) => make("div", { class: "propd-thumb", role: "img", "aria-label": say(words.thumb_label, { row: (event.row || 0) + 1, ...counts(event) }) }, make("div", {}))));
    if (one.rows > 1) drawThumbnails(one.events, words, [...grid.children]);
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
