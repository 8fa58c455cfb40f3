// Pictures of a benchmark: pure functions of its numbers (app/benchmarks.py) and of options.
import { plotlyText } from "./figures.js";
import { say } from "./words.js";

/** Okabe-Ito; a batch size has a shape too. The phases have the colours that a step's time has. */
const BATCHES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
const SHAPES = ["circle", "diamond", "square", "x", "triangle-up", "cross"];
export const PHASE_COLOURS = {
  draft: "#0072B2", grow: "#56B4E9", early: "#E69F00", prune: "#D55E00", late: "#009E73", verify: "#CC79A7", commit: "#8a8f98",
};

const of = (list, spot) => list[spot % list.length];
/** The first colour is the page's own blue, which dark pages have lighter. */
const ink = (spot, options) => (spot % BATCHES.length === 0 && options.blue) || of(BATCHES, spot);
const unique = (list) => [...new Set(list)];
/** Every batch size of some rows, ascending. */
export const batchesOf = (rows) => unique(rows.map((row) => row.batch)).sort((a, b) => a - b);

function layout(options, height, more) {
  const axis = { gridcolor: options.grid, zeroline: false, fixedrange: true, tickfont: { size: 11, color: options.faint }, automargin: true };
  const title = (text) => ({ text: plotlyText(text), font: { size: 12, color: options.faint }, standoff: 8 });
  const { x = {}, y = {}, ...rest } = more;
  const dressed = (spec) => ({ ...axis, ...spec, ...(spec.title ? { title: title(spec.title) } : {}) });
  return {
    width: options.width, height, margin: { l: 8, r: 12, t: 8, b: 8 }, dragmode: false, hovermode: "closest",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: options.ink, size: 12 },
    showlegend: false, legend: { orientation: "h", y: -0.18, font: { color: options.ink, size: 11 } },
    hoverlabel: { namelength: -1 }, xaxis: dressed(x), yaxis: dressed(y), ...rest,
  };
}

/** Methods by name, the fastest of the first batch size on top. */
export function order(totals) {
  const first = batchesOf(totals)[0];
  const speed = new Map(totals.filter((row) => row.batch === first).map((row) => [row.name, row.ratio]));
  return unique(totals.map((row) => row.name)).sort((a, b) => (speed.get(a) ?? 0) - (speed.get(b) ?? 0));
}

const rowsHeight = (count, each) => 60 + Math.max(2, count) * each;

/** Ratio to plain decoding, a row a method, with the spread as a line. */
export function speedFigure({ totals }, options) {
  const { words } = options, batches = batchesOf(totals), names = order(totals);
  const data = batches.map((batch, spot) => {
    const mine = names.map((name) => totals.find((row) => row.name === name && row.batch === batch)).filter(Boolean);
    // The ratio of totals may lie outside the percentiles of a few groups.
    const above = mine.map((row) => Math.max(0, (row.high ?? row.ratio) - row.ratio));
    const below = mine.map((row) => Math.max(0, row.ratio - (row.low ?? row.ratio)));
    return {
      type: "scatter", mode: "markers", name: say(words.batch, { batch }), x: mine.map((row) => row.ratio),
      // side by side where there are several
      y: mine.map((row) => names.indexOf(row.name) + (batches.length > 1 ? 0.22 * ((batches.length - 1) / 2 - spot) : 0)),
      error_x: { type: "data", symmetric: false, array: above, arrayminus: below, thickness: 1.5, width: 4, color: ink(spot, options) },
      marker: { size: 11, color: ink(spot, options), symbol: of(SHAPES, spot) },
      customdata: mine.map((row) => plotlyText(row.name)),
      hovertemplate: `%{customdata}: %{x:.2f}<extra></extra>`,
    };
  });
  return {
    data,
    layout: layout(options, rowsHeight(names.length, batches.length > 1 ? 20 + 14 * batches.length : 30), {
      showlegend: batches.length > 1, x: { title: words.figure_speed_x, rangemode: "tozero" },
      y: { tickvals: names.map((_, i) => i), ticktext: names.map(plotlyText), range: [-0.6, names.length - 0.4], showgrid: false },
      shapes: [{ type: "line", xref: "x", yref: "paper", x0: 1, x1: 1, y0: 0, y1: 1, line: { color: options.ink, width: 1, dash: "dot" } }],
    }),
  };
}

/** Milliseconds of a pass, stacked by phase, a bar a method and batch size. */
export function phasesFigure({ phases, totals }, options) {
  if (!phases.length) return null;
  const { words } = options, several = batchesOf(phases).length > 1, names = order(totals);
  const bars = [...phases].sort((a, b) => b.batch - a.batch || names.indexOf(a.name) - names.indexOf(b.name));
  const label = (bar) => plotlyText(several ? bar.name + words.comma + say(words.batch, bar) : bar.name);
  const spots = bars.map((_, i) => i);
  const data = Object.entries(PHASE_COLOURS).map(([phase, color]) => ({
    type: "bar", orientation: "h", name: plotlyText(words.phases[phase]), y: spots, x: bars.map((bar) => bar.ms[phase] || 0),
    marker: { color }, customdata: bars.map(label), hovertemplate: `%{customdata}, ${plotlyText(words.phases[phase])}: %{x:.1f} ms<extra></extra>`,
  }));
  return {
    data,
    layout: layout(options, rowsHeight(bars.length, 26) + 50, {
      barmode: "stack", bargap: 0.35, showlegend: true, x: { title: words.figure_phases_x },
      y: { tickvals: spots, ticktext: bars.map(label), range: [-0.6, bars.length - 0.4], showgrid: false },
      legend: { orientation: "h", y: 1, yanchor: "bottom", x: 0, font: { color: options.ink, size: 11 }, traceorder: "normal" },
    }),
  };
}

