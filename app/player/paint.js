// Paints figures as SVG where plotly.js is not there (yet): the same figures, and as much of
// Plotly's face as the player asks of it. Knows scatter and bar traces, axes, annotations, lines.

const SVG = "http://www.w3.org/2000/svg";
const HALF = Math.SQRT1_2;

/** Plotly reads texts as markup and so the figures escape them; here they are plain text again. */
function plain(text) {
  return String(text).replace(/<br>/g, " ").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

/** A new SVG element below a parent; what is unknown is left out. */
function add(parent, tag, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  if (text !== null) element.textContent = text;
  parent.append(element);
  return element;
}

/** Entry i of a value that is one for all points, or one a point. */
const at = (value, i) => (Array.isArray(value) ? value[i] : value);

/** Plotly's names of dashes, as lengths that follow the width of the line. */
export function dashes(name, width) {
  const unit = Math.max(width || 1, 3);
  return { dot: [unit, unit], dash: [3 * unit, 3 * unit] }[name]?.join(" ") ?? null;
}

/** The outline of a marker around 0, 0; "-open" is a matter of filling it. */
export function outline(symbol, size) {
  const r = size / 2, x = (0.8 * r) * HALF;
  const kind = symbol.replace("-open", "");
  if (kind === "square") return `M${r},${r}H${-r}V${-r}H${r}Z`;
  if (kind === "diamond") return `M${1.3 * r},0L0,${1.3 * r}L${-1.3 * r},0L0,${-1.3 * r}Z`;
  if (kind === "x") {
    return `M0,${x}l${x},${x}l${x},${-x}l${-x},${-x}l${x},${-x}l${-x},${-x}l${-x},${x}`
      + `l${-x},${-x}l${-x},${x}l${x},${x}l${-x},${x}l${x},${x}Z`;
  }
  return `M${r},0A${r},${r} 0 1,1 0,${-r}A${r},${r} 0 0,1 ${r},0Z`;
}

/** About `count` round numbers from low to high. */
export function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999) || 10 * power;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, k) => Number(((first + k) * step).toPrecision(6)));
}

/** The axes of a figure by name ("x", "y2"), each with its range and a function to pixels. */
export function axes(data, layout) {
  const margin = { l: 0, r: 0, t: 0, b: 0, ...layout.margin };
  const wide = layout.width - margin.l - margin.r, high = layout.height - margin.t - margin.b;
  const found = {};
  for (const [key, spec] of Object.entries(layout)) {
    const name = /^([xy])axis(\d*)$/.exec(key);
    if (!name) continue;
    const short = name[1] + name[2], across = name[1] === "x";
    const [low, high_] = spec.range || reach(data, short, across);
    const [from, to] = spec.domain || [0, 1];
    const start = across ? margin.l + from * wide : margin.t + (1 - from) * high;
    const end = across ? margin.l + to * wide : margin.t + (1 - to) * high;
    found[short] = { ...spec, low, high: high_, across, start, end, at: (v) => start + ((v - low) / (high_ - low || 1)) * (end - start) };
  }
  return { axes: found, box: { left: margin.l, top: margin.t, wide, high } };
}

/** From the smallest to the largest value on an axis, with some room. */
function reach(data, short, across) {
  const mine = data.filter((trace) => (trace[across ? "xaxis" : "yaxis"] || (across ? "x" : "y")) === short);
  const values = mine.flatMap((trace) => trace[across ? "x" : "y"]).filter(Number.isFinite);
  const bars = mine.some((trace) => trace.type === "bar");
  const low = Math.min(...values), high = Math.max(...values);
  if (!Number.isFinite(low)) return [0, 1];
  if (bars) return across ? [low - 0.5, high + 0.5] : [0, 1.05 * Math.max(...Object.values(stacks(mine)), 1e-9)];
  const room = 0.06 * (high - low) || 1;
  return [low - room, high + room];
}

/** How high the bars of a figure pile up, by x. */
function stacks(bars) {
  const sums = {};
  for (const bar of bars) bar.x.forEach((x, i) => { sums[x] = (sums[x] || 0) + (bar.y[i] || 0); });
  return sums;
}

