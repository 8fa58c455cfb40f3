// Measured tables in use: what a pass takes (`python -m propd costs`), what early looks know
// (`python -m propd accuracy --early`), and sizes weighed by the values of a recorded tree.

/** Milliseconds for n, straight between the points [[count, ms]], beyond the last by its slope. */
export function timeAt(points, n) {
  if (points.length === 1) return points[0][1];
  let k = points.findIndex(([count]) => count >= n);
  if (k < 0) k = points.length - 1;
  const [from, to] = [points[Math.max(0, k - 1)], points[Math.max(1, k)]];
  if (n <= points[0][0]) return points[0][1];
  return from[1] + ((to[1] - from[1]) * (n - from[0])) / (to[0] - from[0]);
}

/** A whole pass over so many tokens: all layers and the LM head, nothing drafted or pruned. */
export function passTime(table, tokens) {
  return timeAt(table.early, tokens) + timeAt(table.late, tokens);
}

/** The passes that were measured: [{tokens, ms}]. */
export function passes(table) {
  const late = new Set(table.late.map(([tokens]) => tokens));
  return table.early.filter(([tokens]) => late.has(tokens)).map(([tokens]) => ({ tokens, ms: passTime(table, tokens) }));
}

/** T(n): a step of `rows` texts with n drafted nodes each, without pruning. */
export function stepTime(table, n, rows = 1) {
  return passTime(table, rows * (n + 1)) + (n ? timeAt(table.draft, rows) : 0);
}

/** Nodes of a tree in the order of their values, the root left out. */
export function byValue(event) {
  const { value, fate } = event.nodes;
  return value.map((_, i) => i).filter((i) => i > 0 && i < fate.length).sort((a, b) => value[b] - value[a] || a - b);
}

/** L(n) for n = 0 to all nodes: 1 + the sum of the n greatest values. */
export function lengths(event) {
  let sum = 1;
  return [1, ...byValue(event).map((i) => (sum += event.nodes.value[i]))];
}

/** The size with the greatest L(n) / T(n). */
export function bestSize(lengths, times) {
  return lengths.reduce((best, length, n) => (length / times[n] > lengths[best] / times[best] ? n : best), 0);
}

/** T(n) with the floor and what nodes add to it made larger or smaller. */
export function bent(times, floor, slope) {
  return times.map((ms) => floor * times[0] + slope * (ms - times[0]));
}

/**
 * The step as if its tree had been cut to the n nodes of the greatest values. What the model itself
 * would have chosen is known, so it is also known what such a step would have written.
 */
export function cutTo(event, n) {
  const kept = [0, ...byValue(event).slice(0, n)].sort((a, b) => a - b);
  const place = new Map(kept.map((i, at) => [i, at]));
  const nodes = {};
  for (const [name, column] of Object.entries(event.nodes)) {
    nodes[name] = name === "parent" ? kept.map((i) => (i ? place.get(column[i]) : -1))
      : typeof column === "string" ? kept.map((i) => column[i]).join("") : kept.map((i) => column[i]);
  }
  const accepted = event.accepted.filter((i) => place.has(i)).map((i) => place.get(i));
  const whole = accepted.length === event.accepted.length;
  // A smaller tree ends its path sooner; what came next in the text is then the bonus.
  const last = accepted.length ? accepted[accepted.length - 1] : 0;
  const next = whole ? event.bonus : bonusOf(event, event.accepted[accepted.length], last);
  return { ...event, nodes, accepted, bonus: next && { ...next, parent: [last] }, token_ids: event.token_ids.slice(0, accepted.length + 1) };
}

/** An accepted node as the bonus of a step that did not have it. */
function bonusOf(event, node, parent) {
  const columns = Object.entries(event.nodes).map(([name, column]) => [name, [column[node]]]);
  return { ...Object.fromEntries(columns), fate: "b", parent: [parent] };
}

/**
 * The step as if early pruning had kept the k best: [event, {kept, cut, unknown}]. The early ranks
 * are recorded, so what goes is known; of what stays now and went then, the verdict is not ("d").
 */
export function cutAt(event, k) {
  const { parent, fate, early_rank: ranks } = event.nodes;
  const told = [];
  parent.forEach((from, i) => {
    const goes = from >= 0 && (told[from] === "p" || (ranks[i] !== null && ranks[i] >= k));
    told.push(goes ? "p" : fate[i] === "p" ? "d" : fate[i]);
  });
  const letters = told.join("");
  const count = (letter) => letters.split(letter).length - 1;
  const accepted = event.accepted.filter((i) => told[i] === "a");
  const whole = accepted.length === event.accepted.length;
  const changed = { ...event, prune_top_k: k, accepted, nodes: { ...event.nodes, fate: letters }, bonus: whole ? event.bonus : undefined };
  return [changed, { kept: told.length - 1 - count("p"), cut: count("p"), unknown: count("d"), gone: event.accepted.length - accepted.length }];
}

/** Share under rank k of a curve measured at `tops`, straight between them in log k. */
export function shareAt(tops, shares, k) {
  return timeAt(tops.map((top, i) => [Math.log(top), shares[i]]), Math.log(k));
}
