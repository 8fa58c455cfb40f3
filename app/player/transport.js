// Playing, pausing and scrubbing along a line of positions; what stands there is the owner's matter.
import { icon, make } from "./dom.js";

const SPEEDS = ["0.25", "0.5", "1", "2", "4"];
const FINE = 1000; // steps of the scrubber for each unit

/** Whether the reader asked for less movement. */
export const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Transport {
  /**
   * line: {start(), end(), rate(), after(position, direction), told(position), changed()}.
   * rate: positions a second at speed 1; after: where something changes next; told: in words.
   */
  constructor(words, line) {
    Object.assign(this, { words, line, position: 0, playing: false, speed: 1 });
    const button = (name, onclick) => make("button", {
      type: "button", class: "propd-button " + name, "aria-label": words[name], title: words[name], onclick,
    }, icon(name));
    this.button = button("play", () => this.toggle());
    this.scrub = make("input", {
      type: "range", min: 0, max: 0, value: 0, class: "propd-scrub", "aria-label": words.scrub,
      oninput: (event) => this.seek(Number(event.target.value) / FINE),
    });
    this.place = make("span", { class: "propd-place" });
    const option = (value) => make("option", { value, selected: value === "1" }, `${value}×`);
    const speed = make("select", {
      class: "propd-speed", "aria-label": words.speed, title: words.speed,
      onchange: (event) => { this.speed = Number(event.target.value); },
    }, ...SPEEDS.map(option));
    this.bar = make("div", { class: "propd-controls", role: "group" },
      button("first", () => this.seek(-Infinity)), button("previous", () => this.jump(-1)), this.button,
      button("next", () => this.jump(1)), button("last", () => this.seek(Infinity)), this.scrub, this.place, speed);
  }

  /** Go to a position; play no further. */
  seek(position) {
    this.pause();
    this.set(position);
  }

  set(position) {
    this.position = Math.max(this.line.start(), Math.min(position, this.line.end()));
    this.line.changed();
  }

  jump(direction) {
    this.seek(this.line.after(this.position, direction));
  }

  play() {
    if (this.position >= this.line.end()) this.position = this.line.start();
    this.playing = true;
    this.since = performance.now();
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame((now) => this.tick(now));
    this.line.changed();
  }

  pause() {
    this.playing = false;
    cancelAnimationFrame(this.frame);
    this.line.changed();
  }

  toggle() {
    if (this.playing) this.pause(); else this.play();
  }

  tick(now) {
    if (!this.playing) return;
    const spent = Math.max(0, now - this.since) / 1000;
    this.since = now;
    const next = this.position + spent * this.speed * this.line.rate();
    if (next >= this.line.end()) return this.seek(Infinity);
    this.set(next);
    this.frame = requestAnimationFrame((later) => this.tick(later));
  }

  /** The keys of a player; true when it was one of them. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const tag = event.target.tagName;
    const typed = tag === "INPUT" || tag === "SELECT" || tag === "TEXTAREA";
    if (typed || (event.key === " " && (tag === "BUTTON" || tag === "SUMMARY"))) return;
    const actions = {
      " ": () => this.toggle(), k: () => this.toggle(),
      Home: () => this.seek(-Infinity), End: () => this.seek(Infinity),
      ArrowLeft: () => this.jump(-1), ArrowRight: () => this.jump(1),
    };
    if (!actions[event.key]) return;
    actions[event.key]();
    event.preventDefault();
  }

  draw() {
    const { words, line } = this;
    const name = this.playing ? "pause" : "play";
    if (this.button.getAttribute("aria-label") !== words[name]) {
      this.button.replaceChildren(icon(name));
      this.button.setAttribute("aria-label", words[name]);
      this.button.title = words[name];
    }
    this.scrub.min = line.start() * FINE;
    this.scrub.max = Math.ceil(line.end() * FINE);
    this.scrub.value = this.position * FINE;
    this.place.textContent = line.told(this.position);
    this.scrub.setAttribute("aria-valuetext", this.place.textContent);
  }
}
