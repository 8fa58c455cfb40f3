// Time: when the next phase or step is shown. The server never sleeps for it.
import { phasesOf } from "./phases.js";
import { stepMilliseconds } from "./words.js";

const STEP_MS = 2400; // at speed 1: time to read the line of each phase
const SHORTEST_PHASED_MS = 1000; // a faster step shows its end only
const END_SHARE = 2; // the end of a step stays on screen as long as so many other phases

const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Playback {
  /** player: {run, step, phase, place(step, phase), atEnd(), reachedEnd()} */
  constructor(player) {
    Object.assign(this, { player, playing: false, speed: "1", timer: null });
  }

  start() {
    this.stop();
    this.playing = true;
    this.timer = setTimeout(() => this.tick(), Math.min(300, this.stepTime()));
  }

  stop() {
    clearTimeout(this.timer);
    this.playing = false;
  }

  stepTime() {
    const { run, step } = this.player;
    if (this.speed === "real") return Math.max(16, stepMilliseconds(run.events[step]));
    return STEP_MS / Number(this.speed);
  }

  tick() {
    const { player } = this;
    if (player.atEnd()) return void player.reachedEnd();
    const next = this.next();
    player.place(next.step, next.phase);
    const phases = phasesOf(player.run.events[next.step]), whole = this.stepTime();
    const share = this.phased(whole) ? (next.phase === "commit" ? END_SHARE : 1) / (phases.length - 1 + END_SHARE) : 1;
    this.timer = setTimeout(() => this.tick(), whole * share);
  }

  phased(whole) {
    return whole >= SHORTEST_PHASED_MS && !calm();
  }

  /** What comes after what is on screen: the next phase of the step, or the next step. */
  next() {
    const { run, step, phase } = this.player;
    const after = (phases) => phases[phases.indexOf(phase) + 1];
    if (phase !== "commit") return { step, phase: after(phasesOf(run.events[step])) || "commit" };
    const first = phasesOf(run.events[step + 1])[0];
    return { step: step + 1, phase: this.phased(this.stepTime()) ? first : "commit" };
  }
}
