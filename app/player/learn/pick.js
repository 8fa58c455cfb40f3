// Which recorded step a chapter shows: chosen by what happened in it, never by its number, so that
// the chapters stay whole when the runs are recorded anew. Pure functions of runs
// [{name, header, events}]; null where no step will do.
import { counts, hasSources, nodeAt, nodesOf } from "../words.js";

/** The best of all decoding steps, the earlier one of equals. score(event, run): a number, or null. */
export function best(runs, score) {
  let found = null, most = -Infinity;
  for (const run of runs) {
    for (const event of run.events) {
      const worth = event.kind === "decode" && counts(event).drafted ? score(event, run) : null;
      if (worth !== null && worth > most) [found, most] = [{ run, event }, worth];
    }
  }
  return found;
}

/** Closeness of a number to a range: 0 inside it, below 0 outside. */
const near = (n, low, high) => Math.min(0, n - low, high - n);

export function childrenOf(event) {
  const children = event.nodes.parent.map(() => []);
  event.nodes.parent.forEach((parent, i) => { if (parent >= 0) children[parent].push(i); });
  return children;
}

/** Nodes from the root, exclusive, down to node i. */
export function pathTo(event, i) {
  const path = [];
  for (let at = i; at > 0; at = event.nodes.parent[at]) path.unshift(at);
  return path;
}

/** The tokens that the run wrote after the root of a step: [{id, text}]. */
export function whatCame(run, event, count) {
  const rest = run.events.filter((other) => other.index >= event.index && (other.row || 0) === (event.row || 0));
  const ids = rest.flatMap((other) => other.token_ids);
  return ids.slice(0, count);
}

// --- heads ---

/**
 * The lists of the draft heads, as far as the tree took them over: [[{rank, text, id, p, node}]] by
 * depth. null unless every node of a depth and rank holds the same token: then they are no lists.
 */
export function headLists(event) {
  if (hasSources(event)) return null;
  const lists = [];
  for (const node of nodesOf(event).filter(({ fate }) => !"rb".includes(fate))) {
    const list = (lists[node.depth - 1] ||= []);
    const same = list.find(({ rank }) => rank === node.rank);
    if (same && same.id !== node.token_id) return null;
    if (!same) list.push({ rank: node.rank, text: node.text, id: node.token_id, p: node.draft_probability, node: node.index });
  }
  lists.forEach((list) => list.sort((a, b) => a.rank - b.rank));
  return lists;
}

/** A step whose first guess was wrong and a later one right: so that one guess is seen to be too few. */
export function stepOfHeads(runs) {
  return best(runs, (event, run) => {
    const lists = headLists(event);
    if (!lists || lists.length < 3 || lists[0].length < 4) return null;
    const came = whatCame(run, event, lists.length);
    const rank = lists[0].findIndex(({ id }) => id === came[0]);
    if (rank < 0 || rank > 3) return null;
    const right = lists.filter((list, d) => list.some(({ id }) => id === came[d])).length;
    return right + (rank > 0 ? 4 : 0);
  });
}

/** How often each head's first guess was right, and any of those in the tree: [{first, any, of}]. */
export function headAccuracy(run) {
  const tallies = [];
  for (const event of run.events) {
    const lists = event.kind === "decode" && counts(event).drafted ? headLists(event) : null;
    if (!lists) continue;
    const came = whatCame(run, event, lists.length);
    lists.slice(0, came.length).forEach((list, d) => {
      const tally = (tallies[d] ||= { first: 0, any: 0, of: 0 });
      const at = list.findIndex(({ id }) => id === came[d]);
      tally.first += at >= 0 && list[at].rank === 0;
      tally.any += at >= 0;
      tally.of += 1;
    });
  }
  return tallies;
}

// --- guesses of the text ---

/** The text before a step: the prompt, then what was written, the root included. */
export function textBefore(run, event) {
  const written = run.events.filter(({ index }) => index < event.index).map(({ text }) => text).join("");
  return { prompt: run.header.prompt, written };
}

