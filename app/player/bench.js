// The benchmark: its figures, its numbers, and how they were measured.
import { batchesOf, phasesFigure, promiseFigure, speedFigure, tradeFigure } from "./bench_figures.js";
import { inks, loadPlotly } from "./charts.js";
import { make } from "./dom.js";
import { copyButton } from "./files.js";
import { CONFIG } from "./figures.js";
import { pictureMenu } from "./pictures.js";
import { whenShown } from "./places.js";
import { say } from "./words.js";

const BEST = "propd"; // the method of this project, if it was measured
const PLAIN = "autoregressive";

const fixed = (value, digits) => (value === null || value === undefined ? "" : value.toFixed(digits));

/** The cells of a total, by the names of `words.bench_columns`. */
export function cells(total, words) {
  const spread = total.low === null || total.name === PLAIN ? "" : say(words.spread, { low: fixed(total.low, 2), high: fixed(total.high, 2) });
  return {
    name: total.name, batch: String(total.batch), speed: fixed(total.speed, 1), ratio: fixed(total.ratio, 2), spread,
    decode_speed: fixed(total.decode_speed, 1), first_ms: fixed(total.first_ms, 0), per_pass: fixed(total.per_pass, 2),
    drafted: fixed(total.drafted, 1), verified: fixed(total.verified, 1), identical: say(words.of, { count: total.identical, all: total.prompts }),
  };
}

/** Columns that some row fills; the batch only where there are several. */
export function table(totals, words) {
  const rows = totals.map((total) => cells(total, words));
  const used = Object.keys(words.bench_columns).filter((name) =>
    rows.some((row) => row[name] !== "") && (name !== "batch" || batchesOf(totals).length > 1));
  return { heads: used.map((name) => words.bench_columns[name]), rows: rows.map((row) => used.map((name) => row[name])) };
}

/** [[label, text], ...] of how it was measured. */
export function aboutRows(about, words) {
  const list = (values) => Object.entries(values || {}).map(([name, value]) => `${name} ${value}`).join(", ");
  const told = {
    ...about, heads: list(about.heads), versions: list(about.versions), peers: Object.entries(about.peers || {}).map(([name, told]) => `${name} (${told})`).join("; "),
    asked: about.prompts ? say(words.bench_asked, { ...about, tokens: about.max_new_tokens, batches: about.batch_sizes.join(", ") }) : "",
    memory: about.peak_bytes ? `${(about.peak_bytes / 1e9).toFixed(2)} GB` : "", skipped: (about.skipped || []).join("; "),
  };
  return Object.entries(words.bench_rows).map(([name, label]) => [label, told[name] ? String(told[name]) : ""]).filter(([, value]) => value);
}

/** The result in a sentence; "" where our own method was not measured. */
export function lead({ totals }, methods, words) {
  const best = totals.find((total) => total.name === BEST);
  if (!best) return "";
  const told = { ...best, method: methods[BEST] || BEST, ratio: fixed(best.ratio, 2), low: fixed(best.low, 2), high: fixed(best.high, 2) };
  return say(best.low === null ? words.bench_lead_short : words.bench_lead, told);
}

function grid(label, heads, rows) {
  const head = make("tr", {}, ...heads.map((value) => make("th", { scope: "col" }, value)));
  const line = ([name, ...values]) => make("tr", {}, make("th", { scope: "row" }, name), ...values.map((value) => make("td", {}, value)));
  return make("div", { class: "propd-table-box", tabindex: 0, role: "region", "aria-label": label },
    make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows.map(line))));
}

export class BenchView {
  /** place: {words, props, base, server, visited(name)} of the place Runs. */
  constructor(box, place) {
    Object.assign(this, { box, place, results: null, added: [], name: null });
    this.chips = make("div", { class: "propd-runs", role: "group", "aria-label": place.words.bench_choice });
    this.sheet = make("div", { class: "propd-sheet" });
    box.replaceChildren(this.chips, this.sheet);
    whenShown(box, () => this.plot());
    new MutationObserver(() => this.plot()).observe(document.body, { attributeFilter: ["class"] }); // light or dark
  }

  /** Called when the view is opened; the shipped results come with the first call. */
  async open() {
    const { base, props, server } = this.place;
    if (this.asked) return this.draw();
    this.asked = true;
    loadPlotly(base + props.plotly).then(() => this.plot(), () => {});
    try {
      this.results = await server.benchmarks(null);
    } catch {
      this.asked = false; // the next visit asks again
      this.results = [];
    }
    this.choose(this.name);
  }

  add(results) {
    this.added = [results, ...this.added.filter((one) => one.name !== results.name)];
    this.choose(results.name);
  }

  all() {
    return [...this.added, ...(this.results || [])];
  }

