// The whole step, phase by phase, and where its time goes.
import { drawTimes, make } from "../../dom.js";
import { PHASES, phaseLine } from "../../phases.js";
import { pieces, say, stepMilliseconds, visible } from "../../words.js";
import { sourceOf, tail, TreePicture } from "../parts.js";
import { stepOfPhases } from "../pick.js";

/** What one can choose from when asked where the time goes. */
const ASKED = ["draft", "early", "prune", "late"];

function prepare({ runs }, words) {
  const found = stepOfPhases(runs);
  if (!found) return null;
  const { milliseconds, nodes, bonus } = found.event, total = stepMilliseconds(found.event);
  const spent = ASKED.map((name) => milliseconds[name] || 0);
  const right = spent.indexOf(Math.max(...spent));
  const facts = {
    root: visible(nodes.text[0]), bonus: visible(bonus.text[0]), total: total.toFixed(0), most: words.phases[ASKED[right]], share: `${Math.round((100 * spent[right]) / total)}%`,
    text: visible(found.event.text), tokens: found.event.token_ids.length, layer: found.event.prune_layer,
  };
  return { found, facts, choices: ASKED.map((name) => words.phases[name]), right };
}

class StepPicture {
  constructor(lesson, words) {
    const { event, run } = lesson.found;
    Object.assign(this, { lesson, words, event, before: run.events.filter(({ index }) => index < event.index).map(({ text }) => text).join("") });
    this.tree = new TreePicture(words, { fates: "raxpb" });
    this.line = make("p", { class: "propd-told strong", "aria-live": "polite" });
    this.times = make("div", { class: "propd-times" });
    this.text = make("p", { class: "propd-context" });
    this.element = make("div", { class: "propd-lesson" }, this.text, this.line, this.tree.element, this.times, sourceOf(lesson.found, words));
  }

  /** The text before the step, and in the end what the step adds to it. */
  drawText(done) {
    const added = pieces(this.event).map(({ text, kind }) => make("span", { class: `propd-piece ${kind}` }, text));
    this.text.replaceChildren(make("span", {}, tail(this.before, 160)), ...(done ? added : [make("span", { class: "propd-caret" }, this.words.caret)]));
  }

  show(name, answered) {
    const { event, words, lesson } = this, asks = name === "ask", phase = asks ? "commit" : name;
    this.drawText(phase === "commit");
    this.line.textContent = asks ? say(words.took, lesson.facts) : phaseLine(event, phase, words);
    // Without anybody pointing, the card tells of the token that the phase is about.
    const about = { grow: 1, prune: event.nodes.fate.indexOf("p"), verify: event.accepted[0], accept: event.accepted.at(-1), commit: event.nodes.fate.length };
    this.tree.draw(event, { phase, chosen: about[phase] ?? 0 });
    this.times.hidden = !(asks && answered);
    if (!this.times.hidden) drawTimes(this.times, event, words);
  }
}

export const step = { id: "step", steps: [...PHASES, "ask"], prepare, picture: (lesson, words) => new StepPicture(lesson, words) };