function drawAxis(svg, axis, others, box, layout) {
  if (axis.visible === false) return;
  const font = axis.tickfont || {}, ink = font.color || "currentColor", size = font.size || 12;
  // an axis across stands below the axis it is anchored to, which may be one of several
  const floor = axis.across ? (others[axis.anchor]?.start ?? box.top + box.high) : 0;
  for (const value of axis.tickvals || ticks(axis.low, axis.high, axis.nticks || 5)) {
    const spot = axis.at(value);
    if (axis.showgrid !== false && axis.gridcolor) {
      add(svg, "line", axis.across
        ? { x1: spot, x2: spot, y1: box.top, y2: floor, stroke: axis.gridcolor }
        : { x1: box.left, x2: box.left + box.wide, y1: spot, y2: spot, stroke: axis.gridcolor });
    }
    const place = axis.across ? { x: spot, y: floor + size + 4, "text-anchor": "middle" } : { x: box.left - 4, y: spot + size * 0.35, "text-anchor": "end" };
    add(svg, "text", { ...place, fill: ink, "font-size": size }, String(value));
  }
  const title = axis.title && axis.title.text;
  if (title && axis.across) {
    const { size: big = 12, color = ink } = axis.title.font || {};
    add(svg, "text", { x: (axis.start + axis.end) / 2, y: layout.height - 6, "text-anchor": "middle", fill: color, "font-size": big }, plain(title));
  }
}

function drawLine(group, trace, x, y) {
  let path = "", pen = "M";
  trace.x.forEach((value, i) => {
    if (value === null || trace.y[i] === null) { pen = "M"; return; }
    path += `${pen}${x.at(value).toFixed(2)},${y.at(trace.y[i]).toFixed(2)}`;
    pen = "L";
  });
  const { color, width = 2, dash } = trace.line || {};
  add(add(group, "g", { class: "lines" }), "path", {
    d: path, fill: "none", stroke: color, "stroke-width": width, "stroke-dasharray": dashes(dash, width), opacity: trace.opacity,
  });
}

/** "n = %{x}: %{y:.3~g}" with the point's numbers in it, for a tooltip. */
export function hoverText(template, point) {
  const told = template.replace(/<extra>.*<\/extra>/, "").replace(/%\{(x|y|customdata)(:[^}]*)?\}/g, (_, name, digits) =>
    (digits && Number.isFinite(point[name]) ? String(Number(point[name].toPrecision(3))) : String(point[name])));
  return plain(told);
}

function drawMarkers(group, trace, x, y) {
  const points = add(group, "g", { class: "points" });
  const { symbol = "circle", size = 6, color, opacity, line = {} } = trace.marker || {};
  trace.x.forEach((value, i) => {
    const kind = at(symbol, i) || "circle", open = kind.endsWith("-open");
    const fill = at(color, i), width = at(line.width, i) ?? (open ? 1 : 0);
    const mark = add(points, "path", {
      class: "point", d: outline(kind, at(size, i)), transform: `translate(${x.at(value)},${y.at(trace.y[i])})`,
      fill: open ? "none" : fill, stroke: open ? fill : at(line.color, i), "stroke-width": width, opacity,
    });
    if (trace.hovertemplate) add(mark, "title", {}, hoverText(trace.hovertemplate, { x: value, y: trace.y[i], customdata: at(trace.customdata, i) }));
  });
}

function drawTexts(group, trace, x, y) {
  const texts = add(group, "g", { class: "text" });
  const font = trace.textfont || {}, below = (trace.textposition || "").startsWith("bottom");
  trace.x.forEach((value, i) => {
    const size = font.size || 12, half = (at(trace.marker?.size, i) || 0) / 2;
    const spot = below ? { x: x.at(value), y: y.at(trace.y[i]) + half + size + 2, "text-anchor": "middle" }
      : { x: x.at(value) + half + 4, y: y.at(trace.y[i]) + size * 0.35 };
    add(texts, "text", {
      ...spot, fill: at(font.color, i), "font-size": size, "font-family": font.family, "font-weight": at(font.weight, i),
      "xml:space": "preserve", "pointer-events": "none",
    }, plain(at(trace.text, i)));
  });
}

function drawBars(group, trace, x, y, heap) {
  const points = add(group, "g", { class: "points" });
  const wide = Math.max(1, Math.abs(x.at(1) - x.at(0)) * 0.8);
  trace.x.forEach((value, i) => {
    const base = heap[value] || 0, tall = trace.y[i] || 0;
    heap[value] = base + tall;
    const top = y.at(base + tall);
    const bar = add(points, "rect", {
      x: x.at(value) - wide / 2, y: top, width: wide, height: Math.max(0, y.at(base) - top), fill: at(trace.marker?.color, i), opacity: at(trace.marker?.opacity, i),
    });
    if (trace.hovertemplate) add(bar, "title", {}, hoverText(trace.hovertemplate, { x: value, y: tall, customdata: at(trace.customdata, i) }));
  });
}

