// Draws the figure of a tree as SVG: a plotly figure in pixels, its lines, markers and labels.
// Plotly would take 30 ms for 64 nodes, and nothing could be seen before its 4.8 MB are there.
import { plainText } from "./figures.js";

const DASHES = { solid: null, dash: "9 6", dot: "3 4" };

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const number = (value) => Math.round(value * 10) / 10;

/** The outline of a plotly symbol of a diameter, around 0, 0; the plain forms that trees use. */
export function outline(symbol, size) {
  const r = size / 2, name = symbol.replace("-open", "");
  const points = (list) => "M" + list.map(([x, y]) => `${number(x)} ${number(y)}`).join("L") + "Z";
  if (name === "diamond") return points([[0, -1.3 * r], [1.3 * r, 0], [0, 1.3 * r], [-1.3 * r, 0]]);
  if (name === "square") return points([[-r, -r], [r, -r], [r, r], [-r, r]]);
  if (name === "x") {
    const a = 0.9 * r, b = 0.42 * r; // arms and their half width, turned by 45 degrees
    return points([[-a, -a + b], [-a + b, -a], [0, -b], [a - b, -a], [a, -a + b], [b, 0], [a, a - b], [a - b, a],
      [0, b], [-a + b, a], [-a, a - b], [-b, 0]]);
  }
  const c = number(r);
  return `M${-c} 0A${c} ${c} 0 1 1 ${c} 0A${c} ${c} 0 1 1 ${-c} 0Z`;
}

/** Of a value that is one for all, or a list. */
const at = (value, i) => (Array.isArray(value) ? value[i] : value);

function line(trace) {
  let path = "", pen = "M";
  trace.x.forEach((x, i) => {
    if (x === null) pen = "M";
    else { path += `${pen}${number(x)} ${number(trace.y[i])}`; pen = "L"; }
  });
  const { color, width, dash } = trace.line;
  return svg("path", { d: path, fill: "none", stroke: color, "stroke-width": width, "stroke-dasharray": DASHES[dash], opacity: trace.opacity });
}

function markers(trace) {
  const { symbol, size, color, line: edge, opacity } = trace.marker;
  return trace.x.map((x, i) => {
    const open = at(symbol, i).endsWith("-open");
    const ink = at(color, i);
    return svg("path", {
      d: outline(at(symbol, i), at(size, i)), transform: `translate(${number(x)} ${number(trace.y[i])})`, opacity,
      fill: open ? "transparent" : ink, stroke: open ? ink : at(edge.color, i), "stroke-width": at(edge.width, i),
    });
  });
}

function labels(trace) {
  const { family, color, size, weight } = trace.textfont;
  return trace.x.map((x, i) => {
    const below = trace.textposition === "bottom center", away = at(trace.marker.size, i) / 2;
    const text = svg("text", {
      x: number(below ? x : x + away + 3), y: number(trace.y[i] + (below ? away + 12 : 4)), fill: at(color, i),
      "text-anchor": below ? "middle" : null, "font-weight": at(weight, i),
    });
    text.textContent = plainText(trace.text[i]);
    return text;
  }).reduce((group, text) => (group.append(text), group), svg("g", { "font-family": family, "font-size": size, "aria-hidden": "true" }));
}

/**
 * Draw a figure of `treeFigure` into a box, in place of what was there. Returns the marks of the
 * nodes, in the order of the node trace's `customdata`.
 */
export function drawTree(box, figure) {
  const { width, height } = figure.layout;
  const nodes = figure.data[figure.data.length - 1];
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "propd-picture" });
  for (const trace of figure.data.slice(0, -1)) {
    if (trace.mode === "lines") picture.append(line(trace));
    else picture.append(svg("g", {}, ...markers(trace)));
  }
  const marks = markers(nodes);
  picture.append(labels(nodes), svg("g", { class: "points" }, ...marks));
  box.replaceChildren(picture);
  return marks;
}
