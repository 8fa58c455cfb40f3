// The size decision of the current step: a sentence at once, its curves when there is time.
import { chartEngine, inks } from "./charts.js";
import { CONFIG, sizeFigure, sizeSentence } from "./figures.js";

const REST = 150; // ms; plotly takes longer for three curves than a step may take to be drawn

export class SizeView {
  constructor(chart, sentence, words) {
    Object.assign(this, { chart, sentence, words, drawn: null, timer: null });
  }

  /** again: the room or the colours have changed, so the same step is drawn anew. */
  draw(event, again = false) {
    if (event === this.drawn && !again) return;
    if (event !== this.drawn) this.sentence.textContent = sizeSentence(event, this.words);
    this.drawn = event;
    // Steps may come faster than this rests; then every rest draws the newest.
    this.timer ||= setTimeout(() => { this.timer = null; this.plot(); }, REST);
  }

  plot() {
    const { chart, words } = this;
    const engine = chartEngine();
    const figure = engine && chart.clientWidth >= 0
      && sizeFigure(this.drawn, { width: chart.parentElement.clientWidth, height: 240, words, ...inks(chart) });
    chart.classList.toggle("empty", !figure);
    if (figure) engine.react(chart, figure.data, figure.layout, CONFIG);
  }
}
