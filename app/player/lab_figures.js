// The Lab's curves as plotly figures: pure functions of a forecast (JSON of app/lab.py).
import { plotlyText } from "./figures.js";
import { promise, times } from "./lab_words.js";
import { say } from "./words.js";

const GREEN = "#009E73", VERMILLION = "#D55E00", MEASURED = "#CC79A7", GREY = "#8a8f98";
export const CURVES = ["length", "time", "speed"];

/** What each curve shows of a promise, for one row where rows share it. */
const SHOWS = {
  length: ({ length }, rows) => length / rows,
  time: ({ ms }) => ms,
  speed: ({ length, ms }) => (1000 * length) / ms,
};

function axis(options, more) {
  return {
    fixedrange: true, gridcolor: options.grid, zeroline: false, nticks: 5, automargin: false, rangemode: "tozero",
    tickfont: { size: 11, color: options.faint }, ...more,
  };
}

function layout(options, xaxis, yaxis, more) {
  return {
    width: options.width, height: options.height, margin: { l: 44, r: 10, t: 6, b: 38 }, showlegend: false,
    hovermode: "closest", dragmode: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    xaxis: axis(options, { ...xaxis, title: { text: plotlyText(xaxis.title), font: { size: 11, color: options.faint }, standoff: 4 } }),
    yaxis: axis(options, yaxis), ...more,
  };
}

function line(name, points, look, note) {
  return {
    type: "scatter", mode: look.symbol ? "lines+markers" : "lines", uid: name, name,
    x: points.map(([x]) => x), y: points.map(([, y]) => y),
    line: { color: look.colour, width: look.width || 1.5, dash: look.dash },
    marker: { symbol: look.symbol, size: 5, color: look.colour },
    hovertemplate: `%{x:.3~g}: %{y:.4~g}<br>${plotlyText(note)}<extra></extra>`,
  };
}

function mark(name, x, y, look, note) {
  return {
    type: "scatter", mode: "markers", uid: name, name, x: [x], y: [y], cliponaxis: false,
    marker: { symbol: look.symbol, size: look.size, color: look.colour, line: { width: 2, color: look.colour } },
    hovertemplate: `%{x:.3~g}: %{y:.4~g}<br>${plotlyText(note)}<extra></extra>`,
  };
}

/** One of `CURVES` over the nodes a row: the choice, its ghosts, and what was measured. */
export function curveFigure(answer, which, options) {
  const { words } = options, { rows } = answer.values, show = SHOWS[which];
  const points = (curve) => curve.sizes.map((size, at) => [size / rows, show(promise(curve, at), rows)]);
  const { prunes } = answer.chosen;
  const colour = { length: options.blue, time: GREY, speed: GREEN }[which];
  const best = promise(answer.chosen), fixed = answer.fixed;
  const data = [
    line("ghost", points(prunes ? answer.unpruned : answer.pruned), { colour: options.faint, dash: "dash", width: 1 },
      prunes ? words.ghost_unpruned : words.ghost_pruned),
    line("chosen", points(answer.chosen), { colour, dash: "dot", symbol: "circle-open" }, words.estimated),
  ];
  if (which === "time" && answer.measured.length) {
    data.push({
      type: "scatter", mode: "markers", uid: "measured", name: "measured",
      x: answer.measured.map(([x]) => x), y: answer.measured.map(([, y]) => y),
      marker: { symbol: "square", size: 7, color: MEASURED },
      hovertemplate: `%{x:.3~g}: %{y:.4~g} ms<br>${plotlyText(words.ghost_measured)}<extra></extra>`,
    });
  }
  data.push(mark("fixed", fixed.size / rows, show(fixed, rows), { symbol: "square-open", size: 9, colour: VERMILLION }, words.ghost_fixed));
  data.push(mark("best", best.size / rows, show(best, rows), { symbol: "diamond-open", size: 12, colour: options.ink }, words.ghost_chosen));
  const dashes = which === "speed" ? [[answer.plain, options.faint], [fixed, VERMILLION]] : [];
  const shapes = dashes.map(([one, ink]) => ({
    type: "line", xref: "paper", x0: 0, x1: 1, y0: show(one, rows), y1: show(one, rows), line: { color: ink, width: 1, dash: "dot" }, opacity: 0.7,
  }));
  shapes.push({
    type: "line", yref: "paper", x0: best.size / rows, x1: best.size / rows, y0: 0, y1: 1, layer: "below", opacity: 0.35,
    line: { color: options.ink, width: 1, dash: "dot" },
  });
  const tall = Math.max(...data.flatMap(({ y, uid }) => (uid === "measured" ? [] : y)));
  return {
    data,
    layout: layout(options, { title: words.axis_nodes, range: [-1.5, 65.5], tickvals: [0, 16, 32, 48, 63] },
      { range: [which === "length" ? 0.8 : 0, 1.06 * tall] }, { shapes }),
  };
}

/** Over the batch size: nodes a row ("size"), or speed-up over plain decoding ("gain"). */
export function batchFigure(answer, which, options) {
  const { words } = options, { batches, values } = answer;
  const show = which === "size" ? (batch, name) => batch[name].size / batch.rows : (batch, name) => times(batch[name], batch.plain);
  const points = (name) => batches.map((batch) => [batch.rows, show(batch, name)]);
  const data = [];
  if (values.prune !== "never") {
    data.push(line("unpruned", points("unpruned"), { colour: options.faint, dash: "dash", width: 1 }, words.ghost_unpruned));
  }
  if (which === "gain") data.push(line("fixed", points("fixed"), { colour: VERMILLION, dash: "dash", symbol: "square-open" }, words.ghost_fixed));
  data.push(line("chosen", points("chosen"), { colour: which === "size" ? options.blue : GREEN, dash: "dot", symbol: "circle-open" }, words.estimated));
  const here = batches.find(({ rows }) => rows === values.rows);
  if (here) data.push(mark("best", here.rows, show(here, "chosen"), { symbol: "diamond-open", size: 12, colour: options.ink }, words.ghost_chosen));
  const tall = Math.max(...data.flatMap(({ y }) => y), 1);
  const shapes = which === "gain" ? [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 1, y1: 1, line: { color: options.faint, width: 1, dash: "dot" } }] : [];
  return {
    data,
    layout: layout(options, { title: words.axis_batch, type: "log", range: [-0.06, Math.log10(40)], tickvals: batches.map(({ rows }) => rows) },
      { range: [0, 1.1 * tall] }, { shapes }),
  };
}

/** A figure in one sentence, for those who do not see it. */
export function batchSentence({ batches }, words) {
  return batches.map(({ rows, chosen, plain }) =>
    say(words.batch_line, { rows, nodes: (chosen.size / rows).toFixed(1), ratio: times(chosen, plain).toFixed(2) })).join(" ");
}