  choose(name) {
    this.name = name;
    this.draw();
    if (!this.shown) return;
    this.name = this.shown.name;
    this.place.visited();
  }

  draw() {
    const { words, props } = this.place;
    const all = this.all();
    this.shown = all.find((one) => one.name === this.name) || all[0];
    this.chips.hidden = all.length < 2;
    const label = ({ about, label: file }) => file || say(words.bench_label, about);
    this.chips.replaceChildren(...all.map((one) => make("button", {
      type: "button", class: "propd-chip", "aria-pressed": String(one === this.shown), onclick: () => this.choose(one.name) }, label(one))));
    if (!this.shown) return this.sheet.replaceChildren(make("p", {}, this.results ? words.bench_none : words.reading));
    const { about, totals } = this.shown;
    const { heads, rows } = table(totals, words);
    this.figures = this.pictures();
    this.sheet.replaceChildren(
      make("p", { class: "propd-caption" }, lead(this.shown, props.methods, words)),
      make("p", { class: "propd-measured" }, make("span", { class: "propd-badge measured" }, words.measured), " ",
        say(about.device === "cpu" ? words.measured_on : words.measured_on_device, about)),
      make("div", { class: "propd-figures" }, ...this.figures.map((figure) => figure.box)),
      make("section", { class: "propd-table" }, make("h3", {}, words.bench_table), grid(words.bench_table, heads, rows), make("p", { class: "propd-hint" }, words.bench_foot)),
      ...this.categories(), this.about(about));
    this.plot();
  }

  /** A picture each: where it stands and how to make its figure for a width. */
  pictures() {
    const { words } = this.place, shown = this.shown;
    const one = (key, figure, more = "") => {
      const title = words["figure_" + key];
      const chart = make("div", { class: "propd-chart", role: "img", "aria-label": `${title}. ${words[`figure_${key}_look`]}` });
      const box = make("section", { class: "propd-figure" }, make("div", { class: "propd-figure-head" }, make("h3", {}, title), more,
        pictureMenu([[title, () => chart, () => ["propd-bench", key]]], words)), make("p", { class: "propd-hint" }, words[`figure_${key}_look`]), chart);
      return { chart, box, make: figure };
    };
    const weighed = [...new Set(shown.promises.map((curve) => curve.name))];
    this.weighed = weighed.includes(this.weighed) ? this.weighed : weighed.find((name) => name === BEST) || weighed[0];
    const choice = make("select", { class: "propd-speed", "aria-label": words.bench_columns.name, onchange: (e) => { this.weighed = e.target.value; this.plot(); } },
      ...weighed.map((name) => make("option", { value: name, selected: name === this.weighed }, name)));
    return [
      one("speed", (options) => speedFigure(shown, options)), one("trade", (options) => tradeFigure(shown, options)),
      one("phases", (options) => phasesFigure(shown, options)),
      one("promise", (options) => promiseFigure(shown.promises, this.weighed, options), choice),
    ].filter((figure) => figure.make({ words }) !== null);
  }

  plot() {
    if (!window.Plotly || !this.figures || !this.box.clientWidth) return;
    for (const { chart, make: figure } of this.figures) {
      const { data, layout } = figure({ width: chart.clientWidth, words: this.place.words, ...inks(chart) });
      window.Plotly.react(chart, data, layout, CONFIG);
    }
  }

  categories() {
    const { words } = this.place, { categories, totals } = this.shown;
    const names = [...new Set(categories.map((row) => row.category))];
    if (names.length < 2) return [];
    const several = batchesOf(totals).length > 1;
    const ratio = (total, category) => categories.find((row) => row.category === category && row.name === total.name && row.batch === total.batch)?.ratio;
    const rows = totals.filter((total) => total.name !== PLAIN).map((total) =>
      [several ? total.name + words.comma + say(words.batch, total) : total.name, ...names.map((name) => fixed(ratio(total, name), 2))]);
    return [make("section", { class: "propd-table" }, make("h3", {}, words.bench_categories), grid(words.bench_categories, [words.bench_columns.name, ...names], rows))];
  }

  about(about) {
    const { words } = this.place;
    const rows = aboutRows(about, words).map(([label, value]) => make("div", {}, make("dt", {}, label), make("dd", {}, value)));
    const command = `python -m propd ${about.command}`;
    const asked = about.command ? [make("h4", {}, words.command), make("pre", { class: "propd-command", tabindex: 0 }, command),
      copyButton(words.copy_command, () => command, words)] : [];
    const file = (this.place.props.results || {})[this.shown.name];
    const save = file ? make("a", { class: "propd-chip", href: this.place.base + file, download: true }, words.bench_save) : "";
    return make("section", { class: "propd-made" }, make("h3", {}, words.made), make("dl", { class: "propd-pairs" }, ...rows), ...asked, " ", save);
  }
}
