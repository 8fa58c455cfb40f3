// The Lab's HTML, built once. Text of strangers (a run's header) enters through textContent alone.
import { make, mark } from "./dom.js";
import { GROUPS, PRUNE, shown, SLIDERS, ticks } from "./lab_settings.js";

const SVG = "http://www.w3.org/2000/svg";

/** on: {input(slider, position), key(slider, event), prune(mode)} */
function sliderOf(slider, words, on) {
  const [label, help] = words.settings[slider.name];
  const id = `lab-${slider.name}`;
  const input = make("input", {
    type: "range", id, min: 0, max: ticks(slider), step: 1, value: 0, "aria-describedby": `${id}-help`,
    oninput: (e) => on.input(slider, Number(e.target.value)), onkeydown: (e) => on.key(slider, e),
  });
  const value = make("output", { for: id });
  const box = make("div", { class: "lab-slider" },
    make("label", { for: id }, label), value, input, make("p", { id: `${id}-help` }, help));
  return { box, input, value };
}

function pruneChoice(words, on) {
  const radios = PRUNE.map((mode) => make("input", { type: "radio", name: "lab-prune", value: mode, onchange: () => on.prune(mode) }));
  const box = make("fieldset", { class: "lab-prune" }, make("legend", {}, words.prune),
    ...PRUNE.map((mode, i) => make("label", {}, radios[i], words.prune_modes[mode])), make("p", {}, words.prune_help));
  return { box, radios };
}

function controls(p, words, on) {
  p.sliders = {};
  const prune = pruneChoice(words, on);
  p.radios = prune.radios;
  p.share = make("p", { class: "lab-share" });
  const groups = GROUPS.map((group) => {
    const of = (fold) => SLIDERS.filter((one) => one.group === group && Boolean(one.fold) === fold).map((one) => {
      p.sliders[one.name] = sliderOf(one, words, on);
      return p.sliders[one.name].box;
    });
    const first = group === "pruning" ? [prune.box] : [];
    const basic = of(false), rest = of(true);
    return make("section", { class: "lab-group", "aria-label": words.groups[group] },
      make("h3", {}, words.groups[group]), ...first, ...basic, ...(group === "pruning" ? [p.share] : []),
      rest.length ? make("details", {}, make("summary", {}, words.more), ...rest) : "");
  });
  return make("div", { class: "lab-controls" }, ...groups);
}

/** A short line as the curves draw it, for legends. */
function sample(look) {
  const picture = document.createElementNS(SVG, "svg");
  const put = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    picture.append(element);
  };
  for (const [name, value] of Object.entries({ viewBox: "0 0 30 14", width: 30, height: 14, "aria-hidden": "true" })) picture.setAttribute(name, value);
  const stroke = { fill: "none", stroke: look.colour || "currentColor", "stroke-width": 1.7 };
  if (look.dash) put("line", { x1: 0, y1: 7, x2: 30, y2: 7, "stroke-dasharray": look.dash, ...stroke });
  if (look.circle) put("circle", { cx: 15, cy: 7, r: 3, ...stroke });
  if (look.diamond) put("path", { d: "M15 1.5 L20.5 7 L15 12.5 L9.5 7 Z", ...stroke });
  if (look.open) put("rect", { x: 11, y: 3, width: 8, height: 8, ...stroke });
  if (look.full) put("rect", { x: 11, y: 3, width: 8, height: 8, fill: look.colour });
  return picture;
}

function legend(p, words) {
  const item = (name, look) => make("li", {}, sample(look), make("span", {}, words[name]));
  p.ghost = item("ghost_unpruned", { dash: "5 3" });
  p.wasMeasured = item("ghost_measured", { full: true, colour: "#CC79A7" });
  return make("ul", { class: "propd-legend lab-legend" }, item("ghost_chosen", { diamond: true }),
    item("estimated", { dash: "2 3", circle: true }), p.ghost, item("ghost_fixed", { open: true, colour: "#D55E00" }),
    item("ghost_plain", { dash: "2 3" }), p.wasMeasured);
}

function chart(p, name, title, help) {
  p[name] = make("div", { class: "lab-plot" });
  return make("figure", { class: "lab-figure", "aria-label": title }, make("figcaption", {}, title), p[name], make("p", {}, help));
}

function presets(p, words, given, on) {
  const group = (kind) => {
    const chips = given.filter((one) => one.kind === kind).map(({ name, label }) =>
      make("button", { type: "button", class: "propd-chip", "data-preset": name, "aria-pressed": "false", onclick: () => on.preset(name) }, label));
    return make("div", { class: "lab-kind", role: "group", "aria-label": words["preset_" + kind] },
      make("span", { class: `propd-badge ${kind}` }, words["preset_" + kind]), ...chips);
  };
  p.run = make("select", { class: "propd-speed", "aria-label": words.preset_run, onchange: (e) => on.run(e.target.value) },
    make("option", { value: "" }, words.run_none),
    ...given.filter((one) => one.kind === "run").map(({ name, label }) => make("option", { value: name }, label)),
    make("option", { value: "watch" }, words.run_watch), make("option", { value: "your-run", hidden: true }, words.run_yours));
  p.file = make("input", { type: "file", accept: ".json,application/json", class: "lab-file", "aria-label": words.run_file, onchange: on.file });
  p.runs = make("div", { class: "lab-kind" }, make("span", { class: "propd-badge" }, words.preset_run), p.run,
    make("label", { class: "propd-chip lab-open" }, words.run_file, p.file));
  return make("div", { class: "lab-presets", role: "group", "aria-label": words.presets },
    group("measured"), group("estimated"), p.runs);
}

