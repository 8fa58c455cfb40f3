// One run, told whole: what was asked, what came of it, how it was made, and ways to save it.
import { make } from "./dom.js";
import { copyButton, fileName, hand } from "./files.js";
import { whenShown } from "./places.js";
import { TextView } from "./text_view.js";
import { TreeView } from "./tree_view.js";
import { caption, openingStep, runStats, say, summary } from "./words.js";

const TYPES = {
  json: ["json", "application/json"], csv: ["csv", "text/csv"], nodes: ["nodes.csv", "text/csv"],
  graphml: ["graphml", "application/xml"], html: ["html", "text/html"],
};

/** Sums over a run that its list and its page tell. */
export function sums(events) {
  const stats = { ...runStats(events, events.length - 1), drafted: 0, pruned: 0, kept: 0 };
  for (const { nodes, accepted, kind } of events) {
    if (kind !== "decode") continue;
    stats.drafted += nodes.fate.length - 1;
    stats.pruned += nodes.fate.split("p").length - 1;
    stats.kept += accepted.length;
  }
  stats.verified = stats.drafted - stats.pruned;
  return stats;
}

/** A header's entry as a line; "" when it says nothing. */
function headerLine(value) {
  if (value === null || value === undefined || value === "" || value === 0) return "";
  if (typeof value !== "object") return String(value);
  return Object.entries(value).map(([name, one]) => `${name} ${typeof one === "object" ? JSON.stringify(one) : one}`).join(", ");
}

/** [[label, value], ...] of what a header says. */
export function headerRows(header, methods, words) {
  const told = { ...header, method: methods[header.method] || header.method };
  return Object.entries(words.made_rows).map(([name, label]) => [label, headerLine(told[name])]).filter(([, value]) => value);
}

function pairs(rows) {
  return make("dl", { class: "propd-pairs" }, ...rows.map(([label, value]) => make("div", {}, make("dt", {}, label), make("dd", {}, value))));
}

function metrics(stats, words) {
  const entry = (value, name) => make("div", {}, make("dd", {}, value), make("dt", {}, name));
  return make("dl", { class: "propd-metrics" }, entry(stats.tokensPerSecond.toFixed(1), words.tokens_per_second),
    entry(stats.tokensPerPass.toFixed(2), words.tokens_per_pass), entry(String(stats.tokens), words.tokens));
}

export class RunView {
  /** place: {words, props, server, tell(sentence, bad), watch(key, step), link(run)} of the place Runs. */
  constructor(box, place) {
    Object.assign(this, { box, place });
  }

  /** run: {key, origin, label, header, events}. */
  show(run) {
    const { words, props, watch, link } = this.place;
    const stats = sums(run.events);
    const share = run.origin === "recorded" ? copyButton(words.copy_link, () => link(run), words)
      : make("span", { class: "propd-hint" }, words.no_link);
    this.box.replaceChildren(
      make("div", { class: "propd-run-head" }, make("h3", {}, run.label), metrics(stats, words)),
      make("p", { class: "propd-prompt" }, run.header.prompt), this.text(run),
      make("div", { class: "propd-run-actions" },
        make("button", { type: "button", class: "propd-chip strong", title: words.watch_title, onclick: () => watch(run.key, openingStep(run.events)) }, words.watch),
        share, make("span", { class: "propd-hint" }, words.text_hint)),
      make("p", { class: "propd-counts" }, say(words.counts, stats)), this.preview(run), this.saving(run),
      make("details", { class: "propd-made", open: true }, make("summary", {}, words.made), pairs(headerRows(run.header, props.methods, words))));
  }

  text(run) {
    const { words, watch } = this.place;
    const box = make("div", { class: "propd-text", role: "region", "aria-label": words.text, tabindex: 0 });
    const view = new TextView(box);
    view.clear(run.header.continuing_text);
    view.append(run.events);
    view.mark(-1, run.events.length); // all of it is written
    box.addEventListener("click", (e) => { const step = e.target.closest(".propd-step"); if (step) watch(run.key, Number(step.dataset.step)); });
    return box;
  }

  /** The tree of the step that the run opens at; a click on it watches that step. */
  preview(run) {
    const { words, watch } = this.place;
    const step = openingStep(run.events), event = run.events[step];
    const open = () => watch(run.key, step);
    const label = say(words.tree_help_short, { summary: summary(event, run.events.length - 1, words) });
    const box = make("div", { class: "propd-tree-box propd-preview", role: "group", "aria-label": label }, make("div", { class: "propd-tree" }));
    const view = new TreeView(box, words, { point: () => {}, pick: open });
    box.addEventListener("keydown", (e) => {
      const act = { ArrowUp: () => view.walk(-1), ArrowDown: () => view.walk(1), Enter: () => view.pickFocused(), " ": () => view.pickFocused() }[e.key];
      if (act && act() !== false) e.preventDefault();
    });
    whenShown(box, () => view.draw(event, { fresh: true }));
    return make("section", { class: "propd-preview-box" }, make("h4", {}, `${say(words.step_of, { step, steps: run.events.length - 1 })}: ${caption(event, words)}`), box);
  }

  /** The forms that a run can be saved in: made by the server, or lying ready on a page without one. */
  saving(run) {
    const { words, props } = this.place;
    const ready = props.files ? props.files[run.key] || {} : null;
    const step = make("input", { type: "number", min: 0, max: run.events.length - 1, placeholder: words.save_step_all });
    const plotly = make("input", { type: "checkbox" });
    const choice = (form) => {
      const [name, about] = words.forms[form];
      const button = ready ? make("a", { class: "propd-chip", href: ready[form], download: true }, name)
        : make("button", { type: "button", class: "propd-chip", onclick: () => this.save(run, form, step, plotly) }, name);
      return make("li", {}, button, make("span", {}, about));
    };
    const forms = Object.keys(words.forms).filter((form) => !ready || ready[form]);
    const more = ready ? [] : [
      make("label", {}, words.save_step, " ", step), make("label", {}, plotly, " ", words.save_plotly)];
    return make("section", { class: "propd-saving", "aria-label": words.save }, make("h4", {}, words.save),
      make("ul", {}, ...forms.map(choice)), make("div", { class: "propd-save-more" }, ...more));
  }

  async save(run, form, step, plotly) {
    const { words, props, server, tell } = this.place;
    const one = form === "graphml" && step.value !== "" ? Number(step.value) : null;
    const body = JSON.stringify({ schema: props.schema, header: run.header, events: run.events });
    tell(words.saving);
    let answer;
    try {
      answer = await server.saved({ trace: body, form, step: one, plotly: plotly.checked });
    } catch { // a Space may sleep; the run must not be lost with it
      if (form !== "json") return tell(words.no_server, true);
      return this.hand(run, form, one, body, words.no_server_json);
    }
    if (answer.error) return tell(answer.error, true);
    this.hand(run, form, one, answer.text, words.saved);
  }

  hand(run, form, step, text, sentence) {
    const [ending, type] = TYPES[form];
    const name = `${fileName("propd", run.key, ...(step === null ? [] : ["step", step]))}.${ending}`;
    hand(name, text, type);
    this.place.tell(say(sentence, { name, size: Math.round(new Blob([text]).size / 1000) }));
  }
}
