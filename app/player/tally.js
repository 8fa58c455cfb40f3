// The figures of a comparison as pure functions of its events; app/tally.py counts the same.

export const PLAIN = "autoregressive";

/** Milliseconds by phase for each token; the prefill is a phase of its own. */
function timesOf(events, tokens) {
  const sums = {};
  for (const event of events) {
    for (const [phase, ms] of Object.entries(event.milliseconds)) {
      const name = event.kind === "prefill" ? "prefill" : phase;
      sums[name] = (sums[name] || 0) + ms;
    }
  }
  return Object.fromEntries(Object.entries(sums).map(([name, ms]) => [name, ms / Math.max(tokens, 1)]));
}

/** The figures of one run; shares and means of nothing are null. */
export function figures(events) {
  const sums = { tokens: 0, steps: 0, decoded: 0, drafted: 0, pruned: 0, seconds: 0 };
  for (const event of events) {
    const fate = event.nodes.fate;
    sums.tokens += event.token_ids.length;
    sums.drafted += fate.length - 1;
    sums.pruned += fate.split("p").length - 1;
    sums.seconds = event.elapsed_s;
    if (event.kind !== "decode") continue;
    sums.steps += 1;
    sums.decoded += event.token_ids.length;
  }
  const over = (value, count) => (count ? value / count : null);
  return {
    tokens: sums.tokens, seconds: sums.seconds,
    speed: over(sums.tokens, sums.seconds),
    passes: over(sums.decoded, sums.steps),
    size: over(sums.drafted, sums.steps),
    verified: over(sums.drafted - sums.pruned, sums.tokens),
    pruned: over(sums.pruned, sums.drafted),
    times: timesOf(events, sums.tokens),
  };
}

/** Tokens per second of each repeat that is over; of what there is, if none is. */
export function speedsOf(run) {
  if (run.repeats.length) return run.repeats.map(({ tokens, seconds }) => (seconds ? tokens / seconds : 0));
  const { speed } = figures(run.events);
  return speed ? [speed] : [];
}

/** Median, least and greatest; null of nothing. */
export function spread(values) {
  if (!values.length) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  return { median, low: sorted[0], high: sorted[sorted.length - 1] };
}

/** Plain decoding if it ran, else the slowest; null before anything ran. runs: by method. */
export function baselineOf(runs) {
  const ran = Object.keys(runs).filter((method) => speedsOf(runs[method]).length);
  if (ran.includes(PLAIN)) return PLAIN;
  const speed = (method) => spread(speedsOf(runs[method])).median;
  return ran.sort((a, b) => speed(a) - speed(b))[0] ?? null;
}

/** Ratios repeat by repeat: the runs of a repeat ran one right after the other. */
export function speedUps(run, plain) {
  const base = speedsOf(plain);
  return speedsOf(run).slice(0, base.length).map((speed, i) => (base[i] ? speed / base[i] : 0));
}

/** A row of the table for each method that has events: its figures with their spread. */
export function tableOf(runs) {
  const baseline = baselineOf(runs);
  return Object.entries(runs).filter(([, run]) => run.events.length).map(([method, run]) => ({
    method,
    baseline: method === baseline,
    ...figures(run.events),
    speeds: spread(speedsOf(run)),
    ups: baseline ? spread(speedUps(run, runs[baseline])) : null,
  }));
}