/** Build the whole place; returns its parts by name. on: presets, sliders, buttons. */
export function build(words, given, on) {
  const p = {};
  const badge = () => make("span", { class: "propd-badge" }, words.estimated);
  p.still = make("p", { class: "lab-note", hidden: true }, words.still);
  p.note = make("p", { class: "lab-note", role: "status", hidden: true });
  p.kind = make("span", { class: "propd-badge" });
  p.touched = make("span", { hidden: true }, " " + words.touched);
  p.sourceLines = make("div", { class: "lab-source-lines" });
  p.reset = make("button", { type: "button", class: "propd-chip", title: words.reset_title, onclick: on.reset }, words.reset);
  p.copy = make("button", { type: "button", class: "propd-chip", onclick: on.copy }, words.copy);
  p.numbers = make("dl", { class: "lab-numbers" });
  p.why = make("p", { class: "lab-why", "aria-live": "polite" });
  p.tree = make("div", { class: "propd-tree" });
  p.treeBox = make("div", { class: "propd-tree-box lab-tree-box", role: "group", "aria-label": words.tree_title }, p.tree);
  p.treeNone = make("p", { class: "lab-none" }, words.tree_none);
  p.card = make("div", { class: "lab-card" });
  p.pruned = make("li", { class: "propd-fate" }, mark("p"), words.fates.p);
  p.chance = make("li", {}, words.legend_chance);
  p.tableBox = make("div", { class: "propd-table-box", tabindex: 0, role: "region", "aria-label": words.lab_table });
  p.table = make("details", { class: "propd-table", ontoggle: on.table }, make("summary", {}, words.lab_table), p.tableBox);
  p.batchText = make("p", { class: "lab-unseen" });
  p.root = make("div", { class: "propd-player propd-lab", role: "group" },
    make("p", { class: "lab-lead" }, words.lead),
    presets(p, words, given, on), p.still, p.note,
    make("details", { class: "lab-sources" }, make("summary", {}, p.kind, " ", words.sources, p.touched), p.sourceLines),
    make("section", { class: "lab-head", "aria-label": words.head }, make("h3", {}, words.head, " ", badge()), p.numbers),
    make("div", { class: "lab-body" },
      make("div", { class: "lab-side" },
        make("div", { class: "lab-buttons" }, p.reset, p.copy), controls(p, words, on)),
      make("div", { class: "lab-main" },
        make("section", { "aria-label": words.why }, p.why),
        make("div", { class: "lab-charts" },
          chart(p, "length", words.curve_length, words.curve_length_help), chart(p, "time", words.curve_time, words.curve_time_help),
          chart(p, "speed", words.curve_speed, words.curve_speed_help)),
        legend(p, words),
        make("section", { class: "lab-tree", "aria-label": words.tree_title },
          make("h3", {}, words.tree_title, " ", badge()), p.treeNone, p.treeBox,
          make("ul", { class: "propd-legend" }, make("li", { class: "propd-fate" }, mark("d"), words.fates.d), p.pruned, make("li", {}, words.legend_value), make("li", {}, words.legend_short), p.chance),
          p.card),
        make("section", { "aria-label": words.batch }, make("h3", {}, words.batch, " ", badge()),
          make("div", { class: "lab-charts two" }, chart(p, "size", words.batch_size, words.batch_help), chart(p, "gain", words.batch_gain, words.batch_help)),
          p.batchText),
        p.table)));
  return p;
}

/** A slider where its value is; marked when it differs from the preset. */
export function place({ box, input, value }, slider, position, number, changed, words) {
  input.value = position;
  const told = shown(slider, number, words);
  value.textContent = told;
  input.setAttribute("aria-valuetext", changed ? told + words.comma + words.changed : told);
  box.classList.toggle("changed", changed);
}

/** [[value, name, title], ...] as a list of big numbers. */
export function drawNumbers(box, entries) {
  box.replaceChildren(...entries.map(([value, name, title]) => make("div", { title }, make("dd", {}, value), make("dt", {}, name))));
}

export function drawFacts(box, facts, hint) {
  const rows = facts.flatMap(([label, value]) => [make("dt", {}, label), make("dd", {}, value)]);
  box.replaceChildren(rows.length ? make("dl", {}, ...rows) : make("p", { class: "propd-hint" }, hint));
}

export function drawTable(box, rows, words) {
  const line = (cells, tag) => make("tr", {}, ...cells.map((cell) => make(tag, tag === "th" ? { scope: "col" } : {}, cell)));
  const body = rows.map(({ cells, chosen }) => line([...cells, chosen ? words.table_chosen : ""], "td"));
  box.replaceChildren(make("table", {}, make("thead", {}, line(words.lab_columns, "th")), make("tbody", {}, ...body)));
}
