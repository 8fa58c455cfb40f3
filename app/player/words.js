// Events in words: every sentence and number a step is told with. Pure functions; `words` holds
// the sentences (app/strings/), an event is the JSON of propd/event_json.py.

/**
 * Fill `{name}` in a sentence; the values are plain text and stay plain text. `{name:node|nodes}` is the
 * first word for one and the second for any other number.
 */
export function say(sentence, values = {}) {
  return sentence.replace(/\{(\w+)(?::([^{}|]*)\|([^{}|]*))?\}/g, (hole, name, one, many) => {
    if (!(name in values)) return hole;
    if (one === undefined) return String(values[name]);
    return Number(values[name]) === 1 ? one : many;
  });
}

/** A token as one line of ink: white space and control characters become visible. */
export function visible(text) {
  const shown = { " ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍" };
  return text
    .replace(/[ \n\t\r]/g, (c) => shown[c])
    // Control, format and bidi characters could hide or reorder what stands beside them.
    .replace(/[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
      (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

/** Truncate in the middle: token names often differ at their end. */
export function middle(text, limit) {
  const letters = Array.from(text);
  if (letters.length <= limit) return text;
  const head = Math.ceil((limit - 1) / 2);
  return letters.slice(0, head).join("") + "…" + letters.slice(letters.length - (limit - 1 - head)).join("");
}

/** A probability with as many digits as help. */
export function chance(p) {
  if (p === null || p === undefined) return null;
  if (p === 0) return "0";
  if (p < 0.001) return p.toExponential(0);
  return p.toFixed(p < 0.1 ? 3 : 2);
}

/** A place in a list, as the language counts places. */
export function ordinal(n, words) {
  const form = new Intl.PluralRules(words.locale, { type: "ordinal" }).select(n);
  return say(words.ordinals[form] || words.ordinals.other, { n });
}

/** Node i of the event as one object; the bonus comes after the last node. */
export function nodeAt(event, i) {
  const bonus = i === event.nodes.fate.length;
  const columns = bonus ? event.bonus : event.nodes;
  const row = bonus ? 0 : i;
  const node = { index: i };
  for (const name of Object.keys(columns)) node[name] = columns[name][row];
  return { text: "", choice_text: "", source: "h", ...node };
}

/** All nodes of the event, the bonus last. */
export function nodesOf(event) {
  const count = event.nodes.fate.length + (event.bonus ? 1 : 0);
  return Array.from({ length: count }, (_, i) => nodeAt(event, i));
}

export function counts(event) {
  const fate = event.nodes.fate;
  const drafted = fate.length - 1;
  const pruned = fate.split("p").length - 1;
  return { drafted, pruned, verified: drafted - pruned, accepted: event.accepted.length };
}

/** Whether the text had a part in the guesses of a step; a file names no sources otherwise. */
export function hasSources(event) {
  return event.nodes.source !== undefined;
}

/** Whether a step has a node of this source, "t" or "b". */
export function hasSource(event, source) {
  return hasSources(event) && event.nodes.source.includes(source);
}

/** Whether node i was guessed at all: the root and the bonus are the model's own. */
function isGuess(node) {
  return node.fate !== "r" && node.fate !== "b";
}

/** The step in one line of real numbers. */
export function caption(event, words) {
  const n = { ...counts(event), layer: event.prune_layer };
  const end = event.finish_reason ? words.gap + words["finish_" + event.finish_reason] : "";
  if (event.kind === "prefill") return words.caption_prefill + end;
  if (n.drafted === 0) return words.caption_single + end;
  const parts = [say(words.caption_drafted, n)];
  if (event.prune_layer !== undefined) parts.push(say(words.caption_pruned, n));
  parts.push(say(words.caption_verified, n), say(words.caption_accepted, n));
  return parts.join(words.comma) + (event.bonus ? words.caption_bonus : "") + words.stop + end;
}

/** Who guessed how many of the drafted nodes, as "4 by heads, 2 by the text". */
export function guessed(event, words) {
  const { drafted } = counts(event);
  const sources = hasSources(event) ? event.nodes.source.slice(1) : "h".repeat(drafted);
  return ["h", "t", "b"].filter((source) => sources.includes(source))
    .map((source) => say(words.guesses_by[source], { count: sources.split(source).length - 1 })).join(words.and);
}

/** The same as a sentence; "" where nothing was drafted. */
export function guesses(event, words) {
  const parts = guessed(event, words);
  return parts && say(words.guesses, { parts });
}

/** The step for those who do not see it: where, what happened, and what the text gained. */
export function summary(event, last, words) {
  const where = event.kind === "prefill" ? words.prefill : say(words.step_of, { step: event.index, steps: last });
  const gained = event.text ? say(words.summary_text, { text: visible(event.text) }) : "";
  return [where + words.stop, caption(event, words), guesses(event, words), gained].filter(Boolean).join(words.gap);
}

function whyPruned(event, node, nodes, words) {
  const parent = nodes[node.parent];
  if (parent.fate === "p") return words.why_pruned_parent;
  // Honest about the early head: the parent was verified, so the model's own choice is known.
  const lost = "ra".includes(parent.fate) && parent.choice_id === node.token_id;
  return prunedBy(event, node, words) + (lost ? words.gap + words.why_pruned_lost : "");
}

function prunedBy(event, node, words) {
  const cut = event.prune_top_k;
  const rank = node.early_rank;
  if (rank !== undefined && rank !== null && cut !== undefined && rank >= cut) {
    return say(words.why_pruned_rank, { rank: ordinal(rank + 1, words), cut, layer: event.prune_layer });
  }
  if (event.prune_threshold !== undefined && node.early_probability < event.prune_threshold) {
    return say(words.why_pruned_threshold, {
      chance: chance(node.early_probability), least: chance(event.prune_threshold), layer: event.prune_layer,
    });
  }
  if (event.prune_rule === "budget") return say(words.why_pruned_budget, { layer: event.prune_layer });
  return say(words.why_pruned, { layer: event.prune_layer });
}

/** A node that has come this far: what the early head said of it, if it was asked. */
function whyDrafted(event, node, words) {
  const { early_rank: rank, early_probability: probability } = node;
  if (rank === undefined || rank === null) return words.why_drafted;
  const values = { rank: ordinal(rank + 1, words), cut: event.prune_top_k, layer: event.prune_layer, chance: chance(probability) };
  return say(event.prune_top_k === undefined ? words.why_kept_chance : words.why_kept_rank, values);
}

function whyRejected(event, node, nodes, words) {
  const parent = nodes[node.parent];
  // While the step is verified, a node is held against its parent alone.
  if (event.phase === "verify") return say(words.why_rejected_choice, { choice: visible(parent.choice_text) });
  if (parent.fate !== "r" && parent.fate !== "a") return words.why_rejected_parent;
  if (parent.choice_id === node.token_id) return words.why_rejected_end;
  if (!parent.choice_text) return words.why_rejected;
  return say(words.why_rejected_choice, { choice: visible(parent.choice_text) });
}

/** Why a node met its fate, in one sentence. */
export function why(event, i, words) {
  const nodes = nodesOf(event);
  const node = nodes[i];
  if (node.fate === "p") return whyPruned(event, node, nodes, words);
  if (node.fate === "x") return whyRejected(event, node, nodes, words);
  if (node.fate === "r") return event.kind === "prefill" ? words.why_root_prefill : words.why_root;
  if (node.fate === "d") return whyDrafted(event, node, words);
  if (node.fate === "v") return node.parent === 0 ? words.why_agreed : words.why_agreed_if;
  return { a: words.why_accepted, b: words.why_bonus }[node.fate];
}

/** Who guessed a node, in one sentence; "" where the text had no part in the step. */
export function guessedBy(event, i, words) {
  const node = nodeAt(event, i);
  if (!hasSources(event) || !isGuess(node)) return "";
  return say(words.guessed_by[node.source], { head: node.depth });
}

/** The text of a step by token: [{text, kind}], kind "accepted", "bonus" or "prefill". */
export function pieces(event) {
  const own = event.kind === "prefill" ? "prefill" : "bonus";
  const texts = event.pieces.length ? event.pieces : [event.text];
  const kept = event.pieces.length ? event.accepted.length : 0;
  // The first half of a character has no text of its own; its last token brings all of it.
  return texts.map((text, i) => ({ text, kind: i < kept ? "accepted" : own })).filter(({ text }) => text !== "");
}

/** Sums over events[0..last], as `propd.core.RunStats` defines them. */
export function runStats(events, last) {
  const stats = { tokens: 0, steps: 0, decoded: 0, seconds: 0 };
  for (const event of events.slice(0, last + 1)) {
    stats.tokens += event.token_ids.length;
    stats.seconds = event.elapsed_s;
    if (event.kind !== "decode") continue;
    stats.steps += 1;
    stats.decoded += event.token_ids.length;
  }
  stats.tokensPerPass = stats.steps ? stats.decoded / stats.steps : 0;
  stats.tokensPerSecond = stats.seconds ? stats.tokens / stats.seconds : 0;
  return stats;
}

export function stepMilliseconds(event) {
  return Object.values(event.milliseconds).reduce((sum, ms) => sum + ms, 0);
}

/** The facts of one node, for the detail card: [[label, value], ...]; absent facts are left out. */
export function facts(event, i, words) {
  const node = nodeAt(event, i);
  const rows = [[words.card_id, node.token_id]];
  if (isGuess(node)) {
    // Beside guesses of the text a rank is no longer one in the list of a head.
    const place = { head: node.depth, rank: node.rank + 1 };
    rows.push(hasSources(event) ? [words.card_rank, place.rank] : [words.card_place, say(words.card_place_value, place)]);
    rows.push([words.card_draft, chance(node.draft_probability)]);
    rows.push([`${words.card_value} (${words.estimated})`, chance(node.value)]);
  }
  if (node.early_rank !== undefined && node.early_rank !== null) {
    const values = { rank: node.early_rank + 1, cut: event.prune_top_k };
    const early = event.prune_top_k === undefined ? words.card_early_plain : words.card_early_value;
    rows.push([words.card_early, say(early, values)]);
    rows.push([words.card_early_p, chance(node.early_probability)]);
    if (event.prune_threshold !== undefined) rows.push([words.card_threshold, chance(event.prune_threshold)]);
  }
  rows.push([words.card_final, chance(node.final_probability)]);
  return rows.filter(([, value]) => value !== null);
}

/** The headings of `tableRows`. */
export function tableColumns(event, words) {
  return hasSources(event) ? words.table_columns_sources : words.table_columns;
}

/** The step as rows of text, the equal of the picture for those who do not see it. */
export function tableRows(event, words) {
  const blank = (value) => (value === null || value === undefined ? "" : String(value));
  const source = (node) => (isGuess(node) ? say(words.table_source[node.source], { head: node.depth }) : "");
  return nodesOf(event).map((node, i) => [
    String(i), visible(node.text), i ? String(node.parent) : "",
    ...(hasSources(event) ? [i ? String(node.depth) : "", source(node)] : [isGuess(node) ? String(node.depth) : ""]),
    isGuess(node) ? String(node.rank + 1) : "", blank(chance(node.draft_probability)),
    node.early_rank === null || node.early_rank === undefined ? "" : String(node.early_rank + 1),
    blank(chance(node.early_probability)), blank(chance(node.final_probability)),
    words.fates[node.fate], why(event, i, words),
  ]);
}

/** The step a recorded run opens at: an early one in which much happened, so the tree is not bare. */
export function openingStep(events) {
  const scores = events.slice(0, 16).map(({ accepted, nodes }) =>
    3 * accepted.length + nodes.fate.includes("p") + nodes.fate.includes("x"));
  return Math.max(0, scores.indexOf(Math.max(...scores)));
}

/** How far a live run is, and how long it may still take if it writes all it may. */
function progress(run, words) {
  const { tokens, seconds } = runStats(run.events, run.events.length - 1);
  const limit = run.header.config && run.header.config.max_new_tokens;
  if (!limit || !tokens || !seconds) return words.live_running;
  const left = Math.ceil((limit - tokens) * (seconds / tokens));
  return say(words.live_progress, { tokens, limit, seconds: seconds.toFixed(1), left });
}

/** Where the run on screen comes from, or what the run that was asked for waits for. */
export function statusLine({ run, newest, queued, now = 0 }, words) {
  if (queued) return say(words.live_waiting, { seconds: Math.round((now - queued.since) / 1000) });
  if (newest && newest.state === "loading") return say(words.live_loading, { stage: newest.stage });
  if (!run) return words.nothing_yet;
  const { machine, recorded, heads } = run.header;
  const live = () => (run.state === "running" ? progress(run, words) : words["live_" + run.state] || "");
  const made = machine && recorded ? say(words.recorded, { machine, date: recorded }) : "";
  const origin = run.live ? live() : run.origin === "opened" ? [words.opened, made].filter(Boolean).join(words.stop + words.gap) : made;
  return [origin, heads && heads.early === "logit lens" ? words.logit_lens : ""].filter(Boolean).join(words.stop + words.gap);
}
