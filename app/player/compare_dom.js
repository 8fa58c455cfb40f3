// Compare's HTML: lanes, columns, table. Token text enters the page through textContent alone.
import { cornerMark, make, mark } from "./dom.js";
import { CORNERS } from "./figures.js";
import { ALIGNMENTS, share, standing } from "./race.js";
import { baselineOf, PLAIN, spread, speedsOf, tableOf } from "./tally.js";
import { say, visible } from "./words.js";

const FATES = ["r", "a", "b", "x", "p"];

/** A number as people read it: few digits, never more exact than it is. */
export function number(value, digits) {
  return value === null || value === undefined ? null : value.toFixed(digits);
}

/** Build the whole panel once; returns its parts by name. */
export function build(words, on) {
  const p = {};
  p.runs = make("div", { class: "propd-runs", role: "group", "aria-label": words.runs });
  p.status = make("span", { class: "propd-status" });
  p.setup = make("p", { class: "propd-setup" });
  p.prompt = make("p", { class: "propd-prompt" });
  p.alignments = Object.fromEntries(ALIGNMENTS.map((name) =>
    [name, make("button", { type: "button", onclick: () => on.align(name) }, words.alignments[name])]));
  p.hint = make("span", { class: "propd-align-hint" });
  p.lanes = make("ul", { class: "propd-racers" });
  p.columns = make("div", { class: "propd-columns" });
  p.headline = make("p", { class: "propd-headline", "aria-live": "polite" });
  p.table = make("div", { class: "propd-results-box", tabindex: 0, role: "region", "aria-label": words.results });
  p.notes = make("ul", { class: "propd-notes" });
  const legend = make("ul", { class: "propd-legend" },
    ...FATES.map((fate) => make("li", { class: "propd-fate" }, mark(fate), words.fates[fate])),
    ...Object.keys(CORNERS).map((source) => make("li", { class: "propd-fate" }, cornerMark(source), words.sources[source])),
    make("li", {}, words.legend_size), make("li", {}, words.legend_space));
  p.root = make("div", { class: "propd-player propd-compare", tabindex: 0, role: "group", "aria-label": words.race, onkeydown: on.key },
    make("div", { class: "propd-top" }, make("div", { class: "propd-which" }, p.runs, p.status), p.setup),
    p.prompt,
    make("div", { class: "propd-align" },
      make("div", { class: "propd-switch", role: "group", "aria-label": words.align },
        make("span", {}, words.align), ...Object.values(p.alignments)), p.hint),
    on.bar, p.lanes, p.columns, legend,
    make("section", { class: "propd-results", "aria-label": words.results }, p.headline, p.table, p.notes),
    make("p", { class: "propd-keys" }, words.keys));
  return p;
}

/** One line a method: how far it has come; a click shows or hides its tree. */
export function drawLanes(box, { lanes, shown, alignment, indices, states }, words, labels, pick) {
  if (box.children.length !== lanes.length || lanes.some((lane, k) => box.children[k].dataset.method !== lane.method)) {
    box.replaceChildren(...lanes.map((lane) => laneItem(lane.method, words, labels, pick)));
  }
  lanes.forEach((lane, k) => {
    const item = box.children[k], i = indices[k];
    const now = standing(lane, i);
    item.classList.toggle("done", now.done && states[k] !== "running");
    item.querySelector("button").setAttribute("aria-pressed", String(shown.includes(lane.method)));
    item.querySelector(".propd-racer-fill").style.width = `${100 * share(lanes, lane, alignment, i)}%`;
    item.querySelector(".propd-racer-told").textContent = i >= 0
      ? say(words.standing, { ...now, seconds: now.seconds.toFixed(2) })
      : states[k] === "waiting" ? words.waiting_lane : words.standing_empty;
  });
}

function laneItem(method, words, labels, pick) {
  const button = make("button", {
    type: "button", class: "propd-racer", onclick: () => pick(method), title: words.large_hint,
    "aria-label": say(words.show_large, { label: labels[method] }),
  }, make("span", { class: "propd-racer-name" }, labels[method]));
  return make("li", { "data-method": method }, button,
    make("span", { class: "propd-racer-bar", "aria-hidden": "true" }, make("span", { class: "propd-racer-fill" })),
    make("span", { class: "propd-racer-told" }));
}

/**
 * The figures of all methods; numbers are measured, so none of them looks like an estimate.
 * On a phone the styles show it as blocks, so that it must say itself that it is a table (roles).
 */
export function drawTable(box, run, words, labels) {
  const rows = tableOf(run.runs);
  if (!rows.length) return box.replaceChildren();
  const slowest = Math.max(...rows.map((row) => total(row.times)));
  const reference = referenceOf(run);
  const titles = { ...words.column_titles, text: say(words.column_titles.text, { reference: labels[reference] || reference }) };
  const heads = Object.entries(words.columns).map(([name, head]) =>
    make("th", { scope: "col", role: "columnheader", title: titles[name] || null, class: name === "times" ? "times" : null }, head));
  box.replaceChildren(make("table", { class: "propd-results-table", role: "table" },
    make("caption", {}, words.results, " ", make("span", { class: "propd-badge measured" }, words.measured)),
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)),
    make("tbody", { role: "rowgroup" }, ...rows.map((row) => tableRow(row, run, slowest, words, labels)))),
  phaseKey(rows, words));
}

/** Which colour of the bars is which phase. */
function phaseKey(rows, words) {
  const phases = [...new Set(rows.flatMap((row) => Object.keys(row.times).filter((phase) => row.times[phase] > 0)))];
  return make("div", { class: "propd-times propd-phase-key" },
    make("ul", {}, ...phases.map((phase) => make("li", { "data-phase": phase }, phaseName(phase, words)))));
}

