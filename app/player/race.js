// A race of recorded runs as pure functions: where each of them stands at a position.
// A lane is one method: {method, events}; the position is seconds, a number of passes or of tokens.

export const ALIGNMENTS = ["clock", "step", "token"];

/** A lane with what is asked of it again and again: seconds and tokens after each of its events. */
export function laneOf(method, events) {
  let written = 0;
  return {
    method, events,
    seconds: events.map((event) => event.elapsed_s),
    tokens: events.map((event) => (written += event.token_ids.length)),
  };
}

/** Where a lane changes: the positions of its events. */
function places(lane, alignment) {
  if (alignment === "clock") return lane.seconds;
  // A step of several tokens is there from its first one on.
  if (alignment === "token") return lane.tokens.map((_, i) => (i ? lane.tokens[i - 1] : 0) + 1);
  return lane.events.map((_, i) => i);
}

/** The event that a lane has come to at a position; -1: none yet. */
export function indexAt(lane, alignment, position) {
  const at = places(lane, alignment);
  let low = 0, high = at.length; // the first event that is still to come
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] <= position + 1e-9) low = middle + 1; else high = middle;
  }
  return low - 1;
}

/** The last position of a race. */
export function extentOf(lanes, alignment) {
  const ends = lanes.map((lane) => {
    if (!lane.events.length) return 0;
    if (alignment === "token") return lane.tokens[lane.tokens.length - 1];
    return places(lane, alignment)[lane.events.length - 1];
  });
  return Math.max(0, ...ends);
}

/** Where a race begins: before anything was written on the clock, else at the first event. */
export function startOf(alignment) {
  return { clock: 0, step: 0, token: 1 }[alignment];
}

/** The next position at which one of the lanes changes, in a direction; the border if there is none. */
export function changeAfter(lanes, alignment, position, direction) {
  const all = lanes.flatMap((lane) => places(lane, alignment));
  const near = 1e-6;
  if (direction > 0) {
    return Math.min(extentOf(lanes, alignment), ...all.filter((at) => at > position + near));
  }
  return Math.max(startOf(alignment), ...all.filter((at) => at < position - near));
}

/** What a lane has done by its event i: tokens, passes after the prefill, seconds, whether it is over. */
export function standing(lane, i) {
  if (i < 0) return { tokens: 0, passes: 0, seconds: 0, done: false };
  return { tokens: lane.tokens[i], passes: i, seconds: lane.seconds[i], done: i === lane.events.length - 1 };
}

/** How long a lane's bar is, 0 to 1: tokens written; lined up by token, the passes that they took. */
export function share(lanes, lane, alignment, i) {
  const { tokens, passes } = standing(lane, i);
  if (alignment === "token") return passes / Math.max(1, ...lanes.map((one) => one.events.length - 1));
  return tokens / Math.max(1, extentOf(lanes, "token"));
}

/** The same moment of one lane in another alignment, so that a change of view loses nothing. */
export function translate(lanes, from, to, position) {
  const leader = lanes.reduce((best, lane) => {
    const i = indexAt(lane, from, position);
    return i >= 0 && (!best || lane.tokens[i] > best.lane.tokens[best.i]) ? { lane, i } : best;
  }, null);
  if (!leader || from === to) return leader ? position : startOf(to);
  if (position >= extentOf(lanes, from)) return extentOf(lanes, to);
  return places(leader.lane, to)[leader.i];
}
