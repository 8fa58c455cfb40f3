// Live work of the server: its messages, some of which the page may skip, become one growing run.
import { say } from "./words.js";

export class Inbox {
  /** on: {begin(message) -> a new run, merge(run, message), changed(run)} */
  constructor(on) {
    Object.assign(this, { on, run: null, queued: false, ignored: new Set() });
  }

  /** The button was pressed: the server has not answered yet. */
  asked() {
    this.queued = true;
    this.on.changed(null);
  }

  receive(message) {
    if (!message || !message.run || this.ignored.has(message.run)) return;
    this.queued = false;
    if (!this.run || this.run.id !== message.run) this.run = { id: message.run, live: true, ...this.on.begin(message) };
    Object.assign(this.run, { state: message.phase, stage: message.stage, header: message.header });
    this.on.merge(this.run, message);
    this.on.changed(this.run);
  }

  /** Stop was pressed, or the server ended the run: keep what came, and take no more of it. */
  ended() {
    this.queued = false;
    if (this.busy()) {
      this.ignored.add(this.run.id);
      this.run.state = "stopped";
    }
    this.on.changed(null);
  }

  busy() {
    return Boolean(this.run) && ["loading", "running"].includes(this.run.state);
  }
}

/** Take the items of a message that follow those which are there already. */
export function append(items, news) {
  const ordered = Object.values(news).sort((a, b) => a.index - b.index);
  for (const item of ordered) if (item.index === items.length) items.push(item);
}

/** What is being done, how long it has taken and about how long it will: {key, values} in words. */
export function doing(stage, words, label) {
  const { stages } = words;
  const again = stage.stage === "running" && stage.repeats > 1;
  const what = {
    warming: () => say(stages.warming, { label: label(stage.warming) }),
    running: () => say(again ? stages.running_again : stages.running, { ...stage, label: label(stage.method) }),
    examining: () => say(stages.examining, { label: label(stage.examining) }),
    measuring: () => say(stages.measuring, stage),
    batch: () => say(stages.batch, stage),
  }[stage.stage];
  if (!what) return "";
  const parts = [what()];
  if (stage.elapsed !== undefined) parts.push(say(stages.elapsed, stage));
  if (stage.left !== null && stage.left !== undefined) parts.push(say(stages.left, stage));
  return parts.join(" · ");
}

/** Where what is on screen comes from, or what the run that was asked for waits for. */
export function statusLine({ shown, inbox }, words, label = String) {
  const { stages } = words;
  const newest = inbox.run;
  if (inbox.queued) return stages.waiting;
  if (newest && newest.state === "loading") return say(stages.loading, newest.stage);
  if (newest && newest.state === "running") return doing(newest.stage, words, label);
  if (!shown) return stages.nothing;
  return shown.live ? stages[shown.state] : say(stages.recorded, { ...shown.header, date: shown.header.recorded });
}

/** With what it was measured. */
export function setup(header, words) {
  return say(header.device === "cpu" ? words.setup_cpu : words.setup, header);
}

/** Show a recorded run of a place, read once; not if another run was asked for meanwhile. */
export async function openRecorded(view, one) {
  view.wanted = one.url;
  try {
    if (!one.run) {
      const answer = await fetch(view.base + one.url);
      one.run = { ...(await answer.json()), name: one.name };
    }
  } catch {
    if (view.wanted === one.url) view.parts.status.textContent = view.words.stages.unreadable;
    return;
  }
  if (view.wanted === one.url) view.show(one.run);
}