/** Where the words before the root stood before, followed by what the text guessed; null if nowhere. */
export function earlierPlace(run, event, guessed) {
  const { prompt, written } = textBefore(run, event);
  const all = `${prompt}\n${written}`;
  for (let length = Math.min(40, written.length); length >= 2; length--) {
    const known = written.slice(-length);
    const at = all.lastIndexOf(known + guessed, all.length - known.length - 1);
    if (at >= 0 && known.trim()) return { all, at, known, guessed, root: all.length - length };
  }
  return null;
}

/** The accepted nodes that the text had a part in. */
function copied(event) {
  return event.accepted.filter((i) => "tb".includes(nodeAt(event, i).source));
}

/** The step that gained most by what the text had said before. */
export function stepOfText(runs) {
  const found = best(runs, (event, run) => {
    if (!hasSources(event) || !event.nodes.source.includes("t")) return null;
    const nodes = copied(event);
    if (nodes.length < 2 || nodes.length < event.accepted.length) return null;
    return earlierPlace(run, event, told(event, nodes)) ? nodes.length : null;
  });
  return found && { ...found, nodes: copied(found.event), place: earlierPlace(found.run, found.event, told(found.event, copied(found.event))) };
}

const told = (event, nodes) => nodes.map((i) => nodeAt(event, i).text).join("");

// --- trees ---

/** Nodes that could come next when the first `count` nodes stand, the most valuable first. */
export function frontier(event, count) {
  const { parent, value } = event.nodes;
  const waiting = parent.map((_, i) => i).filter((i) => i > count && parent[i] <= count);
  return waiting.sort((a, b) => value[b] - value[a] || a - b);
}

/** How many nodes stand when the question "which comes next?" is fairest; null if it never is. */
export function fairMoment(event) {
  const drafted = counts(event).drafted;
  for (const count of [...Array(drafted).keys()].sort((a, b) => Math.abs(a - drafted / 2) - Math.abs(b - drafted / 2))) {
    const [first, second, third] = frontier(event, count).map((i) => event.nodes.value[i]);
    if (count >= 2 && third !== undefined && first > 1.15 * second) return count;
  }
  return null;
}

const contextual = (event) => event.decision.reason === "best" && (event.decision.estimated_ms || []).length > 1;
const deepest = (event) => Math.max(...event.nodes.depth);

