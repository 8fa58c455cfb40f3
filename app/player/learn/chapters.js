// The chapters in their order. A chapter is {id, steps, prepare(given, words), picture(lesson, words)}.
// `prepare` finds its recorded step and is pure: a lesson {facts, choices, right, ...}, or null. `picture`
// makes {element, show(step, answered, fresh), close()}; fresh: another step than before.
import { attention } from "./chapters/attention.js";
import { batch } from "./chapters/batch.js";
import { heads } from "./chapters/heads.js";
import { limits } from "./chapters/limits.js";
import { pruning } from "./chapters/pruning.js";
import { size } from "./chapters/size.js";
import { slow } from "./chapters/slow.js";
import { step } from "./chapters/step.js";
import { tree } from "./chapters/tree.js";

export const CHAPTERS = [slow, heads, tree, attention, pruning, size, step, batch, limits];

/** Where an address leads: a chapter by name or number, a step by name or number; the nearest if unknown. */
export function placeOf([chapter, step] = []) {
  const among = (list, name) => {
    const at = list.indexOf(name);
    if (at >= 0) return at;
    return /^\d{1,3}$/.test(name || "") ? Math.max(0, Math.min(list.length - 1, Number(name) - 1)) : 0;
  };
  const at = among(CHAPTERS.map(({ id }) => id), chapter);
  return { chapter: at, step: among(CHAPTERS[at].steps, step) };
}

/** The place after (or before) a place; null at the ends. */
export function beside({ chapter, step }, by) {
  const next = step + by;
  if (CHAPTERS[chapter].steps[next]) return { chapter, step: next };
  const other = CHAPTERS[chapter + by];
  return other ? { chapter: chapter + by, step: by > 0 ? 0 : other.steps.length - 1 } : null;
}
