// Plotly figures of the walkthrough, pure functions of measured tables and recorded steps.
// options of all: {width, height, words, ink, faint, grid, blue}.
import { plotlyText } from "../figures.js";
import { say } from "../words.js";
import { shareAt } from "./tables.js";

const MEASURED = "#CC79A7", GREY = "#8a8f98", GREEN = "#009E73", RED = "#D55E00";
const MARGIN = { l: 46, r: 14, t: 26, b: 38 };

function axis(title, options, more = {}) {
  return {
    fixedrange: true, gridcolor: options.grid, zeroline: false, tickfont: { size: 11, color: options.faint },
    title: { text: plotlyText(title), font: { size: 12, color: options.faint }, standoff: 6 }, ...more,
  };
}

function frame(options, more) {
  return {
    width: options.width, height: options.height, margin: MARGIN, showlegend: false, hovermode: "closest", dragmode: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", ...more,
  };
}

/** A label beside a line, so that no legend has to be looked up. */
function label(text, x, y, options, more = {}) {
  return { text: plotlyText(text), x, y, showarrow: false, font: { size: 11.5, color: options.ink }, ...more };
}

const points = (x, y, more) => ({ type: "scatter", mode: "lines+markers", x, y, ...more });

/** Time of a pass by its tokens, measured, beside as many passes of one token each. */
export function passFigure(list, n, options) {
  const { words } = options;
  const one = list[0].ms, most = list[list.length - 1];
  const at = list.map(({ tokens }) => tokens), ms = list.map((pass) => pass.ms);
  const top = 1.25 * most.ms;
  const steep = Math.min(most.tokens, top / one);
  return {
    data: [
      { type: "scatter", mode: "lines", x: [0, steep], y: [0, steep * one], hoverinfo: "skip", line: { color: GREY, width: 1.5, dash: "dash" } },
      points(at, ms, {
        line: { color: MEASURED, width: 2 }, marker: { symbol: "square", size: 8, color: MEASURED },
        hovertemplate: `%{x}: %{y:.0f} ms (${plotlyText(words.measured)})<extra></extra>`,
      }),
      { type: "scatter", mode: "markers", x: [n], y: [options.now], hoverinfo: "skip", marker: { symbol: "diamond-open", size: 16, color: options.ink, line: { width: 2 } } },
    ],
    layout: frame(options, {
      xaxis: axis(words.axis_tokens, options, { range: [0, most.tokens * 1.03] }),
      yaxis: axis(words.axis_ms, options, { range: [0, top], nticks: 5 }),
      annotations: [
        label(words.line_each, 0.82 * steep, 0.82 * top, options, { xanchor: "left", xshift: 8, font: { size: 11.5, color: options.faint } }),
        label(words.line_together, most.tokens, most.ms, options, { xanchor: "right", yanchor: "bottom", yshift: 8 }),
      ],
    }),
  };
}

/** How often the model's own next token is among the best k after each layer; `layer` stands out. */
export function layerFigure(recall, k, layer, options) {
  const { words } = options;
  const layers = Object.keys(recall.lens).map(Number).sort((a, b) => a - b);
  const share = (told) => shareAt(recall.k, told.recall, k);
  const trained = Object.keys(recall.head).map(Number).sort((a, b) => a - b);
  const shares = trained.map((one) => share(recall.head[one]));
  const best = shares.indexOf(Math.max(...shares));
  const beside = trained[best] > layers[layers.length - 1] / 2 // no room to its right
    ? { xanchor: "right", yanchor: "middle", xshift: -10 }
    : { xanchor: "left", yanchor: "bottom", yshift: 8, xshift: -4 };
  return {
    data: [
      points(layers, layers.map((layer) => share(recall.lens[layer])), {
        line: { color: GREY, width: 2 }, marker: { symbol: "circle", size: 5, color: GREY },
        hovertemplate: `${plotlyText(words.axis_layer)} %{x}: %{y:.0%}<extra></extra>`,
      }),
      { type: "scatter", mode: "markers", x: trained, y: shares, marker: { symbol: "diamond", size: trained.map((one) => (String(one) === layer ? 17 : 11)), color: GREEN, line: { color: options.ink, width: trained.map((one) => (String(one) === layer ? 2.5 : 1)) } },
        hovertemplate: `${plotlyText(words.axis_layer)} %{x}: %{y:.0%}<extra></extra>` },
    ],
    layout: frame(options, {
      xaxis: axis(words.axis_layer, options, { range: [0, layers[layers.length - 1] + 1] }),
      yaxis: axis(words.axis_recall, options, { range: [0, 1.04], tickformat: ".0%", nticks: 6 }),
      annotations: [
        label(words.line_trained, trained[best], shares[best], options, beside),
        label(words.line_lens, layers[layers.length - 1], 0.04, options, { xanchor: "right", yanchor: "bottom", font: { size: 11.5, color: options.faint } }),
      ],
    }),
  };
}

