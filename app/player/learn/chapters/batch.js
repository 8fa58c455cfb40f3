// What happens when the batch grows: more texts in one pass, smaller trees.
import { inks } from "../../charts.js";
import { make } from "../../dom.js";
import { treeFigure } from "../../figures.js";
import { drawTree } from "../../svg.js";
import { counts, say } from "../../words.js";
import { batchFigure } from "../figures.js";
import { badge, Chart, costsCommand, countOf, metric, sourceOfTable, TreePicture } from "../parts.js";
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

class BatchPicture {
  constructor(lesson, words) {
    const { told } = lesson, last = told.at(-1);
    Object.assign(this, { lesson, words, step: "one", answered: false, chosen: told[0].rows });
    const chip = ({ rows }) => make("button", { type: "button", class: "propd-chip", "data-rows": rows, onclick: () => { this.chosen = rows; this.draw(); } }, countOf(words.batch_texts, rows));
    this.heading = make("h3", {});
    this.chips = make("div", { class: "propd-runs", role: "group", "aria-label": words.batch_choice }, ...told.map(chip));
    this.metrics = make("dl", { class: "propd-metrics" });
    this.tree = new TreePicture(words, { card: false, fates: "raxpb" });
    this.grid = make("div", { class: "propd-thumbs" });
    this.chart = new Chart(words.batch_chart, 240);
    this.chartBox = make("div", {}, make("h4", {}, words.batch_chart, " ", badge(words, "measured")), this.chart.element);
    const { method, machine, recorded } = last.run.header;
    this.element = make("div", { class: "propd-lesson" }, this.heading, this.chips, this.metrics, this.tree.element, this.grid, this.chartBox,
      make("p", { class: "propd-source" }, say(words.batch_source, { prompts: last.rows, method, machine, date: recorded })),
      sourceOfTable(lesson.about, costsCommand(lesson), words));
  }

  draw() {
    const { words, chosen, lesson: { told } } = this, one = told.find(({ rows }) => rows === chosen);
    this.heading.textContent = countOf(words.batch_titles, chosen);
    for (const chip of this.chips.children) chip.setAttribute("aria-pressed", String(Number(chip.dataset.rows) === chosen));
    const nodes = one.events.reduce((sum, event) => sum + counts(event).drafted, 0);
    this.metrics.replaceChildren(metric(one.means.nodes.toFixed(1), words.nodes_each), metric(String(nodes + chosen), words.tokens_in_pass),
      metric(one.means.tokens.toFixed(2), words.tokens_per_pass_each));
    this.drawTrees(one);
    this.chart.draw((options) => batchFigure(told, chosen, options), words);
  }

  /** One tree with its words, or many small ones. */
  drawTrees({ events, rows }) {
    const { words, tree, grid } = this;
    tree.element.hidden = rows > 1;
    grid.hidden = rows === 1;
    grid.dataset.rows = String(rows);
    if (rows === 1) return tree.draw(events[0], {});
    const box = (event) => make("div", { class: "propd-thumb", role: "img", "aria-label": say(words.thumb_label, { row: (event.row || 0) + 1, ...counts(event) }) }, make("div", {}));
    grid.replaceChildren(...events.map(box));
    drawThumbnails(events, words, [...grid.children]);
  }

  show(step, answered, fresh) {
    const { told } = this.lesson, large = told.at(-1).rows;
    if (fresh) this.chosen = step === "many" || answered ? large : told[0].rows;
    if (answered && !this.answered) this.chosen = large;
    Object.assign(this, { step, answered });
    this.chips.hidden = this.chartBox.hidden = !(step === "many" || answered);
    this.draw();
  }
}

export const batch = { id: "batch", steps: ["one", "ask", "many"], prepare, picture: (lesson, words) => new BatchPicture(lesson, words) };
