// Draws the charts of a step as SVG where plotly.js is not: a replay of a few kB must show them too.
// Knows what these figures use of Plotly: lines, areas, markers, axes, annotations, straight shapes.
import { plainText } from "./figures.js";
import { outline, svg } from "./svg.js";

const number = (value) => Math.round(value * 100) / 100;
/** Entry i of a value that is one for all points, or one a point. */
const at = (value, i) => (Array.isArray(value) ? value[i] : value);

/** Plotly's dashes, as lengths that follow the width of the line. */
function dashes(name, width = 2) {
  const unit = Math.max(width, 3);
  return { dot: `${unit} ${unit}`, dash: `${3 * unit} ${3 * unit}` }[name] ?? null;
}

function text(content, attributes) {
  const element = svg("text", attributes);
  element.textContent = plainText(content);
  return element;
}

/** At most `most` round numbers from low to high. */
export function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= rough);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, k) => Number(((first + k) * step).toPrecision(6)));
}

/** From the least to the greatest value on an axis, with room for the markers. */
function reach(data, name) {
  const of = name[0];
  const values = data.filter((trace) => (trace[of + "axis"] || of) === name).flatMap((trace) => trace[of]);
  const low = Math.min(...values), high = Math.max(...values), room = 0.06 * (high - low) || 1;
  return values.length ? [low - room, high + room] : [0, 1];
}

/** The axes of a figure by name ("x", "y2"), each with a function from its values to pixels. */
export function axesOf(data, layout) {
  const { l, r, t, b } = { l: 0, r: 0, t: 0, b: 0, ...layout.margin };
  const box = { left: l, top: t, wide: layout.width - l - r, high: layout.height - t - b };
  const axes = {};
  for (const [key, spec] of Object.entries(layout)) {
    const [, of, count] = /^([xy])axis(\d*)$/.exec(key) || [];
    if (!of) continue;
    const name = of + count, [low, high] = spec.range || reach(data, name), [from, to] = spec.domain || [0, 1];
    const start = of === "x" ? box.left + from * box.wide : box.top + (1 - from) * box.high;
    const end = of === "x" ? box.left + to * box.wide : box.top + (1 - to) * box.high;
    axes[name] = { ...spec, of, low, high, start, end, place: (value) => number(start + ((value - low) / (high - low)) * (end - start)) };
  }
  return { axes, box };
}

function axis(one, axes, box, layout) {
  if (one.visible === false) return [];
  const across = one.of === "x", { size = 12, color } = one.tickfont || {};
  const floor = across ? (axes[one.anchor] || { start: box.top + box.high }).start : 0;
  const drawn = ticks(one.low, one.high, one.nticks || 6).flatMap((value) => {
    const spot = one.place(value);
    const label = across ? { x: spot, y: floor + size + 4, "text-anchor": "middle" } : { x: box.left - 4, y: spot + 0.35 * size, "text-anchor": "end" };
    const line = across ? { x1: spot, x2: spot, y1: box.top, y2: floor } : { x1: box.left, x2: box.left + box.wide, y1: spot, y2: spot };
    const grid = one.showgrid === false ? [] : [svg("line", { ...line, stroke: one.gridcolor })];
    return [...grid, text(String(value), { ...label, fill: color, "font-size": size })];
  });
  const { text: title, font = {} } = one.title || {};
  if (title && across) {
    drawn.push(text(title, { x: number((one.start + one.end) / 2), y: layout.height - 6, "text-anchor": "middle", fill: font.color, "font-size": font.size }));
  }
  return drawn;
}

/** Points of a line in pixels; "hvh" makes a stair whose middles are the points. */
function corners(xs, ys, shape) {
  if (shape !== "hvh") return xs.map((x, i) => [x, ys[i]]);
  return xs.flatMap((x, i) => {
    const before = i ? (xs[i - 1] + x) / 2 : x, after = i < xs.length - 1 ? (xs[i + 1] + x) / 2 : x;
    return [[before, ys[i]], [after, ys[i]]];
  });
}

const path = (points) => "M" + points.map(([x, y]) => `${number(x)},${number(y)}`).join("L");

