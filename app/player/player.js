// The player: which run, which step, which phase. Everything it shows comes from step events.
import { loadPlotly } from "./charts.js";
import { build, drawCard, drawMetrics, drawTable, drawTimes, icon, make } from "./dom.js";
import { eventAt, phaseLine, PHASES, phasesOf } from "./phases.js";
import { linkTo, register, whenShown } from "./places.js";
import { Playback } from "./playback.js";
import { Runs } from "./runs.js";
import { ShareBar } from "./share.js";
import { SizeView } from "./size_view.js";
import { find } from "./store.js";
import { TextView } from "./text_view.js";
import { Timeline } from "./timeline.js";
import { TreeView } from "./tree_view.js";
import { offer, request } from "./what_if.js";
import { hasSource, nodeAt, openingStep, runStats, say, statusLine, summary, visible } from "./words.js";

const BACKGROUND_MS = 400; // between two drawings of what may lag behind a live run
const UNTYPED = ["INPUT", "SELECT", "TEXTAREA"];

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
    const { parts } = this;
    this.text = new TextView(parts.text);
    this.tree = new TreeView(parts.treeBox, words, { point: (i) => this.point(i), pick: (i) => this.pick(i) });
    this.size = new SizeView(parts.size, parts.sizeText, words);
    this.timeline = new Timeline(parts, words, (step) => this.go(step));
    this.share = new ShareBar(this, studio);
    this.chips();
    whenShown(parts.treeBox, () => this.redraw());
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
      table: () => this.render(), key: (e) => this.key(e),
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
    Object.assign(this, { run, step, phase, pinned: null, pointed: null, fresh: true });
    this.text.clear(run.header.continuing_text);
    this.parts.given.hidden = !run.header.continuing_text;
    this.chips();
    this.render();
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
    if (this.step !== before) Object.assign(this, { pinned: null, pointed: null, fresh: true });
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

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.parts.help.open) return;
    const { tagName } = event.target;
    const pressed = [" ", "Enter"].includes(event.key) && ["BUTTON", "SUMMARY"].includes(tagName);
    if (UNTYPED.includes(tagName) || pressed) return;
    const on = this.listeners();
    const actions = {
      " ": () => this.tree.pickFocused() || on.play(), k: on.play, Enter: () => this.tree.pickFocused(), Home: on.first, End: on.last,
      ArrowLeft: event.shiftKey ? () => this.goPhase(-1) : on.previous,
      ArrowRight: event.shiftKey ? () => this.goPhase(1) : on.next,
      ArrowUp: () => this.tree.walk(-1), ArrowDown: () => this.tree.walk(1), Escape: () => this.pick(null), "?": on.help,
    };
    const action = actions[event.key];
    if (action && action() !== false) event.preventDefault();
  }

  // --- drawing ---

  point(i) {
    if (this.pointed === i) return;
    this.pointed = i;
    this.drawCard();
  }

  pick(i) {
    this.pinned = this.pinned === i ? null : i;
    // On a phone the card is below the tree, out of sight of who taps a node.
    if (this.pinned !== null && this.tree.vertical) this.parts.card.scrollIntoView({ block: "nearest" });
    this.render();
  }

  /** The card of the node pointed at, else pinned, else the last token that the step won. */
  drawCard() {
    const whole = this.run && this.run.events[this.step];
    if (!whole) return drawCard(this.parts.card, null, null, this.words);
    const event = eventAt(whole, this.phase);
    const won = event.accepted.length ? event.accepted[event.accepted.length - 1] : event.bonus ? event.nodes.fate.length : 0;
    const shown = this.pointed ?? this.pinned ?? won;
    const there = shown < event.nodes.fate.length || event.bonus ? shown : 0;
    // Drawn only when it changes: a button that is replaced while it is pressed is never clicked.
    const card = [whole, this.phase, there, this.pinned, this.runs.busy()];
    if (this.card && card.every((part, i) => part === this.card[i])) return;
    this.card = card;
    drawCard(this.parts.card, event, there, this.words, offer(this, there, this.words));
  }

  /** Draw all of it anew: another size, other colours. */
  redraw() {
    this.fresh = this.again = true;
    this.render();
  }

  render() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  draw() {
    const { parts, words, run, runs } = this;
    const told = statusLine({ run, newest: runs.latest, queued: runs.queued, now: performance.now() }, words);
    parts.status.textContent = this.strange ? words.unknown_run : told;
    this.share.draw();
    if (runs.queued) this.clock ||= setTimeout(() => { this.clock = null; this.render(); }, 1000); // it counts seconds
    parts.live.hidden = !runs.running() || this.follow;
    const going = this.playback.playing || this.follow;
    if (going !== this.going) {
      this.going = going;
      parts.play.replaceChildren(icon(going ? "pause" : "play"));
      parts.play.setAttribute("aria-label", going ? words.pause : words.play);
    }
    const event = run && run.events[this.step];
    if (!event) return this.drawCard();
    if (run.name) linkTo("watch", run.name, this.step, this.phase);
    else linkTo("watch"); // a run of this visit has no address
    this.drawRun(run);
    this.drawStep(event);
    this.again = false;
  }

  drawRun(run) {
    const { parts, words } = this;
    parts.prompt.textContent = run.header.prompt;
    this.text.append(run.events);
    const over = this.phase === "commit" ? this.step : this.step - 1; // the last step whose text is written
    this.text.mark(this.step, over + 1);
    const place = { step: this.step, steps: run.events.length - 1 };
    parts.scrub.max = place.steps;
    parts.scrub.value = place.step;
    parts.place.textContent = this.step === 0 ? words.prefill : say(words.step_of, place);
    parts.scrub.setAttribute("aria-valuetext", parts.place.textContent);
    drawMetrics(parts.metrics, runStats(run.events, over), words);
    this.timeline.draw(run.events, this.step, this.again);
  }

  drawStep(event) {
    const { parts, words } = this;
    parts.caption.textContent = phaseLine(event, this.phase, words);
    const present = phasesOf(event);
    for (const item of parts.phases.children) {
      item.setAttribute("aria-pressed", String(item.dataset.phase === this.phase));
      item.disabled = !present.includes(item.dataset.phase);
    }
    for (const item of parts.sources) item.hidden = !this.run.events.some((one) => hasSource(one, item.dataset.source));
    this.tree.fit(this.run.events);
    this.tree.draw(event, { phase: this.phase, selected: this.pinned, fresh: this.fresh });
    this.fresh = false;
    this.drawCard();
    this.drawAround(event);
  }

  /** What may lag: following a live run, the page must not take the processor from the model. */
  drawAround(event) {
    const { parts, words } = this;
    const now = performance.now();
    if (this.follow && now - (this.lagged || 0) < BACKGROUND_MS) return;
    this.lagged = now;
    const told = summary(event, this.run.events.length - 1, words);
    parts.treeBox.setAttribute("aria-label", say(words.tree_help, { summary: told }));
    // A screen reader is told the steps one looks at, not ten a second.
    if (!this.playback.playing && !this.follow) parts.summary.textContent = told;
    this.size.draw(event, this.again);
    drawTimes(parts.times, event, words);
    if (parts.table.open) drawTable(parts.table.lastElementChild, event, words);
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
  window.propdPlayer = player; // for the browser tests
  return player;
}
