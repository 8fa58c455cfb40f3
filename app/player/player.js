// The player: which run, which step, which phase. Everything it shows comes from step events.
import { loadPlotly } from "./charts.js";
import { build, make } from "./dom.js";
import { pressed } from "./keys.js";
import { PHASES, phasesOf } from "./phases.js";
import { here, openPlace, register, whenShown, writeHash } from "./places.js";
import { Playback } from "./playback.js";
import { Runs } from "./runs.js";
import { Screen } from "./screen.js";
import { find } from "./store.js";
import { request } from "./what_if.js";
import { nodeAt, openingStep, say, visible } from "./words.js";

/** The step that is asked for, or, if it is none of the run's, the one that a run opens at. */
function stepIn({ events }, step) {
  return Number.isInteger(step) && step >= 0 ? Math.min(step, events.length - 1) : openingStep(events);
}

export class Player {
  /**
   * ask(request): a new run from a branch, if there is a model; its messages come by `receive`.
   * studio: whether the other places are on the page too.
   */
  constructor(host, { words, traces, base, ask = null, studio = false }) {
    Object.assign(this, { words, ask, studio, run: null, step: 0, phase: "commit", follow: false, pinned: null, pointed: null });
    this.runs = new Runs(traces, base, words);
    this.playback = new Playback(this);
    this.parts = build(words, this.listeners());
    host.replaceChildren(this.parts.root);
    this.screen = new Screen(this);
    this.chips();
    whenShown(this.parts.treeBox, () => this.redraw());
    new MutationObserver(() => this.redraw()).observe(document.body, { attributeFilter: ["class"] });
    this.render();
  }

  listeners() {
    return {
      play: () => (this.playback.playing || this.follow ? this.pause() : this.play()),
      previous: () => this.go(this.step - 1), next: () => this.go(this.step + 1),
      first: () => this.go(0), last: () => this.go(Infinity), live: () => this.toLive(),
      scrub: (e) => this.go(Number(e.target.value)),
      speed: (e) => { this.playback.speed = e.target.value; if (this.playback.playing) this.play(); },
      word: (e) => { const span = e.target.closest(".propd-step"); if (span) this.go(Number(span.dataset.step)); },
      phase: (name) => this.go(this.step, name), help: () => this.parts.help.showModal(),
      table: () => this.render(), key: (e) => pressed(this, e),
    };
  }

  // --- runs ---

  chips() {
    if (!this.studio) return; // one run is all there is
    const chip = (label, pressed, onclick, title) =>
      make("button", { type: "button", class: "propd-chip", "aria-pressed": String(pressed), onclick, title: title || null }, label);
    const { live, traces } = this.runs;
    const { run: shown } = this;
    const other = shown && !live.includes(shown) && !traces.some(({ name }) => name === shown.name) ? [shown] : []; // an opened one
    this.parts.runs.replaceChildren(
      ...other.map((run) => chip(run.label || run.header.prompt, true, () => this.show(run, 0), run.header.prompt)),
      ...live.map((run) => chip(run.label, this.run === run, () => this.show(run, 0), run.header.prompt)).reverse(),
      ...traces.map((trace) => chip(trace.label, Boolean(this.run) && this.run.name === trace.name, () => this.open(trace), trace.title)));
  }

  /** What an address names: a recorded run or one in the store, a step of it, a phase of that. */
  visit([name, step, phase]) {
    const trace = this.runs.traces.find((one) => one.name === name);
    const then = PHASES.includes(phase) ? phase : "commit";
    if (trace) return this.open(trace, Number(step), then);
    const run = find(name);
    if (run && run.events.length) this.show(run, stepIn(run, Number(step)), then);
    else if (name) this.strange = true;
    this.render();
  }

  /** Fetch a recorded run from this server and show it, at a step of it if one is given. */
  async open(trace, step = NaN, phase = "commit") {
    this.wanted = trace.url;
    let run;
    try {
      run = await this.runs.recorded(trace);
    } catch {
      this.parts.status.textContent = this.words.trace_failed;
      return;
    }
    if (this.wanted !== trace.url) return;
    this.show(run, stepIn(run, step), phase);
  }

  show(run, step, phase = "commit") {
    this.pause();
    this.wanted = null;
    this.strange = false;
    Object.assign(this, { run, step, phase, pinned: null, pointed: null });
    this.screen.begin(run);
    this.chips();
    this.render();
  }