/** The same by k: right guesses that stay (lines), wrong guesses that stay (faint), for each early head. */
export function cutFigure(recall, k, layer, options) {
  const { words } = options;
  const told = recall.head[layer];
  const line = (shares, colour, dash) => points(recall.k, shares, {
    line: { color: colour, width: 2, dash }, marker: { size: 5, color: colour }, hovertemplate: "k = %{x}: %{y:.0%}<extra></extra>",
  });
  const at = (shares) => shareAt(recall.k, shares, k);
  return {
    data: [
      line(told.recall_of_guessed, GREEN, "solid"), line(told.wrong_kept, RED, "dash"),
      { type: "scatter", mode: "markers", x: [k, k], y: [at(told.recall_of_guessed), at(told.wrong_kept)], hoverinfo: "skip",
        marker: { symbol: "diamond-open", size: 13, color: options.ink, line: { width: 2 } } },
    ],
    layout: frame(options, {
      xaxis: axis(words.axis_k, options, { type: "log", tickvals: [1, 5, 20, 100, 500] }),
      yaxis: axis(words.axis_kept, options, { range: [0, 1.04], tickformat: ".0%", nticks: 6 }),
      annotations: [
        label(words.line_right_kept, Math.log10(4), shareAt(recall.k, told.recall_of_guessed, 4), options, { xanchor: "right", yanchor: "bottom", yshift: 6 }),
        label(words.line_wrong_kept, Math.log10(recall.k.at(-1)), 0.04, options, { xanchor: "right", yanchor: "bottom", font: { size: 11.5, color: RED } }),
      ],
      shapes: [{ type: "line", x0: k, x1: k, yref: "paper", y0: 0, y1: 1, line: { color: options.ink, width: 1, dash: "dot" }, opacity: 0.5 }],
    }),
  };
}

/** Where the T(n) panel of `tradeFigure` is, so that a pointer on it can be read: pixel <-> ms. */
export function tradeScale(figure) {
  const { height, margin, yaxis2, xaxis, width } = figure.layout;
  const inner = height - margin.t - margin.b, [low, high] = yaxis2.domain, [least, most] = yaxis2.range;
  const bottom = margin.t + inner * (1 - low), top = margin.t + inner * (1 - high);
  return {
    ms: (y) => least + ((bottom - y) / (bottom - top)) * (most - least),
    size: (x) => xaxis.range[0] + ((x - margin.l) / (width - margin.l - margin.r)) * (xaxis.range[1] - xaxis.range[0]),
    top, bottom,
  };
}

/** The heights of three panels of which some are shown, one below the other. */
function domainsOf(shown) {
  const count = shown.filter(Boolean).length, gap = 0.12;
  const tall = (1 - gap * (count - 1)) / count;
  let top = 1;
  return shown.map((yes) => {
    const domain = yes ? [Math.max(0, top - tall), top] : [0, 0.01];
    if (yes) top -= tall + gap;
    return domain;
  });
}

/**
 * L(n), T(n) and their ratio over n, with the best size marked. trade: {lengths, times, measured,
 * best}; `measured` are the times before the curve was bent. show: rows that are to be seen.
 */