const SPOTS = ["top center", "bottom center", "middle right", "middle left"];
const LETTER = 6.4; // width of one letter of an 11 px label

/** The box of a label at a spot around a point, in pixels: [left, top, right, bottom]. */
function labelBox({ x, y }, letters, spot) {
  const wide = letters * LETTER + 6, high = 14, gap = 7; // labels keep 6 px from one another
  const left = { "middle right": x + gap, "middle left": x - gap - wide }[spot] ?? x - wide / 2;
  const top = { "top center": y - gap - high, "bottom center": y + gap }[spot] ?? y - high / 2;
  return [left, top, left + wide, top + high];
}

const overlap = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));

/** Where each label stands best: clear of the marks, of the labels before it, and of the edge. */
export function labelSpots(points, lengths, width) {
  const taken = points.map(({ x, y }) => [x - 6, y - 6, x + 6, y + 6]);
  return points.map((point, i) => {
    const cost = (spot) => {
      const box = labelBox(point, lengths[i], spot);
      const outside = Math.max(0, -box[0]) + Math.max(0, box[2] - width);
      return 100 * outside + taken.reduce((sum, other, k) => sum + (k === i ? 0 : overlap(box, other)), 0);
    };
    const best = SPOTS.reduce((one, other) => (cost(other) < cost(one) ? other : one));
    taken.push(labelBox(point, lengths[i], best));
    return best;
  });
}

/** Tokens a pass against milliseconds a token; each mark has its name beside it. */
export function tradeFigure({ totals }, options) {
  const { words } = options, batches = batchesOf(totals), height = 340;
  const known = totals.filter((row) => row.per_pass !== null && row.decode_speed)
    .map((row) => ({ ...row, x: row.per_pass, y: 1000 / row.decode_speed, spot: batches.indexOf(row.batch) }));
  if (!known.length) return null;
  const xs = known.map((row) => row.x), top = 1.12 * Math.max(...known.map((row) => row.y));
  const room = 0.12 * (Math.max(...xs) - Math.min(...xs)) || 0.5;
  const range = [Math.min(...xs) - room, Math.max(...xs) + room];
  const inner = { wide: (options.width || 400) - 70, high: height - 60 }; // less what the axes take
  const at = ({ x, y }) => ({ x: ((x - range[0]) / (range[1] - range[0])) * inner.wide, y: (1 - y / top) * inner.high });
  const spots = labelSpots(known.map(at), known.map((row) => row.name.length), inner.wide);
  return {
    data: batches.map((batch, spot) => {
      const mine = known.filter((row) => row.batch === batch);
      return {
        type: "scatter", mode: "markers+text", name: say(words.batch, { batch }), x: mine.map((row) => row.x), y: mine.map((row) => row.y),
        text: mine.map((row) => plotlyText(row.name)), textposition: mine.map((row) => spots[known.indexOf(row)]),
        textfont: { size: 11, color: options.ink }, cliponaxis: false,
        marker: { size: 11, color: ink(spot, options), symbol: of(SHAPES, spot) },
        hovertemplate: "%{text}: %{x:.2f}, %{y:.1f} ms<extra></extra>",
      };
    }),
    layout: layout(options, height, {
      showlegend: batches.length > 1, x: { title: words.figure_trade_x, range }, y: { title: words.figure_trade_y, range: [0, top] },
    }),
  };
}

/** What one method expected of the sizes it chose, and what came: tokens above, milliseconds below. */
export function promiseFigure(promises, name, options) {
  const { words } = options;
  const curves = promises.filter((curve) => curve.name === name);
  if (!curves.length) return null;
  const several = curves.length > 1;
  const data = curves.flatMap((curve, spot) => [
    ["tokens_expected", "y", true], ["tokens", "y", false], ["ms_expected", "y2", true], ["ms", "y2", false],
  ].map(([column, yaxis, expected]) => {
    const kind = expected ? words.expected : words.measured, colour = ink(spot, options);
    const label = several ? say(words.batch, curve) + words.comma + kind : kind;
    return {
      type: "scatter", mode: "lines+markers", name: label, legendgroup: label, showlegend: yaxis === "y", xaxis: "x", yaxis,
      x: curve.sizes, y: curve[column], line: { color: colour, width: 1.5, dash: expected ? "dot" : "solid" },
      // a size that was chosen once says less than one chosen often
      marker: { size: curve.passes.map((count) => 5 + 3 * Math.sqrt(Math.log2(count + 1))), color: colour, symbol: expected ? "circle-open" : of(SHAPES, spot) },
      customdata: curve.passes, hovertemplate: `n = %{x}: %{y:.3~g} (${kind}, %{customdata})<extra></extra>`,
    };
  }));
  const heading = (text, y) => ({
    xref: "paper", yref: "paper", x: 0, y, xanchor: "left", yanchor: "bottom", showarrow: false, text: plotlyText(text), font: { size: 12, color: options.ink },
  });
  const figure = layout(options, 420, { showlegend: true, x: { title: words.figure_promise_x, anchor: "y2" }, y: { domain: [0.56, 0.96], rangemode: "tozero" } });
  figure.yaxis2 = { ...figure.yaxis, domain: [0, 0.4], rangemode: "tozero" };
  figure.annotations = [heading(words.figure_promise_l, 0.96), heading(words.figure_promise_t, 0.4)];
  return { data, layout: figure };
}