  /** The page is about to be loaded again: its address shall lead to what is on the screen. */
  leave() {
    const { run, step, phase } = this;
    if (run && openPlace() === "watch") history.replaceState(history.state, "", here(writeHash("watch", [run.key || run.name, step, phase])));
  }

  // --- live ---

  receive(message) {
    const begun = this.runs.receive(message);
    if (begun) {
      this.show(begun, 0);
      this.follow = true;
    }
    if (this.follow && this.run === this.runs.newest) this.jump();
    this.render();
  }

  /** Generate was pressed, or a branch was asked for. */
  asked(label) {
    this.runs.asked(label);
    this.render();
  }

  /** Stop was pressed, or the server ended the run. */
  ended() {
    this.runs.ended();
    this.follow = false;
    this.render();
  }

  whatIf(i) {
    const { text } = nodeAt(this.run.events[this.step], i);
    this.asked(say(this.words.what_if_run, { text: visible(text), step: this.step }));
    this.ask(request(this.run, this.step, i));
  }

  jump() {
    this.step = this.run.events.length - 1;
    this.phase = "commit";
    this.pinned = this.pointed = null;
    if (!this.runs.running()) this.follow = false; // and so the last step is drawn completely
  }

  toLive() {
    if (this.run !== this.runs.newest) this.show(this.runs.newest, 0);
    this.pause();
    this.follow = true;
    this.jump();
    this.render();
  }

  // --- playback ---

  go(step, phase = "commit") {
    if (!this.run) return;
    this.pause();
    this.place(step, phase);
  }

  place(step, phase) {
    const before = this.step;
    this.step = Math.max(0, Math.min(step, this.run.events.length - 1));
    this.phase = phasesOf(this.run.events[this.step]).includes(phase) ? phase : "commit";
    if (this.step !== before) Object.assign(this, { pinned: null, pointed: null });
    this.render();
  }

  /** One phase on or back, over the border of a step too. */
  goPhase(by) {
    if (!this.run) return;
    const phases = phasesOf(this.run.events[this.step]);
    const at = phases.indexOf(this.phase) + by;
    const next = this.run.events[this.step + 1];
    if (at < 0) this.go(this.step - 1);
    else if (at < phases.length) this.go(this.step, phases[at]);
    else if (next) this.go(this.step + 1, phasesOf(next)[0]);
  }

  play() {
    if (!this.run) return;
    this.pause();
    if (this.atEnd() && !(this.runs.running() && this.run === this.runs.newest)) this.place(0, "commit");
    this.playback.start();
    this.render();
  }

  pause() {
    this.playback.stop();
    this.follow = false;
    this.render();
  }

  atEnd() {
    return this.phase === "commit" && this.step >= this.run.events.length - 1;
  }

  /** The playback has shown all there is. */
  reachedEnd() {
    if (this.run === this.runs.newest && this.runs.running()) this.toLive();
    else this.pause();
  }

  // --- drawing ---

  point(i) {
    if (this.pointed === i) return;
    this.pointed = i;
    this.screen.drawCard();
  }

  pick(i) {
    this.pinned = this.pinned === i ? null : i;
    // On a phone the card is below the tree, out of sight of who taps a node.
    if (this.pinned !== null && this.screen.tree.vertical) this.parts.card.scrollIntoView({ block: "nearest" });
    this.render();
  }

  /** Draw all of it anew: another size, other colours. */
  redraw() {
    this.screen.again = true;
    this.render();
  }

  render() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  draw() {
    this.screen.draw();
  }
}

/** Called by the page (app/panel.py). */
export function mount(element, props, watch, base, { trigger }) {
  const player = new Player(element.querySelector(".propd-host"), {
    words: props.words, traces: props.traces, base, studio: true, ask: props.recorded ? null : (request) => trigger("select", request),
  });
  register("watch", (parts) => player.visit(parts));
  if (props.traces.length && !player.wanted && !player.run) player.open(props.traces[0]);
  // Charts come after the first tree: their program is large.
  setTimeout(() => loadPlotly(base + props.plotly).then(() => player.redraw()), 0);
  watch("value", () => player.receive(props.value));
  window.addEventListener("propd-asked", () => player.asked());
  window.addEventListener("propd-ended", () => player.ended());
  window.addEventListener("propd-leaving", () => player.leave());
  window.propdPlayer = player; // for the browser tests
  return player;
}
