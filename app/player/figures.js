// Plotly figures as pure functions of an event: same event and options, same figure.
import { fateAt } from "./phases.js";
import { hasSources, middle, nodesOf, say, stepMilliseconds, visible } from "./words.js";

/** Okabe-Ito colours; a shape and a line style say the same to those who see no colour. */
export const LOOKS = {
  r: { colour: "#0072B2", symbol: "diamond", line: "solid", edge: 2.5 },
  a: { colour: "#009E73", symbol: "circle", line: "solid", edge: 4 },
  b: { colour: "#0072B2", symbol: "diamond", line: "dot", edge: 2.5 },
  x: { colour: "#D55E00", symbol: "x", line: "solid", edge: 1 },
  p: { colour: "#E69F00", symbol: "circle-open", line: "dash", edge: 1 },
  d: { colour: "#8a8f98", symbol: "circle", line: "solid", edge: 1 },
  v: { colour: "#009E73", symbol: "circle-open", line: "solid", edge: 2 },
};
/** A small square at the corner of a node that the text guessed: full, or hollow if a head did too. */
export const CORNERS = { t: "square", b: "square-open" };
export const CONFIG = {
  displayModeBar: false, showSendToCloud: false, displaylogo: false, responsive: false,
  scrollZoom: false, doubleClick: false,
};
const EDGES = { a: 2, v: 2.5, p: 1.5 }; // width of a marker's own outline
const LETTER = 7.3; // width of one letter of the 12 px monospace labels
const MARK = 9; // room for half a marker
const ROOMY = 112; // a column this wide shows most tokens whole
const LETTERS = 14; // of a label at most where columns are not roomy