/** A line or an area. below: what the areas of its stack already hold, by their group. */
function line(trace, x, y, below) {
  const { color, width = 2, dash, shape } = trace.line || {};
  const group = trace.stackgroup, ground = group ? below[group] || trace.x.map(() => 0) : trace.x.map(() => 0);
  const tops = trace.y.map((value, i) => value + (group ? ground[i] : 0));
  if (group) below[group] = tops;
  const xs = trace.x.map(x.place), upper = corners(xs, tops.map(y.place), shape);
  const drawn = [];
  if (group || trace.fill) {
    const lower = corners(xs, ground.map(y.place), shape).reverse();
    drawn.push(svg("path", { d: path([...upper, ...lower]) + "Z", fill: trace.fillcolor || color }));
  }
  if (width) drawn.push(svg("path", { d: path(upper), fill: "none", stroke: color, "stroke-width": width, "stroke-dasharray": dashes(dash, width) }));
  return drawn;
}

/** "n = %{x}: %{y:.3~g}" with a point's numbers, for the tooltip of its mark. */
export function hoverText(template, point) {
  return template.replace(/<extra>.*<\/extra>/, "").replace(/%\{(\w+)(:[^}]*)?\}/g, (_, name, digits) =>
    String(digits ? Number(point[name].toPrecision(3)) : point[name]));
}

function markers(trace, x, y) {
  const { symbol, size = 6, color, line: edge = {} } = trace.marker;
  return trace.x.map((value, i) => {
    const open = at(symbol, i).endsWith("-open"), ink = at(color, i);
    const mark = svg("path", {
      d: outline(at(symbol, i), at(size, i)), transform: `translate(${x.place(value)} ${y.place(trace.y[i])})`,
      fill: open ? "none" : ink, stroke: open ? ink : null, "stroke-width": at(edge.width, i) ?? 1,
    });
    if (!trace.hovertemplate) return mark;
    const title = svg("title");
    title.textContent = plainText(hoverText(trace.hovertemplate, { x: value, y: trace.y[i] }));
    mark.append(title);
    return mark;
  });
}

/** Straight lines and texts of the layout, in values or in shares of the paper. */
function notes(layout, axes, box) {
  const x = (ref, value) => (ref === "paper" ? box.left + value * box.wide : axes[ref].place(value));
  const y = (ref, value) => (ref === "paper" ? box.top + (1 - value) * box.high : axes[ref].place(value));
  const shapes = (layout.shapes || []).map(({ xref, yref, x0, x1, y0, y1, line: look, opacity }) => svg("line", {
    x1: x(xref, x0), x2: x(xref, x1), y1: y(yref, y0), y2: y(yref, y1),
    stroke: look.color, "stroke-width": look.width, "stroke-dasharray": dashes(look.dash, look.width), opacity,
  }));
  const texts = (layout.annotations || []).map((note) => text(note.text, {
    x: x(note.xref, note.x), y: y(note.yref, note.y) + (note.yanchor === "bottom" ? -3 : 4),
    "text-anchor": note.xanchor === "left" ? "start" : "middle", fill: note.font.color, "font-size": note.font.size,
  }));
  return [...shapes, ...texts];
}

/** A figure as an SVG element. */
export function paint(data, layout) {
  const { axes, box } = axesOf(data, layout);
  const { width, height } = layout, below = {};
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "propd-picture", "font-family": "sans-serif" });
  for (const one of Object.values(axes)) picture.append(...axis(one, axes, box, layout));
  for (const trace of data) {
    const x = axes[trace.xaxis || "x"], y = axes[trace.yaxis || "y"], mode = trace.mode || "lines";
    if (mode.includes("lines")) picture.append(...line(trace, x, y, below));
    if (mode.includes("markers")) picture.append(...markers(trace, x, y));
  }
  picture.append(...notes(layout, axes, box));
  return picture;
}

/** In the place of Plotly, as far as the player asks for it. */
export const painter = {
  react: (div, data, layout) => div.replaceChildren(paint(data, layout)),
};
