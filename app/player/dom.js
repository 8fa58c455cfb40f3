// The player's HTML. Token text enters the page through textContent alone, never as markup.
import { CORNERS, LOOKS } from "./figures.js";
import { PHASES } from "./phases.js";
import { outline, svg } from "./svg.js";
import { facts, guessedBy, nodeAt, say, tableColumns, tableRows, visible, why } from "./words.js";

/** A new element; `attributes` may hold on<event> listeners; strings become text, never markup. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const ICONS = {
  play: "M4 2 L14 8 L4 14 Z",
  pause: "M3 2 H6.5 V14 H3 Z M9.5 2 H13 V14 H9.5 Z",
  previous: "M11 2 L4 8 L11 14 Z",
  next: "M5 2 L12 8 L5 14 Z",
  first: "M2 2 H4.5 V14 H2 Z M14 2 L6 8 L14 14 Z",
  last: "M2 2 L10 8 L2 14 Z M11.5 2 H14 V14 H11.5 Z",
};

/** Drawn, not typed: fonts differ in which of these signs they have. */
export function icon(name) {
  const picture = svg("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" });
  picture.append(svg("path", { d: ICONS[name] }));
  return picture;
}

/** The mark of a fate: its line and its shape, as the tree draws them. */
export function mark(fate) {
  const look = LOOKS[fate], own = "rb".includes(fate); // blue is another one on a dark page
  const paint = (name) => (own ? { class: "propd-blue" } : { [name]: look.colour });
  const picture = svg("svg", { viewBox: "-26 -8 34 16", width: 34, height: 16, "aria-hidden": "true" });
  if (fate !== "r") {
    const dash = { solid: null, dash: "5 3", dot: "2 3" }[look.line];
    picture.append(svg("line", { x1: -26, y1: 0, x2: -6, y2: 0, ...paint("stroke"), "stroke-dasharray": dash, "stroke-width": Math.max(1.5, look.edge) }));
  }
  const open = look.symbol.endsWith("-open");
  picture.append(svg("path", {
    d: outline(look.symbol, 10), ...(open ? { fill: "none", stroke: look.colour } : paint("fill")),
    ...(fate === "a" ? { stroke: "currentColor" } : {}), "stroke-width": 2,
  }));
  return picture;
}

/** The corner mark of a source, at a node as the tree draws it. */
export function cornerMark(source) {
  const picture = svg("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" });
  const fill = CORNERS[source].endsWith("open") ? "none" : "currentColor";
  picture.append(svg("circle", { cx: 9, cy: 9, r: 4.5, fill: LOOKS.d.colour }),
    svg("rect", { x: 0.5, y: 0.5, width: 5, height: 5, fill, stroke: "currentColor" }));
  return picture;
}

/** `sources` become visible in runs that have such nodes. */
function legend(words, sources) {
  const item = (fate) => make("li", { class: "propd-fate" }, mark(fate), words.fates[fate]);
  return make("ul", { class: "propd-legend" }, ...["r", "a", "b", "x", "p"].map(item), ...sources,
    make("li", {}, words.legend_size), make("li", {}, words.legend_space));
}

function textLegend(words, given) {
  const item = (kind) => make("li", {}, make("span", { class: `propd-piece ${kind}` }, words.abc), " " + words["from_" + kind]);
  const list = make("ul", { class: "propd-legend" }, given, ...["accepted", "bonus", "prefill"].map(item));
  given.append(...item("given").childNodes);
  return list;
}

const SPEEDS = ["0.25", "0.5", "1", "2", "4"];

function controls(words, on) {
  const button = (name) => make("button", {
    type: "button", class: "propd-button " + name, "aria-label": words[name], title: words[name], onclick: on[name],
  }, icon(name));
  const parts = {
    play: button("play"),
    live: make("button", { type: "button", class: "propd-button live", onclick: on.live, hidden: true }, words.jump_to_live),
    scrub: make("input", {
      type: "range", min: 0, max: 0, value: 0, class: "propd-scrub", "aria-label": words.scrub, oninput: on.scrub,
    }),
    place: make("span", { class: "propd-place" }),
    speed: make("select", { class: "propd-speed", "aria-label": words.speed, title: words.speed, onchange: on.speed },
      ...[...SPEEDS.map((speed) => [speed, speed + "×"]), ["real", words.as_it_ran]]
        .map(([value, label]) => make("option", { value, selected: value === "1" }, label))),
  };
  const help = make("button", { type: "button", class: "propd-button", "aria-label": words.keys, title: words.keys, onclick: on.help }, "?");
  const bar = make("div", { class: "propd-controls", role: "group", "aria-label": words.playback },
    button("first"), button("previous"), parts.play, button("next"), button("last"),
    parts.scrub, parts.place, parts.speed, parts.live, help);
  return { ...parts, bar };
}

/** The keys, shown by "?". */
function helpDialog(words) {
  const rows = words.key_list.flatMap(([keys, what]) => [make("dt", {}, ...keys.split(" ").map((key) => make("kbd", {}, key))), make("dd", {}, what)]);
  const dialog = make("dialog", { class: "propd-help", "aria-label": words.keys },
    make("h3", {}, words.keys), make("dl", {}, ...rows),
    make("button", { type: "button", class: "propd-button", onclick: () => dialog.close() }, words.close));
  return dialog;
}

function phaseButtons(words, on) {
  return make("div", { class: "propd-phases", role: "group", "aria-label": words.phase },
    ...PHASES.map((name) => make("button", { type: "button", "data-phase": name, onclick: () => on.phase(name) }, words.phase_names[name])));
}