/** Escape for plotly's pseudo-HTML: a token may hold markup. */
export function plotlyText(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** The inverse of `plotlyText`, for a drawing that reads no markup. */
export function plainText(text) {
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

/**
 * Tidy tree: a leaf takes the next row, a parent stands in the middle of its children, or, when
 * `firm`, at its first child, so that the path that matters is a straight line on a narrow screen.
 * nodes: [{parent, depth, value, fate}] with parents first. Returns {rows: [...], leaves, depth}.
 * Example: parents -1,0,0,1 -> rows .5, 0, 1, 0; 2 leaves; depth 2.
 */
export function layoutTree(nodes, firm = false) {
  const children = nodes.map(() => []);
  nodes.forEach((node, i) => { if (node.parent >= 0) children[node.parent].push(i); });
  // The likelier branch first; before all of them the bonus, which is no guess, and on a narrow
  // screen the accepted path, which would else often stand out of sight.
  const first = (fate) => fate === "b" || (firm && fate === "a");
  const weight = (i) => (first(nodes[i].fate) ? Infinity : nodes[i].value);
  children.forEach((list) => list.sort((a, b) => Math.sign(weight(b) - weight(a)) || a - b));
  const rows = nodes.map(() => 0);
  let leaves = 0;
  const waiting = [0];
  while (waiting.length) {
    const i = waiting.pop();
    if (children[i].length === 0) rows[i] = leaves++;
    waiting.push(...[...children[i]].reverse());
  }
  for (let i = nodes.length - 1; i >= 0; i--) {
    const list = children[i];
    if (list.length) rows[i] = firm ? rows[list[0]] : (rows[list[0]] + rows[list[list.length - 1]]) / 2;
  }
  return { rows, leaves, depth: Math.max(...nodes.map((node) => node.depth)) };
}

/** The colour of a fate; blue is too dark for a dark page, which brings its own. */
function colourOf(fate, options) {
  return "rb".includes(fate) && options.blue ? options.blue : LOOKS[fate].colour;
}

/**
 * Where the column of each depth begins and how long its labels may be: even columns where these
 * are roomy; in a deep tree each as wide as its longest label, and the page scrolls.
 */
function columns(nodes, width, depth) {
  const count = depth + 1;
  const even = Math.min(184, (width - 16) / count);
  if (even >= ROOMY) {
    const letters = Math.floor((even - 2 * MARK - 8 - Math.max(20, 0.26 * even)) / LETTER);
    return { starts: Array.from({ length: count }, (_, d) => 14 + d * even), end: 16 + even * count, letters };
  }
  const longest = Array(count).fill(1), gaps = Array(count).fill(16), parents = new Set();
  for (const { depth: d, text, parent } of nodes) {
    longest[d] = Math.max(longest[d], Math.min(LETTERS, Array.from(visible(text)).length));
    if (parents.has(parent)) gaps[d - 1] = 36; // a fan of edges needs room, a chain does not
    parents.add(parent);
  }
  const widths = longest.map((letters, d) => 2 * MARK + 8 + letters * LETTER + gaps[d]);
  const spare = Math.max(0, width - 16 - widths.reduce((sum, wide) => sum + wide, 0)) / count;
  const starts = [14];
  for (const wide of widths) starts.push(starts[starts.length - 1] + wide + spare);
  return { starts, end: 2 + starts[count], letters: LETTERS };
}

/** Letters that fit under each node without meeting its neighbours or the edge of the picture. */
function roomBelow(points, width) {
  const letters = points.map(() => LETTERS);
  const limit = (i, room) => { letters[i] = Math.min(letters[i], Math.max(1, Math.floor((room - 4) / LETTER))); };
  const order = points.map((_, i) => i).sort((a, b) => points[a].y - points[b].y || points[a].x - points[b].x);
  order.forEach((i, k) => {
    limit(i, 2 * Math.min(points[i].x, width - points[i].x));
    const next = order[k + 1];
    if (next === undefined || points[next].y !== points[i].y) return;
    for (const side of [i, next]) limit(side, points[next].x - points[i].x);
  });
  return letters;
}

/**
 * A tree drawn small: all of it in its box; only what was kept has a label, unless all have room.
 * A column is as wide as its longest label, and labels are cut alike where they have no room.
 */
function smallPlaces(nodes, { width, height }) {
  const { rows, leaves, depth } = layoutTree(nodes);
  const unit = Math.max(4, Math.min(18, (height - 8) / leaves));
  const longest = Array(depth + 1).fill(0);
  const labelled = nodes.map((node) => unit >= 15 || isKept(node.fate));
  nodes.forEach(({ depth: d, text }, i) => {
    if (labelled[i]) longest[d] = Math.max(longest[d], Math.min(LETTERS, Array.from(visible(text)).length));
  });
  const widths = (most) => longest.map((letters) => (letters && most ? 30 + LETTER * Math.min(letters, most) : 26));
  const needs = (most) => 12 + widths(most).reduce((sum, wide) => sum + wide, 0);
  let letters = LETTERS;
  while (letters >= 5 && needs(letters) > width) letters--;
  if (letters < 5) letters = 0; // less is no name
  const spare = Math.min(56, (width - needs(letters)) / (depth + 1));
  const starts = [10];
  for (const wide of widths(letters)) starts.push(starts[starts.length - 1] + wide + spare);
  const top = Math.max(4, (height - leaves * unit) / 2);
  return {
    points: nodes.map((node, i) => ({ x: starts[node.depth], y: top + (rows[i] + 0.5) * unit })),
    width, height: Math.max(height, leaves * unit + 8), letters: labelled.map((has) => (has ? letters : 0)),
  };
}

/** Pixels of every node, for a tree that grows to the right (wide) or down (narrow). */
function places(nodes, { width, height, vertical }) {
  const { rows, leaves, depth } = layoutTree(nodes, vertical);
  if (vertical) {
    const unit = Math.max(46, Math.min(76, (width - 8) / leaves));
    const spread = Math.max(width, leaves * unit + 40);
    const left = (spread - leaves * unit) / 2;
    const fall = Math.max(54, Math.min(84, (height - 64) / depth));
    const points = nodes.map((node, i) => ({ x: left + (rows[i] + 0.5) * unit, y: 20 + node.depth * fall }));
    const letters = roomBelow(points, spread);
    return { points, width: spread, height: Math.max(height, 20 + depth * fall + 40), letters };
  }
  const unit = Math.max(17, Math.min(34, (height - 12) / leaves));
  const tall = Math.max(height, leaves * unit + 12);
  const { starts, end, letters } = columns(nodes, width, depth);
  // near the caption and not in the middle: the box is as tall as the largest tree of the run
  const top = Math.min((tall - leaves * unit) / 2, 36);
  return {
    points: nodes.map((node, i) => ({ x: starts[node.depth], y: top + (rows[i] + 0.5) * unit })),
    width: Math.max(width, end), height: tall, letters: nodes.map(() => letters),
  };
}

/** A smooth line from the end of a parent's label to a child's marker. */
function curve(from, to, vertical) {
  const xs = [], ys = [];
  for (let k = 0; k <= 8; k++) {
    const t = k / 8, s = t * t * (3 - 2 * t);
    xs.push(vertical ? from.x + (to.x - from.x) * s : from.x + (to.x - from.x) * t);
    ys.push(vertical ? from.y + (to.y - from.y) * t : from.y + (to.y - from.y) * s);
  }
  return { xs: [...xs, null], ys: [...ys, null] };
}

function edgeTraces(nodes, fates, points, labels, options) {
  const { vertical } = options;
  const traces = {};
  nodes.forEach((node, i) => {
    if (node.parent < 0 || fates[i] === null) return;
    const look = LOOKS[fates[i]];
    const trace = traces[fates[i]] ||= {
      type: "scatter", mode: "lines", uid: "edge-" + fates[i], x: [], y: [], hoverinfo: "skip",
      opacity: "xd".includes(fates[i]) ? 0.85 : 1,
      line: { color: colourOf(fates[i], options), width: look.edge, dash: look.line },
    };
    const parent = points[node.parent];
    const bare = options.small && !labels[node.parent];
    const start = vertical ? { x: parent.x, y: parent.y + 24 }
      : { x: parent.x + (bare ? 5 : MARK + 8 + labels[node.parent].length * LETTER), y: parent.y };
    const near = options.small ? 5 : MARK;
    const end = vertical ? { x: points[i].x, y: points[i].y - MARK } : { x: points[i].x - near, y: points[i].y };
    const { xs, ys } = curve(start, end, vertical);
    trace.x.push(...xs);
    trace.y.push(...ys);
  });
  // Losing branches first, so that the accepted path lies on top.
  return ["d", "p", "x", "v", "b", "a"].filter((fate) => fate in traces).map((fate) => traces[fate]);
}

/** Whether a node is part of the text. */
function isKept(fate) {
  return "rab".includes(fate);
}

/** Diameter of a node's marker. */
function sizeOf(node, fate, options) {
  const size = (isKept(fate) ? 12 : 7) + 5 * Math.sqrt(node.draft_probability ?? 0);
  return options.small ? 0.7 * size : size;
}

/** The corner marks of the nodes that the text guessed, on the side where no edge and no label is. */
function cornerTrace(nodes, fates, points, options) {
  const marked = nodes.map((_, i) => i).filter((i) => fates[i] !== null && nodes[i].source in CORNERS && !"rb".includes(fates[i]));
  const away = (i) => (sizeOf(nodes[i], fates[i], options) / 2 + 5) * Math.SQRT1_2;
  const ink = (i) => (isKept(fates[i]) || "dv".includes(fates[i]) ? options.ink : options.faint);
  return {
    type: "scatter", mode: "markers", hoverinfo: "skip", cliponaxis: false, uid: "corners",
    x: marked.map((i) => points[i].x + (options.vertical ? 1 : -1) * away(i)), y: marked.map((i) => points[i].y - away(i)),
    marker: {
      symbol: marked.map((i) => CORNERS[nodes[i].source]), size: 5, opacity: 1,
      color: marked.map(ink), line: { color: marked.map(ink), width: 1 },
    },
  };
}

function nodeTrace(nodes, fates, points, labels, options) {
  const seen = nodes.map((_, i) => i).filter((i) => fates[i] !== null);
  const kept = (i) => isKept(fates[i]);
  return {
    type: "scatter", mode: "markers+text", hoverinfo: "none", cliponaxis: false, uid: "nodes",
    x: seen.map((i) => points[i].x), y: seen.map((i) => points[i].y), customdata: seen,
    text: seen.map((i) => plotlyText(labels[i])),
    textposition: options.vertical ? "bottom center" : "middle right",
    textfont: {
      family: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace", size: 12,
      color: seen.map((i) => (kept(i) || "dv".includes(fates[i]) ? options.ink : options.faint)),
      weight: seen.map((i) => (kept(i) ? 700 : 400)),
    },
    marker: {
      symbol: seen.map((i) => LOOKS[fates[i]].symbol), size: seen.map((i) => sizeOf(nodes[i], fates[i], options)), opacity: 1,
      color: seen.map((i) => colourOf(fates[i], options)),
      line: {
        color: seen.map((i) => (fates[i] === "a" ? options.ink : LOOKS[fates[i]].colour)),
        width: seen.map((i) => EDGES[fates[i]] || 0),
      },
    },
  };
}

/** A ring around each of these nodes that is there. */
function rings(uid, list, points, size, color) {
  const around = list.map((i) => points[i]).filter(Boolean);
  return around.length ? [{
    type: "scatter", mode: "markers", uid, x: around.map(({ x }) => x), y: around.map(({ y }) => y), hoverinfo: "skip", cliponaxis: false,
    marker: { symbol: "circle-open", size, color, line: { color, width: 2 } },
  }] : [];
}

const HIDDEN_AXIS = { visible: false, fixedrange: true };

/**
 * The token tree of a step. options: {width, height, vertical, phase, selected, ink, faint, blue};
 * without a phase the step is over. shown: nodes that are false in it are left out, their places
 * stay free; marked: nodes with a ring in the colour of the root; small: seen whole beside others.
 * The whole drafted tree is laid out whatever the phase, so nothing moves when fates change.
 * Axes are in pixels. Returns {data, layout, nodes: points by node}.
 */
export function treeFigure(event, options) {
  const nodes = nodesOf(event);
  const left = (i) => options.shown && options.shown[i] === false;
  const fates = nodes.map((node, i) => (left(i) ? null : fateAt(node, nodes, options.phase)));
  const { points, width, height, letters } = options.small ? smallPlaces(nodes, options) : places(nodes, options);
  const labels = nodes.map((node, i) => (letters[i] ? middle(visible(node.text), letters[i]) : ""));
  // Guesses come before the tree that is made of them.
  const data = options.phase === "draft" ? [] : edgeTraces(nodes, fates, points, labels, options);
  const seen = points.map((point, i) => (fates[i] === null ? undefined : point));
  data.push(...rings("marks", options.marked || [], seen, 21, options.blue || LOOKS.r.colour), ...rings("halo", [options.selected], seen, 25, options.ink));
  if (hasSources(event)) data.push(cornerTrace(nodes, fates, points, options));
  data.push(nodeTrace(nodes, fates, points, labels, options));
  return {
    data, points,
    layout: {
      width, height, margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, dragmode: false,
      hovermode: "closest", hoverdistance: 16, uirevision: "tree",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: { ...HIDDEN_AXIS, range: [0, width] }, yaxis: { ...HIDDEN_AXIS, range: [height, 0] },
    },
  };
}

function sizeTraces(decision, rows, options) {
  return rows.flatMap(({ values, colour }, k) => {
    const axes = { xaxis: "x", yaxis: k ? `y${k + 1}` : "y" };
    const at = decision.sizes.indexOf(decision.chosen);
    return [{
      type: "scatter", mode: "lines+markers", x: decision.sizes, y: values, ...axes,
      line: { color: colour, width: 1.5, dash: "dot" },
      marker: { symbol: "circle-open", size: 4, color: colour },
      hovertemplate: `n = %{x}: %{y:.3~g} (${options.words.estimated})<extra></extra>`,
    }, at < 0 ? null : {
      type: "scatter", mode: "markers", x: [decision.chosen], y: [values[at]], ...axes, hoverinfo: "skip",
      marker: { symbol: "diamond-open", size: 12, color: options.ink, line: { width: 2 } },
    }];
  }).filter(Boolean);
}

/**
 * The size decision of a step: L(n), T(n) and their ratio over n, all estimated (dotted, hollow),
 * and what the step measured (filled square). null when nothing was weighed.
 */
export function sizeFigure(event, options) {
  const decision = event.decision;
  const lengths = decision.expected_lengths || [], times = decision.estimated_ms || [];
  if (!lengths.length || !times.length || decision.sizes.length < 2) return null;
  const { words } = options;
  const rows = [
    { values: lengths, colour: options.blue || "#0072B2", title: words.size_l, measured: event.token_ids.length },
    { values: times, colour: "#8a8f98", title: words.size_t, measured: stepMilliseconds(event) },
    { values: lengths.map((length, i) => (1000 * length) / times[i]), colour: "#009E73", title: words.size_ratio },
  ];
  const data = sizeTraces(decision, rows, options);
  rows.forEach(({ measured }, k) => {
    if (measured === undefined) return;
    data.push({
      type: "scatter", mode: "markers", x: [decision.chosen], y: [measured], xaxis: "x", yaxis: k ? `y${k + 1}` : "y",
      marker: { symbol: "square", size: 8, color: "#CC79A7" },
      hovertemplate: `%{y:.3~g} (${words.measured})<extra></extra>`,
    });
  });
  const axis = (domain) => ({
    domain, fixedrange: true, gridcolor: options.grid, zeroline: false, nticks: 4, automargin: false,
    tickfont: { size: 10, color: options.faint },
  });
  const heading = (k, y) => ({
    xref: "paper", yref: "paper", x: 0, y, xanchor: "left", yanchor: "bottom", showarrow: false,
    text: plotlyText(rows[k].title), font: { size: 11, color: options.ink },
  });
  return {
    data,
    layout: {
      width: options.width, height: options.height, margin: { l: 34, r: 10, t: 20, b: 34 }, showlegend: false,
      hovermode: "closest", dragmode: false, uirevision: "size",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: {
        ...axis([0, 1]), anchor: "y3", nticks: 6, showgrid: false,
        title: { text: plotlyText(words.size_axis), font: { size: 11, color: options.faint }, standoff: 4 },
      },
      yaxis: axis([0.75, 1]), yaxis2: axis([0.375, 0.625]), yaxis3: axis([0, 0.25]),
      annotations: [heading(0, 1), heading(1, 0.625), heading(2, 0.25)],
      shapes: [{
        type: "line", xref: "x", yref: "paper", x0: decision.chosen, x1: decision.chosen, y0: 0, y1: 1,
        line: { color: options.ink, width: 1, dash: "dot" }, opacity: 0.35, layer: "below",
      }],
    },
  };
}

/** The size decision in one sentence. */
export function sizeSentence(event, words) {
  const { chosen, reason } = event.decision;
  if (event.kind === "prefill" || chosen === 0) return words.size_none;
  return say(words["size_" + reason], { chosen });
}
