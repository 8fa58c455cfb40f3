// Runs: what is recorded, what this visit made and what it opened; the place to save and to share.
import { BenchView } from "./bench.js";
import { make } from "./dom.js";
import { dropZone, readText } from "./opening.js";
import { addressOf, linkTo, register } from "./places.js";
import { RunView, sums } from "./run_view.js";
import { find, forget, keep, kept, onRuns } from "./store.js";
import { openingStep, say } from "./words.js";

const VIEWS = ["runs", "bench"];

export class RunsPlace {
  constructor(host, { props, base, tools }) {
    const words = props.words;
    Object.assign(this, { words, props, base, server: (tools && tools.server) || {}, view: "runs", chosen: null });
    this.recorded = props.traces.map((trace) => ({ ...trace, key: trace.name, origin: "recorded" }));
    this.build(host);
    this.details = new RunView(this.parts.details, {
      words, props, server: this.server, tell: (...told) => this.tell(...told),
      watch: (key, step) => { location.hash = `#watch/${encodeURIComponent(key)}/${step}`; },
      link: (run) => addressOf("watch", run.key, openingStep(run.events)),
    });
    this.bench = new BenchView(this.parts.bench, { words, props, base, server: this.server, visited: () => this.link() });
    onRuns(() => this.changed());
    this.open("runs");
  }

  build(host) {
    const { words, props } = this;
    const tab = (view) => make("button", { type: "button", role: "tab", "data-view": view, id: `propd-view-${view}`, onclick: () => this.open(view) }, words["view_" + view]);
    const pane = (view, ...children) => make("div", { class: "propd-pane " + view, role: "tabpanel", "aria-labelledby": `propd-view-${view}` }, ...children);
    const limit = say(words.drop_hint, { limit: Math.floor(props.limit / 1e6) });
    const p = this.parts = {
      views: make("div", { class: "propd-views", role: "tablist", "aria-label": words.views, onkeydown: (e) => this.walk(e) }, ...VIEWS.map(tab)),
      told: make("span", { role: "status" }),
      close: make("button", { type: "button", class: "propd-chip", "aria-label": words.close, onclick: () => this.tell("") }, "×"),
      list: make("nav", { class: "propd-run-list", "aria-label": words.runs }),
      details: make("article", { class: "propd-details" }),
      bench: make("div", { class: "propd-bench" }),
    };
    p.message = make("p", { class: "propd-message", hidden: true }, p.told, p.close);
    p.drop = props.opens ? dropZone({ ...words, drop_hint: limit }, ".json,application/json", (file) => this.take(file)) : "";
    p.panes = [pane("runs", p.list, p.details), pane("bench", p.bench)];
    host.replaceChildren(make("div", { class: "propd-player propd-runs-place" }, make("div", { class: "propd-runs-head" }, p.views, p.drop), p.message, ...p.panes));
  }

  /** A sentence for the visitor; bad ones stay until they are closed. */
  tell(sentence, bad = false) {
    const { message, told } = this.parts;
    told.textContent = sentence;
    message.hidden = !sentence;
    message.classList.toggle("bad", bad);
    told.setAttribute("role", bad ? "alert" : "status");
  }

  // --- what is looked at ---

  open(view) {
    this.view = view;
    this.parts.panes.forEach((pane, i) => { pane.hidden = VIEWS[i] !== view; });
    for (const tab of this.parts.views.children) {
      const here = tab.dataset.view === view;
      tab.setAttribute("aria-selected", String(here));
      tab.tabIndex = here ? 0 : -1;
    }
    if (view === "bench") this.bench.open();
    else if (!this.chosen && this.all().length) this.choose(this.all()[0].key);
    this.list();
    this.link();
  }

  walk(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = VIEWS[(VIEWS.indexOf(this.view) + by + VIEWS.length) % VIEWS.length];
    this.open(next);
    this.parts.views.querySelector(`[data-view="${next}"]`).focus();
  }

  link() {
    if (this.view === "bench") linkTo("runs", "bench", this.bench.name);
    else linkTo("runs", this.chosen);
  }

  /** What an address names: a run, or the benchmark. */
  visit([first, second]) {
    if (first === "bench") {
      this.open("bench");
      if (second) this.bench.choose(second);
      return;
    }
    if (this.view !== "runs") this.open("runs");
    if (this.all().some((run) => run.key === first)) this.choose(first);
    else this.tell(this.words.unknown_run, true);
  }

