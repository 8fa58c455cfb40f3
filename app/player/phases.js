// The phases of a step in their order: what is known in each, and its line of real numbers.
import { caption, counts, guessed, nodesOf, say } from "./words.js";

export const PHASES = ["draft", "grow", "prune", "verify", "accept", "commit"];
const END = PHASES.length - 1;

/** How far the story is told; without a phase (or with one unknown) to its end. */
function reached(phase) {
  const at = PHASES.indexOf(phase);
  return at < 0 ? END : at;
}

const before = (phase, other) => reached(phase) < PHASES.indexOf(other);

/** The phases that a step has: some steps do not prune, and some draft nothing at all. */
export function phasesOf(event) {
  if (counts(event).drafted === 0) return ["commit"];
  return event.prune_layer === undefined ? PHASES.filter((name) => name !== "prune") : PHASES;
}

/**
 * The fate that a node shows in a phase; null: not to be seen yet. "v" stands for a node that the
 * model would choose after its parent, before it is known whether that parent is kept.
 */
export function fateAt(node, nodes, phase) {
  const { fate } = node;
  if (!before(phase, "commit") || fate === "r") return fate;
  if (fate === "b") return null;
  if (!before(phase, "accept")) return fate;
  if (before(phase, "prune")) return "d";
  if (fate === "p") return "p";
  const choice = nodes[node.parent].choice_id;
  if (before(phase, "verify") || choice === undefined || choice === null) return "d";
  return choice === node.token_id ? "v" : "x";
}

/** The event as far as a phase knows it, so that no card tells the end of the story. */
export function eventAt(event, phase) {
  if (!before(phase, "commit")) return event;
  const known = { ...event.nodes };
  const hide = (...names) => names.forEach((name) => delete known[name]);
  if (before(phase, "prune")) hide("early_rank", "early_probability");
  if (before(phase, "verify")) hide("final_probability", "choice_id", "choice_text");
  const nodes = nodesOf(event);
  known.fate = nodes.slice(0, event.nodes.fate.length).map((node) => fateAt(node, nodes, phase)).join("");
  const accepted = before(phase, "accept") ? [] : event.accepted;
  return { ...event, nodes: known, bonus: undefined, accepted, phase };
}

/** One line about a phase of the step, made of the step's numbers; the last one sums it up. */
export function phaseLine(event, phase, words) {
  if (!before(phase, "commit")) return caption(event, words);
  const lines = words.phase_lines;
  const n = { ...counts(event), layer: event.prune_layer, parts: guessed(event, words), chosen: event.decision.chosen };
  n.depth = Math.max(...event.nodes.depth);
  n.agreed = [...eventAt(event, "verify").nodes.fate].filter((fate) => fate === "v").length;
  if (phase === "draft") return say(lines.draft, n);
  if (phase === "grow") return say(lines.grow, n) + words.gap + say(words["size_" + event.decision.reason], n);
  if (phase === "prune") return say(n.pruned ? lines.prune : lines.prune_none, n);
  if (phase === "verify") return say(lines.verify, n);
  return say(n.accepted ? lines.accept : lines.accept_none, n);
}

