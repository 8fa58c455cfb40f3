// The run at a glance: tree size, tokens gained and milliseconds by phase, step by step.
import { chartEngine, inks } from "./charts.js";
import { CONFIG, plotlyText } from "./figures.js";
import { counts, say, stepMilliseconds } from "./words.js";

const HEIGHT = 156;
const MARGIN = { left: 8, right: 8 };
const REST = 400; // ms between two drawings of a run that is growing
/** Okabe-Ito colours of the phases that are measured, as player.css has them. */
export const PHASE_COLOURS = {
  draft: "#0072B2", grow: "#56B4E9", early: "#E69F00", prune: "#D55E00", late: "#009E73", verify: "#CC79A7", commit: "#8a8f98",
};

/** The step at a place of the picture. */
export function stepAt(x, width, count) {
  const share = (x - MARGIN.left) / Math.max(1, width - MARGIN.left - MARGIN.right);
  return Math.max(0, Math.min(count - 1, Math.floor(share * count)));
}

/** Where the middle of a step is. */
export function placeOf(step, width, count) {
  return MARGIN.left + ((step + 0.5) / count) * (width - MARGIN.left - MARGIN.right);
}

function area(x, y, colour, axis, more) {
  return {
    type: "scatter", mode: "lines", x, y, yaxis: axis, line: { shape: "hvh", width: 1, color: colour },
    fill: "tozeroy", fillcolor: colour, hoverinfo: "skip", ...more,
  };
}

/** options: {width, ink, faint, words}. The prefill has no tree, and its time would hide the others. */
export function timelineFigure(events, options) {
  const { words } = options;
  const x = events.map((_, i) => i);
  const decode = (value) => events.map((event) => (event.kind === "prefill" ? 0 : value(event)));
  const drafted = decode((event) => counts(event).drafted), verified = decode((event) => counts(event).verified);
  const tokens = decode((event) => event.token_ids.length);
  const phases = Object.keys(PHASE_COLOURS).map((name) =>
    area(x, decode((event) => event.milliseconds[name] || 0), PHASE_COLOURS[name], "y3", { stackgroup: "ms", fill: undefined, line: { shape: "hvh", width: 0 } }));
  const rows = [
    { domain: [0.72, 1], top: Math.max(1, ...drafted), title: words.timeline_size },
    { domain: [0.42, 0.6], top: Math.max(1, ...tokens), title: words.timeline_tokens },
    { domain: [0, 0.3], top: Math.max(1, ...decode(stepMilliseconds)), title: words.timeline_ms },
  ];
  const axis = ({ domain, top }) => ({ domain, range: [0, 1.05 * top], visible: false, fixedrange: true });
  return {
    data: [
      area(x, drafted, "#b9bec7", "y"), area(x, verified, "#56B4E9", "y"),
      area(x, tokens, "#009E73", "y2"), ...phases,
    ],
    layout: {
      width: options.width, height: HEIGHT, margin: { l: MARGIN.left, r: MARGIN.right, t: 16, b: 2 }, showlegend: false,
      hovermode: false, dragmode: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: { visible: false, fixedrange: true, range: [-0.5, events.length - 0.5] },
      yaxis: axis(rows[0]), yaxis2: axis(rows[1]), yaxis3: axis(rows[2]),
      annotations: rows.map(({ domain, top, title }) => ({
        xref: "paper", yref: "paper", x: 0, y: domain[1], xanchor: "left", yanchor: "bottom", showarrow: false,
        text: plotlyText(say(title, { top: Math.round(top) })), font: { size: 11, color: options.faint },
      })),
    },
  };
}

/** One step of the timeline in words. */
export function stepLine(event, words) {
  const values = { step: event.index, ...counts(event), tokens: event.token_ids.length, ms: stepMilliseconds(event).toFixed(1) };
  return say(event.kind === "prefill" ? words.timeline_prefill : words.timeline_step, values);
}

export class Timeline {
  /** parts: {timeline, timelineChart, timelineCursor, timelineLine}; go(step) is called by a click or a drag. */
  constructor(parts, words, go) {
    Object.assign(this, { parts, words, go, events: [], drawn: 0, at: 0 });
    const step = (e) => stepAt(e.clientX - parts.timelineChart.getBoundingClientRect().left, parts.timelineChart.clientWidth, this.events.length);
    const on = (name, act) => parts.timeline.addEventListener(name, (e) => this.events.length && act(e));
    on("pointerdown", (e) => { parts.timeline.setPointerCapture(e.pointerId); this.go(step(e)); });
    on("pointermove", (e) => { if (e.buttons) this.go(step(e)); else this.tell(step(e)); });
    on("pointerleave", () => this.tell(null));
  }

  tell(step) {
    const event = this.events[step];
    this.parts.timelineLine.textContent = event ? stepLine(event, this.words) : this.words.timeline_hint;
  }

  /** The cursor moves at once; the areas are drawn anew only if the run has changed. */
  draw(events, step, again) {
    const changed = again || events !== this.events || events.length !== this.drawn;
    if (events !== this.events) this.drawn = 0;
    Object.assign(this, { events, at: step });
    this.moveCursor();
    if (changed) this.timer ||= setTimeout(() => { this.timer = null; this.plot(); }, this.drawn ? REST : 0);
  }

  moveCursor() {
    const { timelineChart: chart, timelineCursor: cursor } = this.parts;
    const x = placeOf(this.at, chart.clientWidth, Math.max(this.drawn, this.at + 1));
    cursor.style.transform = `translateX(${x}px)`;
  }

  plot() {
    const chart = this.parts.timelineChart;
    const engine = chartEngine();
    if (!engine || !chart.clientWidth || !this.events.length) return;
    const figure = timelineFigure(this.events, { width: chart.clientWidth, words: this.words, ...inks(chart) });
    engine.react(chart, figure.data, figure.layout, { ...CONFIG, staticPlot: true });
    this.drawn = this.events.length;
    this.moveCursor();
    this.tell(null);
  }
}
