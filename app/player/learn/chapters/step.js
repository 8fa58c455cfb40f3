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

function picture(lesson, words) {
  const { event, run } = lesson.found;
  const tree = new TreePicture(words, { fates: "raxpb" });
  const line = make("p", { class: "propd-told strong", "aria-live": "polite" });
  const times = make("div", { class: "propd-times" });
  const text = make("p", { class: "propd-context" });
  const before = run.events.filter(({ index }) => index < event.index).map(({ text: said }) => said).join("");
  const element = make("div", { class: "propd-lesson" }, text, line, tree.element, times, sourceOf(lesson.found, words));

  /** The text before the step, and from "commit" on what the step adds to it. */
  function drawText(done) {
    const added = pieces(event).map(({ text: piece, kind }) => make("span", { class: `propd-piece ${kind}` }, piece));
    text.replaceChildren(make("span", {}, tail(before, 160)), ...(done ? added : [make("span", { class: "propd-caret" }, words.caret)]));
  }

  return {
    element,
    show(name, answered) {
      const asks = name === "ask", phase = asks ? "commit" : name;
      drawText(phase === "commit");
      line.textContent = asks ? say(words.took, lesson.facts) : phaseLine(event, phase, words);
      // Without anybody pointing, the card tells of the token that the phase is about.
      const told = { grow: 1, prune: event.nodes.fate.indexOf("p"), verify: event.accepted[0], accept: event.accepted.at(-1), commit: event.nodes.fate.length }[phase];
      tree.draw(event, { phase, chosen: told ?? 0 });
      times.hidden = !(asks && answered);
      if (!times.hidden) drawTimes(times, event, words);
    },
  };
}

export const step = { id: "step", steps: [...PHASES, "ask"], prepare, picture };
