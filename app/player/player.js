// The player: which run, which step, which phase. Everything it shows comes from step events.
import { Charts, loadPlotly } from "./charts.js";
import { appendText, build, drawCard, drawMetrics, drawTable, drawTimes, icon, make, markText } from "./dom.js";
import { eventAt, PHASES } from "./figures.js";
import { linkTo, register, whenShown } from "./places.js";
import { caption, guesses, hasSource, openingStep, runStats, say, statusLine, stepMilliseconds } from "./words.js";

const STEP_MS = 1500; // at speed 1: time to read the caption and follow the three phases
const SHORTEST_PHASED_MS = 700; // a faster step shows its end only

const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Player {
  constructor(host, { words, traces, base }) {
    Object.assign(this, { words, traces, base });
    Object.assign(this, { run: null, live: null, step: 0, phase: "judged", speed: "1" });
    Object.assign(this, { playing: false, follow: false, pinned: null, pointed: null, told: 0, ignored: new Set() });
    this.parts = build(words, this.listeners());
    host.replaceChildren(this.parts.root);
    this.charts = new Charts(this.parts, words, {
      point: (i) => this.point(i), leave: () => this.point(null), focus: (i) => this.point(i),
      pick: (i) => { this.pinned = this.pinned === i ? null : i; this.render(); },
    });
    this.chips();
    whenShown(this.parts.treeBox, () => { this.fresh = true; this.render(); });
    new MutationObserver(() => this.render()).observe(document.body, { attributeFilter: ["class"] });
    this.drawCard();
  }

  listeners() {
    return {
      play: () => (this.playing || this.follow ? this.pause() : this.play()),
      previous: () => this.go(this.step - 1), next: () => this.go(this.step + 1),
      first: () => this.go(0), last: () => this.go(Infinity), live: () => this.toLive(),
      scrub: (e) => this.go(Number(e.target.value)),
      speed: (e) => { this.speed = e.target.value; if (this.playing) this.play(); },
      word: (e) => { const s = e.target.closest(".propd-step"); if (s) this.go(Number(s.dataset.step)); },
      phase: (name) => this.go(this.step, name), table: () => this.render(), key: (e) => this.key(e),
    };
  }

  // --- runs ---

  chips() {
    const chip = (label, pressed, onclick, title) =>
      make("button", { type: "button", class: "propd-chip", "aria-pressed": String(pressed), onclick, title: title || null }, label);
    const chips = this.traces.map((trace) =>
      chip(trace.label, this.run && this.run.url === trace.url, () => this.open(trace), trace.title));
    if (this.live && this.live.events.length) {
      chips.unshift(chip(this.words.your_run, this.run === this.live, () => this.show(this.live, 0)));
    }
    this.parts.runs.replaceChildren(...chips);
  }

  /** What an address names: a recorded run, a step of it, a phase of that. */
  visit([name, step, phase]) {
    const trace = this.traces.find((one) => one.name === name);
    if (trace) this.open(trace, Number(step), PHASES.includes(phase) ? phase : "judged");
  }

  /** Fetch a recorded run from this server and show it, at a step of it if one is given. */
  async open(trace, step = NaN, phase = "judged") {
    this.wanted = trace.url;
    try {
      if (!trace.run) {
        const answer = await fetch(this.base + trace.url);
        trace.run = { ...(await answer.json()), url: trace.url, name: trace.name };
      }
    } catch {
      this.parts.status.textContent = this.words.trace_failed;
      return;
    }
    if (this.wanted !== trace.url) return;
    const last = trace.run.events.length - 1;
    const there = Number.isInteger(step) && step >= 0;
    this.show(trace.run, there ? Math.min(step, last) : openingStep(trace.run.events), phase);
  }

  show(run, step, phase = "judged") {
    this.pause();
    this.wanted = null;
    Object.assign(this, { run, step, phase, pinned: null, pointed: null, told: 0, fresh: true });
    this.parts.text.replaceChildren();
    this.chips();
    this.render();
  }

  // --- live: messages of app/runs.py ---

  receive(message) {
    if (!message || !message.run || this.ignored.has(message.run)) return;
    if (!this.live || this.live.id !== message.run) {
      this.pending = { id: message.run, header: message.header, events: [], live: true };
    }
    const run = this.pending && this.pending.id === message.run ? this.pending : this.live;
    this.queued = false;
    Object.assign(run, { state: message.phase, stage: message.stage || "" });
    const news = Object.values(message.events || {}).sort((a, b) => a.index - b.index);
    // A message may be skipped; its events come again in the next ones, so only take what follows.
    for (const event of news) if (event.index === run.events.length) run.events.push(event);
    if (run === this.pending && run.events.length) {
      [this.live, this.pending] = [run, null];
      this.show(run, 0);
      this.follow = true;
    }
    if (this.follow && this.run === this.live) this.jump();
    if (message.phase === "failed") this.pending = null;
    this.render();
  }

  /** Generate was pressed: say so before the server has answered. */
  asked() {
    this.queued = true;
    this.render();
  }

  /** Stop was pressed, or the server ended the run: keep what came, and take no more of it. */
  ended() {
    this.queued = false;
    for (const run of [this.pending, this.live]) {
      if (!run || !["loading", "running"].includes(run.state)) continue;
      this.ignored.add(run.id);
      run.state = "stopped";
    }
    this.pending = null;
    this.follow = false;
    this.render();
  }

  running() {
    return Boolean(this.live) && this.live.state === "running";
  }

  jump() {
    this.step = this.run.events.length - 1;
    this.phase = "judged";
    this.pinned = this.pointed = null;
    if (!this.running()) this.follow = false; // and so the last step is drawn completely
  }

  toLive() {
    if (this.run !== this.live) this.show(this.live, 0);
    this.pause();
    this.follow = true;
    this.jump();
    this.render();
  }

  // --- playback ---

  go(step, phase = "judged") {
    if (!this.run) return;
    this.pause();
    this.place(step, phase);
  }

  place(step, phase) {
    const before = this.step;
    this.step = Math.max(0, Math.min(step, this.run.events.length - 1));
    this.phase = phase;
    if (this.step !== before) Object.assign(this, { pinned: null, pointed: null, fresh: true });
    this.render();
  }

  /** One phase on or back, over the border of a step too. */
  goPhase(by) {
    const at = PHASES.indexOf(this.phase) + by;
    if (at >= PHASES.length) this.go(this.step + 1, PHASES[0]);
    else if (at < 0) this.go(this.step - 1);
    else this.go(this.step, PHASES[at]);
  }

  play() {
    if (!this.run) return;
    this.pause();
    if (this.step >= this.run.events.length - 1 && !(this.running() && this.run === this.live)) this.place(0, "judged");
    this.playing = true;
    this.timer = setTimeout(() => this.tick(), Math.min(300, this.stepTime()));
    this.render();
  }

  pause() {
    clearTimeout(this.timer);
    this.playing = this.follow = false;
    this.render();
  }

  stepTime() {
    if (this.speed === "real") return Math.max(16, stepMilliseconds(this.run.events[this.step]));
    return STEP_MS / Number(this.speed);
  }

  tick() {
    const last = this.run.events.length - 1;
    if (this.phase === "judged" && this.step >= last) {
      if (this.run === this.live && this.running()) this.toLive();
      else this.pause();
      return;
    }
    const whole = this.stepTime();
    const phased = whole >= SHORTEST_PHASED_MS && !calm();
    const at = PHASES.indexOf(this.phase);
    if (this.phase !== "judged") this.place(this.step, PHASES[at + 1]);
    else this.place(this.step + 1, phased ? PHASES[0] : "judged");
    const share = !phased ? 1 : this.phase === "judged" ? 0.5 : 0.25;
    this.timer = setTimeout(() => this.tick(), whole * share);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const tag = event.target.tagName;
    const typed = tag === "INPUT" || tag === "SELECT" || tag === "TEXTAREA";
    if (typed || (event.key === " " && (tag === "BUTTON" || tag === "SUMMARY"))) return;
    const on = this.listeners();
    const actions = {
      " ": on.play, k: on.play, Home: on.first, End: on.last,
      ArrowLeft: event.shiftKey ? () => this.goPhase(-1) : on.previous,
      ArrowRight: event.shiftKey ? () => this.goPhase(1) : on.next,
      ArrowUp: () => this.charts.walk(-1), ArrowDown: () => this.charts.walk(1), Escape: () => { this.pinned = null; this.render(); },
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

  /** The card of the node pointed at, else pinned, else the last token that the step won. */
  drawCard() {
    const whole = this.run && this.run.events[this.step];
    if (!whole) return drawCard(this.parts.card, null, null, this.words);
    const event = eventAt(whole, this.phase);
    const won = event.accepted.length ? event.accepted[event.accepted.length - 1] : event.bonus ? event.nodes.fate.length : 0;
    const shown = this.pointed ?? this.pinned ?? won;
    const there = shown < event.nodes.fate.length || event.bonus;
    drawCard(this.parts.card, event, there ? shown : 0, this.words);
  }

  render() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  draw() {
    const { parts, words, run } = this;
    parts.status.textContent = statusLine({ run, newest: this.pending || this.live, queued: this.queued }, words);
    parts.live.hidden = !this.running() || this.follow;
    const going = this.playing || this.follow;
    parts.play.replaceChildren(icon(going ? "pause" : "play"));
    parts.play.setAttribute("aria-label", going ? words.pause : words.play);
    const event = run && run.events[this.step];
    if (!event) return;
    if (run.name) linkTo("watch", run.name, this.step, this.phase); // a live run has no address
    this.drawText(run);
    this.drawStep(event);
  }

  drawText(run) {
    const { parts } = this;
    parts.prompt.textContent = run.header.prompt;
    appendText(parts.text, run.events, this.told);
    this.told = run.events.length;
    markText(parts.text, this.step);
    const place = { step: this.step, steps: run.events.length - 1 };
    parts.scrub.max = place.steps;
    parts.scrub.value = place.step;
    parts.place.textContent = this.step === 0 ? this.words.prefill : say(this.words.step_of, place);
    parts.scrub.setAttribute("aria-valuetext", parts.place.textContent);
    drawMetrics(parts.metrics, runStats(run.events, this.step), this.words);
  }

  drawStep(event) {
    const { parts, words } = this;
    const said = caption(event, words);
    // A screen reader is told the steps one looks at, not ten a second.
    parts.caption.setAttribute("aria-live", this.playing || this.follow ? "off" : "polite");
    if (parts.caption.textContent !== said) parts.caption.textContent = said;
    for (const item of parts.phases.children) item.setAttribute("aria-pressed", String(item.dataset.phase === this.phase));
    const by = this.drawSources(event);
    parts.treeBox.setAttribute("aria-label", say(words.tree_help, { caption: `${said} ${by}`.trim() }));
    this.charts.draw(event, this.phase, this.pinned, this.fresh);
    this.fresh = false;
    // Following a live run, the page must not take the processor from the model on the same machine.
    const now = performance.now();
    if (!this.follow || now - (this.sized || 0) > 400) {
      this.sized = now;
      this.charts.drawSize(event);
    }
    drawTimes(parts.times, event, words);
    this.drawCard();
    if (parts.table.open) drawTable(parts.table.lastElementChild, event, words);
  }

  /** Who guessed: told in runs in which the text did too, in all their steps, so that nothing jumps. */
  drawSources(event) {
    const { guesses: line, sources } = this.parts;
    for (const item of sources) item.hidden = !this.run.events.some((one) => hasSource(one, item.dataset.source));
    line.hidden = sources.every((item) => item.hidden);
    line.textContent = line.hidden ? "" : guesses(event, this.words);
    return line.textContent;
  }
}

/** Called by the page: `props` and `watch` are Gradio's (js_on_load of gr.HTML). */
export function mount(element, props, watch, base) {
  const player = new Player(element.querySelector(".propd-host"), { words: props.words, traces: props.traces, base });
  loadPlotly(base + props.plotly).then(() => { player.fresh = true; player.render(); });
  register("watch", (parts) => player.visit(parts));
  if (props.traces.length && !player.wanted) player.open(props.traces[0]);
  watch("value", () => player.receive(props.value));
  window.addEventListener("propd-asked", () => player.asked());
  window.addEventListener("propd-ended", () => player.ended());
  window.propdPlayer = player; // for the browser tests
  return player;
}