/** How well the tokens of a tree can be read: words rather than brackets and line breaks, and short ones. */
const legible = (event) => {
  const { text } = event.nodes;
  return (2 * text.filter((token) => /^\s?[A-Za-z']{2,}$/.test(token)).length - 0.02 * text.join("").length) / text.length;
};

/** A tree that branches at several depths and from which much was kept. */
export function stepOfTree(runs) {
  return best(runs, (event) => {
    if (!contextual(event) || deepest(event) < 3 || fairMoment(event) === null) return null;
    const wide = childrenOf(event).filter((list) => list.length > 1).length;
    return Math.min(event.accepted.length, 3) + Math.min(wide, 4) + 2 * near(counts(event).drafted, 8, 20) + 5 * legible(event);
  });
}

/** A small tree in which one can follow who sees whom, with something pruned out of it. */
export function stepOfMask(runs) {
  return best(runs, (event) => {
    const { drafted, pruned, accepted } = counts(event);
    const inner = childrenOf(event).filter((list) => list.length).length;
    if (!pruned || pruned === drafted || deepest(event) < 2 || inner < 3) return null;
    const wide = childrenOf(event).filter((list) => list.length > 1).length;
    return Math.min(accepted, 2) + Math.min(wide, 3) + Math.min(pruned, 3) / 2 + 2 * near(drafted, 6, 9) + 3 * legible(event) + 3 * (new Set(event.nodes.text).size / (drafted + 1));
  });
}

/** A step in which pruning left one branch of the root and cut others, rightly. */
export function stepOfPruning(runs) {
  return best(runs, (event) => {
    if (event.prune_top_k === undefined || lost(event) !== null || !event.bonus) return null;
    const branches = branchesOf(event);
    const left = branches.filter(({ survives }) => survives).length;
    if (left !== 1 || branches.length < 3 || !event.accepted.length) return null;
    const { drafted } = counts(event);
    return Math.min(event.accepted.length, 3) + Math.min(deepest(event), 4) / 2 + near(drafted, 6, 14) + legible(event);
  });
}

/** The branches of the root: [{node, survives, size}], the most valuable first. */
export function branchesOf(event) {
  const { parent, fate } = event.nodes;
  const first = childrenOf(event)[0];
  const under = parent.map((_, i) => pathTo(event, i)[0]);
  return first.map((node) => ({ node, survives: fate[node] !== "p", size: under.filter((top) => top === node).length }));
}

/** The pruned node that the model itself would have chosen, or null: then pruning cost nothing. */
export function lost(event) {
  const { parent, fate, token_id, choice_id } = event.nodes;
  if (!choice_id) return null;
  const at = parent.findIndex((from, i) => fate[i] === "p" && from >= 0 && "ra".includes(fate[from]) && choice_id[from] === token_id[i]);
  return at < 0 ? null : at;
}

/** A step in which pruning cost a token; the next one of these runs has written it. */
export function stepOfLoss(runs) {
  return best(runs, (event) => {
    if (event.prune_top_k === undefined || lost(event) === null) return null;
    return near(counts(event).drafted, 4, 14) + Math.min(event.accepted.length, 2) + legible(event);
  });
}

/** Over all runs: right guesses that the early head saw, how many of them it cut, and all it cut. */
export function pruningToll(runs) {
  const toll = { right: 0, lost: 0, pruned: 0, drafted: 0 };
  for (const event of runs.flatMap((run) => run.events)) {
    if (event.prune_layer === undefined) continue;
    const cut = lost(event) === null ? 0 : 1;
    const { drafted, pruned, accepted } = counts(event);
    toll.right += accepted + cut;
    toll.lost += cut;
    toll.pruned += pruned;
    toll.drafted += drafted;
  }
  return toll;
}

/** The largest tree there is, to be cut to size; of equals the one that was worth most. */
export function stepOfSize(runs) {
  return best(runs, (event) => 10 * counts(event).drafted + event.accepted.length + legible(event));
}

/** A step with all phases and all fates. */
export function stepOfPhases(runs) {
  return best(runs, (event) => {
    const { drafted, pruned, verified, accepted } = counts(event);
    if (!pruned || verified <= accepted || !accepted || !event.bonus || lost(event) !== null) return null;
    const wide = childrenOf(event).filter((list) => list.length > 1).length;
    return 2 * Math.min(accepted, 3) + Math.min(wide, 3) + Math.min(pruned, 3) / 2 + near(drafted, 6, 12) + 3 * legible(event);
  });
}

// --- runs ---

/** Two runs of the same prompt by different methods: {one, other, same: letters they agree in}. */
export function sameText(runs) {
  for (const one of runs) {
    for (const other of runs) {
      if (one.header.prompt !== other.header.prompt || one.header.method >= other.header.method) continue;
      const [a, b] = [one, other].map((run) => run.events.map(({ text }) => text).join(""));
      let same = 0;
      while (same < Math.min(a.length, b.length) && a[same] === b[same]) same++;
      return { one, other, a, b, same };
    }
  }
  return null;
}

/** What was promised before each step and what it then gave, means over the steps that weighed sizes. */
export function promises(runs) {
  const told = [];
  for (const run of runs) {
    const sums = { steps: 0, length: 0, got: 0, ms: 0, took: 0 };
    for (const event of run.events) {
      const { sizes = [], expected_lengths = [], estimated_ms = [], chosen } = event.decision;
      const at = sizes.indexOf(chosen);
      if (event.kind !== "decode" || event.finish_reason || !(at in expected_lengths) || !(at in estimated_ms)) continue;
      sums.steps += 1;
      sums.length += expected_lengths[at];
      sums.got += event.token_ids.length;
      sums.ms += estimated_ms[at];
      sums.took += Object.values(event.milliseconds).reduce((sum, ms) => sum + ms, 0);
    }
    const mean = (name) => sums[name] / sums.steps;
    if (sums.steps) told.push({ run, steps: sums.steps, length: mean("length"), got: mean("got"), ms: mean("ms"), took: mean("took") });
  }
  return told;
}