/** Lines of the layout and its annotations, in data or in shares of the paper. */
function drawNotes(svg, layout, found, box) {
  const place = (ref, value, across) => {
    if (ref !== "paper") return (found[ref] || found[across ? "x" : "y"]).at(value);
    return across ? box.left + value * box.wide : box.top + (1 - value) * box.high;
  };
  for (const { xref, yref, x0, x1, y0, y1, line, opacity } of layout.shapes || []) {
    add(svg, "line", {
      x1: place(xref, x0, true), x2: place(xref, x1, true), y1: place(yref, y0), y2: place(yref, y1),
      stroke: line.color, "stroke-width": line.width, "stroke-dasharray": dashes(line.dash, line.width), opacity,
    });
  }
  for (const note of layout.annotations || []) {
    const anchor = { left: "start", right: "end" }[note.xanchor] || "middle";
    const lift = { bottom: -3, top: 12 }[note.yanchor] ?? 4;
    add(svg, "text", {
      x: place(note.xref, note.x, true), y: place(note.yref, note.y) + lift, "text-anchor": anchor,
      fill: note.font?.color, "font-size": note.font?.size || 12,
    }, plain(note.text));
  }
}

/** A figure as an SVG element. Points that can be pointed at go to `seen`, in pixels. */
export function paint(data, layout, seen = []) {
  const { axes: found, box } = axes(data, layout);
  const svg = document.createElementNS(SVG, "svg");
  const font = layout.font?.family || "sans-serif";
  for (const [name, value] of Object.entries({
    class: "main-svg", width: layout.width, height: layout.height, viewBox: `0 0 ${layout.width} ${layout.height}`, "font-family": font,
  })) svg.setAttribute(name, value);
  if (layout.paper_bgcolor && !/^rgba\(.*, ?0\)$/.test(layout.paper_bgcolor)) {
    add(svg, "rect", { width: layout.width, height: layout.height, fill: layout.paper_bgcolor });
  }
  Object.values(found).forEach((axis) => drawAxis(svg, axis, found, box, layout));
  const layer = add(svg, "g", { class: "scatterlayer" }), heap = {};
  for (const trace of data) {
    const x = found[trace.xaxis || "x"], y = found[trace.yaxis || "y"];
    const group = add(layer, "g", { class: "trace" });
    const mode = trace.mode || "lines";
    if (trace.type === "bar") drawBars(group, trace, x, y, heap);
    else {
      if (mode.includes("lines")) drawLine(group, trace, x, y);
      if (mode.includes("markers")) drawMarkers(group, trace, x, y);
      if (mode.includes("text")) drawTexts(group, trace, x, y);
    }
    if (trace.hoverinfo === "skip") continue;
    trace.x.forEach((value, i) => seen.push({ x: x.at(value), y: y.at(trace.y[i]), customdata: at(trace.customdata, i) }));
  }
  drawNotes(svg, layout, found, box);
  return svg;
}

/** Tell who listens which point the pointer is near, as Plotly does. */
function listen(div) {
  let near = null;
  const tell = (name, point) => (div.propdHeard[name] || []).forEach((heard) => heard(point ? { points: [point] } : undefined));
  const nearest = (event) => {
    const frame = div.firstElementChild.getBoundingClientRect();
    const gap = ({ x, y }) => Math.hypot(x - (event.clientX - frame.left), y - (event.clientY - frame.top));
    const close = div.propdSeen.filter((point) => gap(point) <= (div.layout.hoverdistance ?? 20));
    return close.sort((a, b) => gap(a) - gap(b))[0] || null;
  };
  const leave = () => { if (near) tell("plotly_unhover"); near = null; };
  div.addEventListener("mousemove", (event) => {
    if (!div.propdSeen) return;
    const point = nearest(event);
    if (!point) return leave();
    if (!near || near.customdata !== point.customdata) tell("plotly_hover", point);
    near = point;
  });
  div.addEventListener("mouseleave", leave);
  div.addEventListener("click", (event) => {
    const point = div.propdSeen && nearest(event);
    if (point) tell("plotly_click", point);
  });
}

function svgText(figure) {
  const svg = paint(figure.data, figure.layout);
  svg.setAttribute("xmlns", SVG);
  return new XMLSerializer().serializeToString(svg);
}

/** What the player asks of Plotly. */
export const painter = {
  react(div, data, layout) {
    const first = !div.propdHeard;
    div.propdSeen = [];
    Object.assign(div, { data, layout });
    div.replaceChildren(paint(data, layout, div.propdSeen));
    if (!first) return;
    div.propdHeard = {};
    div.on = (name, heard) => (div.propdHeard[name] ||= []).push(heard);
    listen(div);
  },
  /** Leave the place to Plotly. */
  purge(div) {
    div.replaceChildren();
    div.propdSeen = null;
    if (div.propdHeard) div.propdHeard = {};
    delete div.on;
  },
  /** A picture as a data: address, as Plotly.toImage gives it. */
  async toImage(figure, { format, width, height, scale = 1 }) {
    const address = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svgText(figure));
    if (format === "svg") return address;
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: width * scale, height: height * scale });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/png");
  },
};
