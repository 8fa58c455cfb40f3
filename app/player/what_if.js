// "What if this had been chosen?": a new run whose answer begins with a branch that was not kept.
import { make } from "./dom.js";
import { nodeAt, say, visible } from "./words.js";

/** Token ids from the beginning of the answer to node i of a step, the node included. */
export function branchTokens(run, step, i) {
  const { parent, token_id } = run.events[step].nodes;
  const path = [];
  for (let node = i; node > 0; node = parent[node]) path.unshift(token_id[node]);
  const before = run.events.slice(0, step).flatMap((event) => event.token_ids);
  return [...(run.header.continuing || []), ...before, ...path];
}

/** Whether one can go on from node i: it was guessed, and the run went another way. */
export function isOpen(event, i) {
  return "xp".includes(event.nodes.fate[i] || "?");
}

/** What the server is asked (app/tabs/watch.py). */
export function request(run, step, i) {
  const { prompt, method, model } = run.header;
  return { prompt, method, model, continuing: branchTokens(run, step, i) };
}

/** What the card offers for a node: the button if it is pinned, else how to get there. */
export function offer(player, i, words) {
  const event = player.run.events[player.step];
  if (!player.ask || !isOpen(event, i)) return null;
  if (player.pinned !== i) return make("p", { class: "propd-hint" }, words.what_if_hint);
  const text = visible(nodeAt(event, i).text);
  return make("button", {
    type: "button", class: "propd-button propd-what-if", disabled: player.runs.busy(),
    title: player.runs.busy() ? words.what_if_busy : null, onclick: () => player.whatIf(i),
  }, say(words.what_if, { text }));
}
