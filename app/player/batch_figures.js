// Batches in numbers: what each came to, how its trees stand, and the plot of all. Pure functions.
import { plotlyText } from "./figures.js";
import { say } from "./words.js";

const HEIGHTS = [[1, 260], [2, 200], [4, 160], [Infinity, 106]]; // px of a cell, for so many rows at most
const MEASURED = "#CC79A7";

/** What a batch came to over the passes in which all its rows ran; app/batching.py counts the same. */
export function batchFigures(batch) {
  const full = batch.passes.filter((pass) => Object.keys(pass.rows).length === batch.rows);
  const rows = full.flatMap((pass) => Object.values(pass.rows));
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const tokens = sum(rows.map((row) => row.tokens)), seconds = sum(full.map((pass) => pass.ms)) / 1000;
  const over = (value, count) => (count ? value / count : null);
  return {
    rows: batch.rows, passes: full.length,
    size: over(sum(rows.map((row) => row.nodes.fate.length - 1)), rows.length),
    perPass: over(tokens, rows.length),
    speed: over(tokens, seconds),
  };
}

/** Mean nodes a row of one pass. */
export function meanNodes(pass) {
  const sizes = Object.values(pass.rows).map((row) => row.nodes.fate.length - 1);
  return sizes.reduce((total, size) => total + size, 0) / Math.max(sizes.length, 1);
}

/** How the cells of so many rows stand: as many side by side as have room, the last line full if it can be. */
export function gridOf(rows, width) {
  const least = width < 520 || rows > 8 ? 145 : 190;
  let columns = Math.max(1, Math.min(rows, 4, Math.floor(width / least)));
  const gaps = (count) => Math.ceil(rows / count) * count - rows;
  for (let count = columns - 1; count > 1; count--) if (gaps(count) < gaps(columns)) columns = count;
  const [, height] = HEIGHTS.find(([most]) => rows <= most);
  return { columns, height };
}

/** Tree size and speed over the rows of the batch, all measured. chosen: the batch on screen. */
export function sweepFigure(figures, chosen, options) {
  const { words } = options;
  const known = figures.filter((one) => one.passes);
  const kinds = [{ name: "size", title: words.plot_size, digits: 1 }, { name: "speed", title: words.plot_speed, digits: 1 }];
  const data = kinds.map(({ name, digits }, k) => ({
    type: "scatter", mode: "lines+markers", x: known.map((one) => one.rows), y: known.map((one) => one[name]),
    xaxis: "x", yaxis: k ? "y2" : "y", cliponaxis: false,
    line: { color: options.faint, width: 1.5 },
    marker: {
      symbol: "square", color: MEASURED, opacity: 1, size: known.map((one) => (one.rows === chosen ? 13 : 8)),
      line: { color: options.ink, width: known.map((one) => (one.rows === chosen ? 2 : 0)) },
    },
    hovertemplate: known.map((one) => say(words.plot_hover, { rows: one.rows, value: one[name].toFixed(digits) }) + "<extra></extra>"),
  }));
  const axis = (domain) => ({
    domain, fixedrange: true, gridcolor: options.grid, zeroline: false, nticks: 4, rangemode: "tozero",
    tickfont: { size: 10, color: options.faint },
  });
  const heading = ({ title }, y) => ({
    xref: "paper", yref: "paper", x: 0, y, xanchor: "left", yanchor: "bottom", showarrow: false,
    text: plotlyText(title), font: { size: 11, color: options.ink },
  });
  return {
    data,
    layout: {
      width: options.width, height: options.height, margin: { l: 34, r: 12, t: 20, b: 36 }, showlegend: false,
      hovermode: "closest", dragmode: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: {
        domain: [0, 1], anchor: "y2", type: "log", fixedrange: true, showgrid: false, zeroline: false,
        tickvals: figures.map((one) => one.rows), ticktext: figures.map((one) => String(one.rows)),
        range: [-0.06, Math.log10(Math.max(2, ...figures.map((one) => one.rows))) + 0.06],
        tickfont: { size: 10, color: options.faint },
        title: { text: plotlyText(words.plot_axis), font: { size: 11, color: options.faint }, standoff: 4 },
      },
      yaxis: axis([0.6, 1]), yaxis2: axis([0, 0.4]),
      annotations: [heading(kinds[0], 1), heading(kinds[1], 0.4)],
    },
  };
}
