// A forecast in words: headline, reasons, labels of nodes, table, sources. Pure functions; `words`
// are those of app/strings/lab.py, `answer` is the JSON of app/lab.py.
import { readable } from "./lab_settings.js";
import { chance, say } from "./words.js";

const ROOMY = 140; // px of a column in which a label with its chance fits
const percent = (share) => `${Math.round(100 * share)}%`;
const speed = ({ length, ms }) => (1000 * length) / ms;

/** What the curves promise of one of their sizes. */
export function promise(curve, at = curve.sizes.indexOf(curve.chosen)) {
  return { size: curve.sizes[at], length: curve.lengths[at], ms: curve.ms[at] };
}

/** How much faster one promise is than another. */
export function times(one, other) {
  return speed(one) / speed(other);
}

/** A number of nodes for each row; rows may differ by one. */
export function perRow(size, rows) {
  const each = size / rows;
  return Number.isInteger(each) ? String(each) : each.toFixed(each < 10 ? 1 : 0);
}

/** [[value, name, title], ...]; all of them estimates. */
export function headline(answer, words) {
  const best = promise(answer.chosen), rows = answer.values.rows;
  const rate = speed(best);
  return [
    [perRow(best.size, rows), words.head_nodes, words.head_nodes_title],
    [(best.length / rows).toFixed(2), words.tokens_per_pass, words.head_tokens_title],
    [readable(rate), words.tokens_per_second, say(words.head_rate_title, { each: readable(rate / rows) })],
    [`${times(best, answer.plain).toFixed(2)}×`, words.head_plain, words.head_plain_title],
    [`${times(best, answer.fixed).toFixed(2)}×`, words.head_fixed, say(words.head_fixed_title, { ratio: times(answer.fixed, answer.plain).toFixed(2) })],
  ];
}

/** Why this size, in sentences made of the forecast's own numbers. */
export function reasons(answer, words) {
  return [sizeReason(answer, words), pruneReason(answer, words), batchReason(answer, words)].filter(Boolean);
}

/** Share by which the second promise has more tokens and more time than the first. */
function more(from, to) {
  return { tokens: to.length / from.length - 1, time: to.ms / from.ms - 1 };
}

function sizeReason(answer, words) {
  const { chosen } = answer, { rows } = answer.values, best = promise(chosen);
  const at = chosen.sizes.indexOf(best.size);
  const nodes = (size) => say(size === rows ? words.one_node : words.nodes, { nodes: perRow(size, rows) });
  const shares = (from, to) => {
    const added = more(from, to);
    return { nodes: nodes(to.size), tokens: signless(added.tokens), time: signless(added.time) };
  };
  if (best.size === 0) {
    if (chosen.sizes.length < 2) return words.why_no_heads;
    const rest = chosen.sizes.map((_, i) => promise(chosen, i)).slice(1);
    const next = rest.reduce((top, one) => (speed(one) > speed(top) ? one : top));
    return say(words.why_none, shares(best, next));
  }
  const told = [say(words.why_size, { nodes: nodes(best.size), tokens: (best.length / rows).toFixed(2), ms: readable(best.ms) })];
  if (at > 0) told.push(say(words.why_smaller, shares(best, promise(chosen, at - 1))));
  told.push(at + 1 < chosen.sizes.length ? say(words.why_larger, shares(best, promise(chosen, at + 1))) : words.why_largest);
  return told.join(words.gap);
}