function timeline(words) {
  const parts = {
    timelineChart: make("div", { class: "propd-timeline-chart" }),
    timelineCursor: make("div", { class: "propd-timeline-cursor" }),
    timelineLine: make("p", { class: "propd-timeline-line" }, words.timeline_hint),
  };
  // For the pointer; the slider above does the same for the keyboard, and the caption says the numbers.
  parts.timeline = make("div", { class: "propd-timeline-box", "aria-hidden": "true" }, parts.timelineChart, parts.timelineCursor);
  return parts;
}

/** Build the whole player once; returns its parts by name. */
export function build(words, on) {
  const p = { ...controls(words, on), ...timeline(words) };
  p.runs = make("div", { class: "propd-runs", role: "group", "aria-label": words.runs });
  p.status = make("span", { class: "propd-status" });
  p.share = make("div", { class: "propd-share" });
  p.metrics = make("dl", { class: "propd-metrics" });
  p.prompt = make("p", { class: "propd-prompt" });
  p.text = make("div", { class: "propd-text", role: "region", "aria-label": words.text, tabindex: 0, onclick: on.word });
  p.given = make("li", { hidden: true });
  p.caption = make("p", { class: "propd-caption" });
  p.summary = make("p", { class: "propd-unseen", "aria-live": "polite" });
  p.phases = phaseButtons(words, on);
  p.tree = make("div", { class: "propd-tree" });
  p.treeBox = make("div", { class: "propd-tree-box", role: "group", "aria-label": words.tree }, p.tree);
  p.card = make("section", { class: "propd-card", "aria-label": words.card });
  p.sizeText = make("p", { class: "propd-size-text" });
  p.size = make("div", { class: "propd-size" });
  p.times = make("div", { class: "propd-times" });
  p.help = helpDialog(words);
  p.table = make("details", { class: "propd-table", ontoggle: on.table }, make("summary", {}, words.table),
    make("div", { class: "propd-table-box", tabindex: 0, role: "region", "aria-label": words.table }));
  const badge = (name) => make("span", { class: "propd-badge " + name }, words[name]);
  p.sources = Object.keys(CORNERS).map((source) =>
    make("li", { class: "propd-fate", "data-source": source, hidden: true }, cornerMark(source), words.sources[source]));
  p.root = make("div", { class: "propd-player", tabindex: 0, role: "group", "aria-label": words.player, onkeydown: on.key },
    p.runs, make("div", { class: "propd-top" }, p.status, p.share, p.metrics),
    make("div", { class: "propd-text-box" }, p.prompt, p.text,
      make("div", { class: "propd-under" }, textLegend(words, p.given), make("span", {}, words.text_hint))),
    p.bar,
    make("div", { class: "propd-stage" },
      make("div", { class: "propd-main" },
        make("div", { class: "propd-caption-line" }, p.phases, p.caption), p.summary, p.treeBox, legend(words, p.sources)),
      p.card,
      make("section", { class: "propd-decision", "aria-label": words.size },
        make("h3", {}, words.size, " ", badge("estimated")), p.sizeText, p.size, p.times)),
    make("div", { class: "propd-timeline" }, make("h3", {}, words.timeline, " ", badge("measured")), p.timeline, p.timelineLine),
    p.table, p.help);
  return p;
}

export function drawMetrics(box, stats, words) {
  const entry = (value, name, title) => make("div", { title }, make("dd", {}, value), make("dt", {}, name));
  box.replaceChildren(
    entry(stats.tokensPerSecond.toFixed(1), words.tokens_per_second, words.tokens_per_second_title),
    entry(stats.tokensPerPass.toFixed(2), words.tokens_per_pass, words.tokens_per_pass_title),
    entry(String(stats.tokens), words.tokens, ""));
}

/**
 * What one node is and why it met its fate; without an event the hint alone. whatIf: what is offered
 * for a node that was not kept, a button or a sentence.
 */
export function drawCard(box, event, i, words, whatIf = null) {
  const hint = whatIf || make("p", { class: "propd-hint" }, words.card_hint);
  if (!event) return box.replaceChildren(hint);
  const node = nodeAt(event, i);
  const rows = facts(event, i, words).flatMap(([label, value]) => [make("dt", {}, label), make("dd", {}, String(value))]);
  box.replaceChildren(
    make("div", { class: "propd-card-head" }, make("code", {}, visible(node.text) || "∅"),
      make("span", { class: "propd-fate" }, mark(node.fate), words.fates[node.fate])),
    make("p", { class: "propd-why" }, why(event, i, words)),
    make("p", { class: "propd-by" }, guessedBy(event, i, words)),
    make("dl", {}, ...rows), hint);
}

/** Where the measured time of the step went. */
export function drawTimes(box, event, words) {
  const parts = Object.entries(event.milliseconds);
  const total = parts.reduce((sum, [, ms]) => sum + ms, 0);
  const bar = make("div", { class: "propd-bar", "aria-hidden": "true" },
    ...parts.map(([name, ms]) => make("span", { "data-phase": name, style: `flex-grow:${ms}`, title: words.phases[name] })));
  const list = parts.map(([name, ms]) =>
    make("li", { "data-phase": name }, say(words.phase_ms, { name: words.phases[name], ms: ms.toFixed(1) })));
  box.replaceChildren(
    make("p", {}, say(words.step_time, { ms: total.toFixed(1) }), " ",
      make("span", { class: "propd-badge measured" }, words.measured)),
    bar, make("ul", {}, ...list));
}

export function drawTable(box, event, words) {
  const row = (cells, tag) => make("tr", {}, ...cells.map((cell) => make(tag, tag === "th" ? { scope: "col" } : {}, cell)));
  box.replaceChildren(make("table", {},
    make("thead", {}, row(tableColumns(event, words), "th")),
    make("tbody", {}, ...tableRows(event, words).map((cells) => row(cells, "td")))));
}
