// Runs of this visit and opened files, in the memory of the page alone: closing it forgets them.
// One store for the page: every module that imports this file gets the same one.

const MOST = 40; // more than a visit needs; a class that goes on for hours must not fill the tab
const runs = []; // newest first
const listeners = new Set();

/**
 * Keep a run, or say that one that is kept has changed. run: {key, origin, label, header,
 * events}; origin is "visit" or "opened"; key names the run on this page, and on no other.
 */
export function keep(run) {
  const at = runs.findIndex((one) => one.key === run.key);
  if (at >= 0) runs[at] = run;
  else runs.unshift(run);
  while (runs.length > MOST) runs.pop();
  listeners.forEach((listener) => listener());
}

export function forget(key) {
  const at = runs.findIndex((one) => one.key === key);
  if (at >= 0) runs.splice(at, 1);
  listeners.forEach((listener) => listener());
}

export function kept() {
  return [...runs];
}

export function find(key) {
  return runs.find((run) => run.key === key);
}

/** Call `listener` whenever what is kept changes; returns how to stop that. */
export function onRuns(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