export function tradeFigure(trade, show, options) {
  const { words } = options;
  const { lengths, times, measured, best } = trade;
  const sizes = lengths.map((_, n) => n);
  const speed = lengths.map((length, n) => (1000 * length) / times[n]);
  const top = Math.max(2.2 * measured[measured.length - 1], 1);
  const rows = [
    { name: "length", values: lengths, colour: options.blue, title: words.size_l, range: [1, 1.08 * lengths[lengths.length - 1]] },
    { name: "cost", values: times, colour: MEASURED, title: words.size_t, range: [0, top] },
    { name: "ratio", values: speed, colour: GREEN, title: words.size_ratio, range: [0, 1.15 * Math.max(...speed)] },
  ];
  const shown = (row) => show.includes(row.name);
  const domains = domainsOf(rows.map(shown));
  const data = [];
  rows.forEach((row, i) => {
    const axes = { xaxis: "x", yaxis: i ? `y${i + 1}` : "y" };
    if (row.name === "cost" && shown(row)) data.push({ type: "scatter", mode: "lines", x: sizes, y: measured, ...axes, hoverinfo: "skip", line: { color: GREY, width: 1.5, dash: "dash" } });
    data.push({ type: "scatter", mode: "lines", x: sizes, y: row.values, ...axes, visible: shown(row), line: { color: row.colour, width: 2.5 },
      hovertemplate: "n = %{x}: %{y:.3~g}<extra></extra>" });
    if (shown(row) && show.includes("ratio")) data.push({ type: "scatter", mode: "markers", x: [best], y: [row.values[best]], ...axes, hoverinfo: "skip",
      marker: { symbol: "diamond-open", size: 13, color: options.ink, line: { width: 2 } } });
  });
  const handle = show.includes("drag") ? [{ type: "scatter", mode: "markers", x: [0, sizes.length - 1], y: [times[0], Math.min(top, times[times.length - 1])], xaxis: "x", yaxis: "y2", hoverinfo: "skip", cliponaxis: false,
    marker: { symbol: "square", size: 14, color: MEASURED, line: { color: options.ink, width: 1.5 } } }] : [];
  const named = (row, i) => label(row.title, 0, domains[i][1], options, { xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom", visible: shown(row) });
  const y = (i) => axis("", options, { domain: domains[i], range: rows[i].range, nticks: 4, visible: shown(rows[i]) });
  return {
    data: [...data, ...handle],
    layout: frame(options, {
      margin: { ...MARGIN, t: 24, r: 20 },
      xaxis: axis(words.size_axis, options, { range: [-0.02 * sizes.length, 1.03 * (sizes.length - 1)], anchor: "free", position: 0, showgrid: false }),
      yaxis: y(0), yaxis2: y(1), yaxis3: y(2),
      annotations: rows.map(named),
      shapes: show.includes("ratio") ? [{ type: "line", x0: best, x1: best, yref: "paper", y0: 0, y1: 1, line: { color: options.ink, width: 1, dash: "dot" }, opacity: 0.5 }] : [],
    }),
  };
}

/** T(n) for each batch size over nodes a text, measured; the chosen mean size of each marked. */
export function batchFigure(curves, rows, options) {
  const { words } = options;
  const styles = ["dot", "dash", "solid"];
  return {
    data: curves.flatMap((curve, i) => [
      { type: "scatter", mode: "lines", x: curve.sizes, y: curve.ratio, line: { color: curve.rows === rows ? MEASURED : GREY, width: curve.rows === rows ? 3 : 1.5, dash: styles[i % 3] },
        hovertemplate: `%{x}: ×%{y:.2f} (${curve.rows})<extra></extra>` },
      { type: "scatter", mode: "markers", x: [curve.chosen], y: [curve.at], hoverinfo: "skip",
        marker: { symbol: "diamond-open", size: 12, color: curve.rows === rows ? options.ink : GREY, line: { width: 2 } } },
    ]),
    layout: frame(options, {
      xaxis: axis(words.axis_nodes_each, options, { range: [0, 15.5] }),
      yaxis: axis(words.axis_times_plain, options, { rangemode: "tozero", nticks: 5, tickprefix: "×" }),
      annotations: curves.map((curve) => label(say(words.batch_texts[curve.rows === 1 ? "one" : "many"], { count: curve.rows }), curve.sizes[curve.sizes.length - 1], curve.ratio[curve.ratio.length - 1], options,
        { xanchor: "right", yanchor: "bottom", yshift: 5, opacity: curve.rows === rows ? 1 : 0.6 })),
    }),
  };
}

/** What was promised (estimated, hollow) beside what came (measured, full), for each run. */
export function promiseFigure(told, options) {
  const { words } = options;
  const names = told.map(({ label: name }) => plotlyText(name));
  const bar = (values, marker, name) => ({ type: "bar", x: names, y: values, name, marker, hovertemplate: `%{x}: %{y:.2f} (${plotlyText(name)})<extra></extra>`,
    text: values.map((value) => value.toFixed(2)), textposition: "outside", textfont: { size: 11, color: options.ink }, cliponaxis: false });
  return {
    data: [
      bar(told.map(({ length }) => length), { color: "rgba(0,0,0,0)", line: { color: options.blue, width: 2 } }, words.estimated),
      bar(told.map(({ got }) => got), { color: MEASURED }, words.measured),
    ],
    layout: frame(options, {
      barmode: "group", bargap: 0.35, xaxis: axis("", options), yaxis: axis(words.axis_per_pass, options, { rangemode: "tozero", nticks: 5 }),
    }),
  };
}