const phaseName = (phase, words) => (phase === "prefill" ? words.prefill : words.phases[phase] || phase);

const total = (times) => Object.values(times).reduce((sum, ms) => sum + ms, 0);

function tableRow(row, run, slowest, words, labels) {
  const cell = (value, head, ...more) => make("td", { role: "cell", "data-head": head }, value ?? words.none, ...more);
  const plain = row.baseline;
  return make("tr", { role: "row" },
    make("th", { scope: "row", role: "rowheader" }, labels[row.method] || row.method),
    cell(number(row.speeds && row.speeds.median, 1), words.columns.speed, range(row.speeds, 1, words)),
    cell(row.ups && say(words.speed_up_of, { value: row.ups.median.toFixed(2) }), words.columns.speed_up,
      plain ? small(words.baseline) : range(row.ups, 2, words)),
    cell(number(row.passes, 2), words.columns.passes),
    cell(number(row.size, 1), words.columns.size),
    cell(number(row.verified, 1), words.columns.verified),
    cell(row.pruned === null ? null : `${Math.round(100 * row.pruned)}%`, words.columns.pruned),
    make("td", { role: "cell", class: "times", "data-head": words.columns.times }, timeBar(row.times, slowest, words)),
    make("td", { role: "cell", "data-head": words.columns.text }, verdict(row.method, run, words)));
}

const small = (text) => make("small", {}, text);

function range(values, digits, words) {
  if (!values || values.low === values.high) return "";
  return small(say(words.range, { low: values.low.toFixed(digits), high: values.high.toFixed(digits) }));
}

/** Where the time of a token went; all bars of a table have one scale. */
function timeBar(times, slowest, words) {
  const parts = Object.entries(times).filter(([, ms]) => ms > 0);
  const said = parts.map(([phase, ms]) => say(words.phase_ms, { name: phaseName(phase, words), ms: ms.toFixed(1) }));
  const bar = make("span", { class: "propd-bar", style: `width:${(100 * total(times)) / slowest}%` },
    ...parts.map(([phase, ms], i) => make("span", { "data-phase": phase, style: `flex-grow:${ms}`, title: said[i] })));
  return make("span", { class: "propd-times", role: "img", "aria-label": said.join(words.comma) },
    make("b", {}, total(times).toFixed(1)), make("span", { class: "propd-bar-room" }, bar));
}

/** The method whose text the others are held against; as app/comparing.py chooses it. */
export function referenceOf(run) {
  const methods = Object.keys(run.runs);
  return methods.includes(PLAIN) ? PLAIN : methods[0];
}

function verdict(method, run, words) {
  if (method === referenceOf(run)) return small(words.reference);
  const told = run.texts[method];
  if (!told) return small(words.not_compared);
  const [kind, text] = told.identical ? ["same", words.identical] : ["other", say(words.differs, { position: told.position + 1 })];
  return make("span", { class: `propd-verdict ${kind}` }, text);
}

/** What the numbers come to, in a sentence or two; "" before two methods are done. */
export function headline(run, words, labels) {
  const done = Object.keys(run.runs).filter((method) => run.runs[method].repeats.length);
  if (done.length < 2) return "";
  const runs = Object.fromEntries(done.map((method) => [method, run.runs[method]]));
  const baseline = baselineOf(runs);
  const rows = tableOf(runs).sort((a, b) => b.speeds.median - a.speeds.median);
  const [best] = rows;
  const name = (method) => labels[method] || method;
  const values = {
    label: name(best.method), speed: best.speeds.median.toFixed(1),
    ratio: best.ups.median.toFixed(2), baseline: baseline === PLAIN ? words.plain : name(baseline),
  };
  const said = [say(best.baseline ? words.headline_plain : words.headline, values)];
  const behind = rows.filter((row) => !row.baseline && row.ups.median < 1).map((row) => name(row.method));
  if (behind.length && !best.baseline) said.push(say(words.headline_slower, { ...values, labels: behind.join(words.and) }));
  const verdicts = Object.values(run.texts);
  if (verdicts.length === Object.keys(run.runs).length - 1) {
    said.push(verdicts.every((told) => told.identical) ? words.headline_same : words.headline_differs);
  }
  return said.join(words.gap);
}

/** What a reader must know to judge the table: baseline, repeats, and every difference explained. */
export function notes(run, words, labels) {
  const repeats = Math.max(0, ...Object.values(run.runs).map((one) => one.repeats.length));
  const baseline = baselineOf(run.runs);
  if (!baseline) return [];
  const name = (method) => labels[method] || method;
  const said = [
    words.same_for_all,
    baseline === PLAIN ? words.against_plain : say(words.against_slowest, { label: name(baseline) }),
    repeats > 1 ? say(words.repeats_many, { repeats }) : words.repeats_one,
  ];
  if (run.header.heads && run.header.heads.early === "logit lens") said.push(words.logit_lens);
  const reference = name(referenceOf(run));
  for (const [method, told] of Object.entries(run.texts)) {
    if (told.identical) continue;
    const [own, other] = told.texts.map((text) => visible(text) || words.none);
    const values = { label: name(method), reference, own, other, position: told.position, gap: told.gap, noise: told.noise };
    said.push(say(words.difference, values) + words.gap + say(words.reasons[told.reason] || "", values));
  }
  return said;
}

/** How fast a method is: so far, or, when it is done, the median of its repeats. */
export function speedTold(run, lane, i, words) {
  const { tokens, seconds, done } = standing(lane, i);
  const over = done && run.repeats.length > 0;
  const speed = over ? spread(speedsOf(run)).median : seconds ? tokens / seconds : null;
  return speed === null ? "" : say(over ? words.speed_told : words.so_far, { speed: speed.toFixed(1) });
}