/** A share as percent without its sign, exact enough to tell two of them apart. */
function signless(share) {
  const value = Math.abs(100 * share);
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}%`;
}

function pruneReason(answer, words) {
  const { values, chosen, pruned, unpruned } = answer;
  const gain = times(promise(pruned), promise(unpruned)) - 1;
  const told = { share: signless(gain), layer: values.layer, dropped: percent(1 - survivors(answer)), lost: percent(1 - values.recall) };
  if (chosen.prunes) return say(gain >= 0 ? words.why_pruned_pays : words.why_pruned_costs, told);
  if (promise(chosen).size === 0 || pruned.chosen === 0) return "";
  return say(gain > 0 ? words.why_unpruned_costs : words.why_unpruned_pays, told);
}

/** Share of the tree's nodes that are expected to survive pruning. */
export function survivors({ tree }) {
  const nodes = tree.survive.slice(1);
  return nodes.length ? nodes.reduce((sum, one) => sum + one, 0) / nodes.length : 1;
}

function batchReason({ batches }, words) {
  const sizes = batches.map(({ rows, chosen }) => ({ rows, each: chosen.size / rows }));
  const first = sizes[0], last = sizes[sizes.length - 1];
  if (first.each <= last.each) return "";
  return say(words.why_batch, { alone: perRow(first.each, 1), rows: last.rows, nodes: perRow(last.each, 1) });
}

// --- the tree ---

/** How much fits beside a node, by the width of a column: the name of a sentence. */
export function labelFor(width) {
  return width >= ROOMY ? "node_chance" : "node_short";
}

/** The chosen tree as an event that `treeFigure` draws: no token, only places. name: of a label. */
export function treeEvent({ tree, chosen }, words, name) {
  const label = (i) => say(words[name], { head: tree.depth[i], rank: tree.rank[i] + 1, chance: fewPercent(tree.value[i]) });
  const fate = (i) => (chosen.prunes && tree.survive[i] < 0.5 ? "p" : "d");
  const nodes = tree.depth.map((_, i) => i).slice(1);
  return {
    kind: "decode", accepted: [], token_ids: [],
    nodes: {
      fate: "r" + nodes.map(fate).join(""), token_id: tree.depth.map(() => 0),
      parent: tree.parent, depth: tree.depth, rank: tree.rank, value: tree.value,
      // a space would be drawn as a mark, as in a token
      text: [words.root, ...nodes.map(label)].map((text) => text.replace(/ /g, "\u00a0")),
      draft_probability: tree.value,
    },
  };
}

/** A chance that may be small, in few letters. */
function fewPercent(share) {
  return share > 0 && share < 0.005 ? "<1%" : percent(share);
}

/** One node in facts: [[label, value], ...]. */
export function nodeFacts({ tree, chosen }, i, words) {
  if (i === 0) return [[words.fact_place, words.root], [words.fact_path, percent(1)]];
  const facts = [
    [words.fact_place, say(words.node, { head: tree.depth[i], rank: tree.rank[i] + 1 })],
    [words.fact_chance, chance(tree.value[i] / tree.value[tree.parent[i]])],
    [words.fact_path, chance(tree.value[i])],
  ];
  return chosen.prunes ? [...facts, [words.fact_survive, percent(tree.survive[i])]] : facts;
}

// --- table and sources ---

/** The chosen curve as rows of text, and which of them is the choice. */
export function tableRows({ chosen, plain, values }) {
  return chosen.sizes.map((size, at) => {
    const one = promise(chosen, at);
    const cells = [perRow(size, values.rows), (one.length / values.rows).toFixed(2), readable(one.ms), readable(speed(one)), times(one, plain).toFixed(2)];
    return { cells, chosen: size === chosen.chosen };
  });
}

/** Where the numbers come from, line by line; `about` may hold a stranger's text. */
export function sources(kind, about, words) {
  return [...presetSources(kind, about, words), words.source_planner];
}

function presetSources(kind, about, words) {
  if (kind === "measured") {
    const { heads } = about;
    return [
      say(words.source_measured, { ...about, numbers: words.numbers[about.numbers] || about.numbers }),
      say(words.source_heads, { ...heads, steps: about.steps.toLocaleString(words.locale) }),
    ];
  }
  if (kind === "estimated") {
    const told = Object.fromEntries(Object.entries(about).map(([name, value]) => [name, typeof value === "number" ? readable(value) : value]));
    told.bandwidth_used = percent(about.bandwidth_used);
    told.flops_used = percent(about.flops_used);
    return words.source_sheet.map((line) => say(line, told));
  }
  const taken = about.taken.map((part) => words.taken[part]);
  const missing = Object.keys(words.taken).filter((part) => !about.taken.includes(part)).map((part) => words.taken[part]);
  return [
    say(words.source_run, { ...about, tokens_per_pass: about.tokens_per_pass.toFixed(2) }),
    taken.length ? say(words.source_taken, { parts: taken.join(words.and) }) : "",
    missing.length ? say(words.source_missing, { parts: missing.join(words.and) }) : "",
    words.source_biased,
  ].filter(Boolean);
}
