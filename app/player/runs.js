// The runs one can watch: recorded ones, fetched when asked for, and those of this visit.
import { keep } from "./store.js";
import { say } from "./words.js";

const KEPT = 6; // runs of this visit; each may hold a megabyte of events

export class Runs {
  constructor(traces, base, words) {
    Object.assign(this, { traces, base, words, live: [], pending: null, queued: null, ignored: new Set(), count: 0 });
  }

  /** A recorded run, read once. */
  async recorded(trace) {
    if (!trace.run) {
      const answer = await fetch(this.base + trace.url);
      trace.run = { ...(await answer.json()), url: trace.url, name: trace.name };
    }
    return trace.run;
  }

  /** The newest run of this visit that has something to show. */
  get newest() {
    return this.live[this.live.length - 1] || null;
  }

  /** The run that was asked for last, even before it has an event. */
  get latest() {
    return this.pending || this.newest;
  }

  running() {
    return Boolean(this.newest) && this.newest.state === "running";
  }

  busy() {
    return Boolean(this.queued || this.pending) || this.running();
  }

  /** A run was asked for: say so before the server has answered. label: what its chip will say. */
  asked(label = "") {
    this.queued = { label, since: performance.now() };
  }

  /**
   * A message of app/runs.py. Returns the run if this message made it the newest one.
   * A message may be skipped; its events come again in the next ones, so only what follows is taken.
   */
  receive(message) {
    if (!message || !message.run || this.ignored.has(message.run)) return null;
    const run = this.runOf(message);
    this.queued = null;
    Object.assign(run, { state: message.phase, stage: message.stage || "", header: message.header });
    const news = Object.values(message.events || {}).sort((a, b) => a.index - b.index);
    for (const event of news) if (event.index === run.events.length) run.events.push(event);
    if (message.phase === "failed") this.pending = null;
    if (run.events.length) {
      run.label ||= say(this.words.your_run, { count: ++this.count }); // a refused request is no run
      keep(run);
    }
    if (run !== this.pending && this.live.includes(run)) return null;
    if (!run.events.length) return null;
    this.live = [...this.live.slice(1 - KEPT), run];
    this.pending = null;
    return run;
  }

  runOf(message) {
    const known = [...this.live, this.pending].find((run) => run && run.id === message.run);
    if (known) return known;
    const label = (this.queued && this.queued.label) || "";
    this.pending = { id: message.run, key: `visit-${message.run.slice(0, 8)}`, origin: "visit", header: message.header, events: [], live: true, label };
    return this.pending;
  }

  /** Stop was pressed, or the server ended the run: keep what came, and take no more of it. */
  ended() {
    this.queued = null;
    for (const run of [this.pending, this.newest]) {
      if (!run || !["loading", "running"].includes(run.state)) continue;
      this.ignored.add(run.id);
      run.state = "stopped";
      if (run.events.length) keep(run);
    }
    this.pending = null;
  }
}