  all() {
    return [...kept(), ...this.recorded];
  }

  changed() {
    if (this.chosen && !this.all().some((run) => run.key === this.chosen)) this.choose(this.all()[0]?.key ?? null);
    clearTimeout(this.later);
    this.later = setTimeout(() => { // a live run changes many times a second
      this.list();
      const run = find(this.chosen);
      if (run && run.events.length !== this.shown) this.show(run);
    }, 400);
  }

  // --- the list ---

  list() {
    const { words, parts } = this;
    const groups = Object.entries(words.groups).map(([origin, title]) => [origin, title, this.all().filter((run) => run.origin === origin)]);
    const seen = groups.filter(([origin, , runs]) => runs.length || (origin === "visit" && this.props.opens));
    parts.list.replaceChildren(...seen.map(([, title, runs]) => make("section", {}, make("h3", {}, title),
      runs.length ? make("ul", {}, ...runs.map((run) => this.row(run))) : make("p", { class: "propd-hint" }, words.none_yet))));
  }

  row(run) {
    const { words, props } = this;
    const stats = run.stats || (run.events.length ? sums(run.events) : null);
    const method = props.methods[run.header.method] || run.header.method;
    const line = run.state === "running" || !stats ? say(words.row_live, { method })
      : say(words.row, { method, tokens: stats.tokens, per_pass: stats.tokensPerPass.toFixed(2), speed: stats.tokensPerSecond.toFixed(1) });
    const choose = make("button", {
      type: "button", class: "propd-run-row", "aria-current": this.chosen === run.key ? "true" : null, onclick: () => this.picked(run.key),
    }, make("span", { class: "propd-row-prompt" }, run.header.prompt.slice(0, 200)), make("span", { class: "propd-row-line" }, line));
    const drop = run.origin === "recorded" ? "" : make("button", {
      type: "button", class: "propd-forget", "aria-label": words.forget, title: words.forget, onclick: () => forget(run.key) }, "×");
    return make("li", {}, choose, drop);
  }

  /** A click in the list: where the run is told below it, go there. */
  picked(key) {
    this.choose(key);
    const { list, details } = this.parts;
    if (details.offsetTop >= list.offsetTop + list.offsetHeight) details.scrollIntoView({ block: "start" });
  }

  async choose(key) {
    this.chosen = key;
    this.link();
    this.list();
    const run = this.all().find((one) => one.key === key);
    if (!run) return this.parts.details.replaceChildren();
    if (!run.events) {
      this.parts.details.replaceChildren(make("p", { class: "propd-hint" }, this.words.reading));
      try {
        const { header, events } = await (await fetch(this.base + run.url)).json();
        Object.assign(run, { header, events });
      } catch {
        return this.tell(this.words.trace_failed, true);
      }
    }
    if (this.chosen === key) this.show(run);
  }

  show(run) {
    this.shown = run.events.length;
    if (!run.events.length) return;
    this.details.show({ ...run, label: run.label || this.words.groups[run.origin] });
  }

  // --- files ---

  /** Open a file: the server checks it; whatever is wrong with it, the page stays as it is. */
  async take(file) {
    const { words, server } = this;
    let answer;
    try {
      const text = await readText(file, this.props.limit, words);
      this.tell(say(words.checking, { name: file.name }));
      answer = await server.opened(text).catch(() => { throw new Error(words.no_server); });
    } catch (error) {
      return this.tell(error.message, true);
    }
    if (answer.error) return this.tell(say(words.file_refused, { name: file.name, reason: answer.error }), true);
    this.tell(say(words.file_opened, { name: file.name }));
    if (answer.benchmark) return this.takeBench(file.name, answer.benchmark);
    const { header, events } = answer.trace;
    const key = `opened-${answer.fingerprint}`;
    keep({ key, origin: "opened", label: file.name, header, events });
    this.open("runs");
    this.choose(key);
  }

  takeBench(name, results) {
    this.bench.add({ name: `opened-${name}`, label: name, ...results });
    this.open("bench");
  }
}

/** Called by the page; see panel.py. */
export function mount(element, props, watch, base, tools) {
  const place = new RunsPlace(element.querySelector(".propd-host"), { props, base, tools });
  register("runs", (parts) => place.visit(parts));
  window.propdRuns = place; // for the browser tests
  return place;
}
