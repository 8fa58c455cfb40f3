// Runs of this visit and opened files, in the memory of the page alone: closing it forgets them.
// One store for the page: every module that imports this file gets the same one. Only when the page is
// loaded again in another language, its tab hands them over, and forgets them as soon as they are read.

const MOST = 40; // more than a visit needs; a class that goes on for hours must not fill the tab
const runs = []; // newest first
const listeners = new Set();
const HANDED_OVER = "propd-runs";

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

/** Before the page is loaded again: the newest runs, as many as the browser takes. */
export function handOver(storage) {
  for (let count = runs.length; count > 0; count -= 1) {
    try {
      storage.setItem(HANDED_OVER, JSON.stringify(runs.slice(0, count)));
      return;
    } catch { /* too much for its room, which is some megabytes: fewer, then */ }
  }
}

/** What the page before this one handed over. */
export function takeOver(storage) {
  const told = storage.getItem(HANDED_OVER);
  storage.removeItem(HANDED_OVER);
  if (told) runs.push(...JSON.parse(told).map((run) => ({ ...run, state: run.live && run.state !== "done" ? "stopped" : run.state })));
}

if (typeof window !== "undefined") {
  try {
    takeOver(sessionStorage);
    window.addEventListener("propd-leaving", () => handOver(sessionStorage));
  } catch { /* a browser that stores nothing forgets them */ }
}
