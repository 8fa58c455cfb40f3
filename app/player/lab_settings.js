// The Lab's sliders and their place in an address: "b4_f12.5_mnever". Pure functions.
// The names are those of propd/forecast/settings.py, which checks what arrives.

import { say } from "./words.js";

const TICKS = 200; // of a slider that has no steps of its own: arrow keys move by one

/**
 * scale: "list" of values, "line" from least to most by step, "log", or "zero": log with a 0 before it.
 * letter: its name in an address. fold: shown under "More".
 */
export const SLIDERS = [
  { name: "rows", letter: "b", group: "use", scale: "list", list: [1, 2, 3, 4, 6, 8, 12, 16, 24, 32] },
  { name: "past", letter: "p", group: "use", unit: "tokens", scale: "line", least: 0, most: 4096, step: 64, fold: true },
  { name: "floor_ms", letter: "f", group: "machine", unit: "ms", scale: "log", least: 0.5, most: 1000 },
  { name: "rise", letter: "r", group: "machine", unit: "tokens", scale: "log", least: 1, most: 512, whole: true },
  { name: "slope_ms", letter: "s", group: "machine", unit: "ms", scale: "zero", least: 0.001, most: 50 },
  { name: "step", letter: "t", group: "machine", unit: "tokens", scale: "list", list: [1, 2, 4, 8, 16, 32, 64], fold: true },
  { name: "accuracy", letter: "a", group: "heads", unit: "percent", scale: "line", least: 0, most: 1, step: 0.01 },
  { name: "further_heads", letter: "h", group: "heads", unit: "percent", scale: "line", least: 0, most: 1, step: 0.01 },
  { name: "further_ranks", letter: "k", group: "heads", scale: "line", least: 0, most: 4, step: 0.05 },
  { name: "heads", letter: "n", group: "heads", scale: "line", least: 0, most: 8, step: 1, fold: true },
  { name: "draft_ms", letter: "d", group: "heads", unit: "ms", scale: "zero", least: 0.01, most: 100, fold: true },
  { name: "layer", letter: "l", group: "pruning", scale: "line", least: 1, most: 31, step: 1 },
  { name: "top_k", letter: "c", group: "pruning", scale: "list", list: [1, 2, 5, 10, 20, 50, 100, 200] },
  { name: "kept", letter: "q", group: "pruning", unit: "percent", scale: "line", least: 0, most: 1, step: 0.01, fold: true },
  { name: "recall", letter: "w", group: "pruning", unit: "percent", scale: "line", least: 0, most: 1, step: 0.01, fold: true },
  { name: "look_ms", letter: "e", group: "pruning", unit: "ms", scale: "zero", least: 0.01, most: 100, fold: true },
];
export const GROUPS = ["use", "machine", "heads", "pruning"];
export const PRUNE = ["pays", "always", "never"];
const PRUNE_LETTER = "m";
/** Moving one of these gives the others their measured place again. */
export const MEASURED_TOGETHER = { layer: ["kept", "recall"], top_k: ["kept", "recall"] };

const digits = (value) => Number(value.toPrecision(3));

/** Positions of a slider: 0 to this. */
export function ticks(slider) {
  if (slider.scale === "list") return slider.list.length - 1;
  if (slider.scale === "line") return Math.round((slider.most - slider.least) / slider.step);
  return TICKS;
}

/** The value at a position. */
export function valueAt(slider, position) {
  const { scale, least, most, step } = slider;
  if (scale === "list") return slider.list[position];
  if (scale === "line") return Number((least + position * step).toFixed(4));
  if (scale === "zero" && position === 0) return 0;
  const value = digits(least * (most / least) ** (position / TICKS));
  return slider.whole ? Math.round(value) : value;
}

/** The position closest to a value. */
export function positionOf(slider, value) {
  const { scale, least, most, step } = slider;
  const last = ticks(slider);
  if (scale === "list") {
    const apart = slider.list.map((one) => Math.abs(Math.log(one / value)));
    return apart.indexOf(Math.min(...apart));
  }
  const at = scale === "line" ? (value - least) / step
    : scale === "zero" && value < least ? 0 : (TICKS * Math.log(Math.max(value, least) / least)) / Math.log(most / least);
  return Math.max(0, Math.min(last, Math.round(at)));
}

/** One position on or back, as far as the value changes: close to 1 a whole number has many positions. */
export function nextPosition(slider, position, by) {
  const before = valueAt(slider, position);
  let at = position;
  while (at + by >= 0 && at + by <= ticks(slider)) {
    at += by;
    if (valueAt(slider, at) !== before) break;
  }
  return at;
}

/** A number as a reader wants it: three digits. */
export function readable(value) {
  if (!Number.isFinite(value)) return "";
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(digits(value));
}

/** A setting with its unit, as `words.units` says it of one and of many. */
export function shown(slider, value, words) {
  if (!slider.unit) return readable(value);
  const told = readable(slider.unit === "percent" ? 100 * value : value);
  return say(words.units[slider.unit][told === "1" ? 0 : 1], { value: told });
}

/** Changes as one part of an address; "" for none. */
export function encode(changes) {
  const told = SLIDERS.filter(({ name }) => name in changes).map(({ name, letter }) => letter + String(changes[name]));
  if ("prune" in changes) told.push(PRUNE_LETTER + changes.prune);
  return told.join("_");
}

/** The inverse. Anything may stand in an address: what is no setting, or out of range, is dropped. */
export function decode(text = "") {
  const changes = {};
  for (const part of String(text).split("_")) {
    const letter = part.charAt(0), rest = part.slice(1);
    if (letter === PRUNE_LETTER && PRUNE.includes(rest)) changes.prune = rest;
    const slider = SLIDERS.find((one) => one.letter === letter);
    const value = rest === "" ? NaN : Number(rest);
    if (slider && inRange(slider, value)) changes[slider.name] = value;
  }
  return changes;
}

function inRange(slider, value) {
  const { scale, list, least, most, whole, step } = slider;
  if (!Number.isFinite(value)) return false;
  if (scale === "list") return Number.isInteger(value) && value >= list[0] && value <= list[list.length - 1];
  if ((whole || (step && Number.isInteger(step))) && !Number.isInteger(value)) return false;
  return value <= most && (value >= least || (scale === "zero" && value === 0));
}

/** The changes after a setting has moved. */
export function moved(changes, name, value) {
  const next = { ...changes, [name]: value };
  for (const other of MEASURED_TOGETHER[name] || []) delete next[other];
  return next;
}
