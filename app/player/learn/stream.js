// One token, one pass: all weights stream from memory through the processor, again and again.
import { make } from "../dom.js";
import { say } from "../words.js";
import { calm, metric } from "./parts.js";

export const SLOWER = 20; // times slower on screen than it ran
const AT_FIRST = 6; // tokens that are written without being asked for

export class Stream {
  /** tokens: texts to write; told: {layers, mb, one (ms of a pass)}. */
  constructor(tokens, told, words) {
    Object.assign(this, { tokens, told, words, written: 0, wanted: 0, timer: null });
    this.layers = Array.from({ length: told.layers }, () => make("i", {}));
    this.text = make("p", { class: "propd-written", "aria-live": "off" });
    this.metrics = make("dl", { class: "propd-metrics" });
    this.button = make("button", { type: "button", class: "propd-chip", onclick: () => this.write(1) }, words.write_token);
    this.element = make("div", { class: "propd-stack" },
      make("div", { class: "propd-stream", role: "img", "aria-label": say(words.stream_label, told) },
        make("div", { class: "propd-memory" }, make("h4", {}, say(words.stream_memory, told)), make("div", { class: "propd-layers" }, ...this.layers)),
        this.feed = make("div", { class: "propd-feed" }, ...Array.from({ length: 5 }, () => make("i", {}))),
        make("div", { class: "propd-processor" }, make("h4", {}, words.stream_processor), this.chip = make("code", {}, words.caret))),
      this.text, this.metrics, make("div", { class: "propd-row" }, this.button, make("span", { class: "propd-source" }, say(words.stream_pace, { times: SLOWER }))));
  }

  /** Write so many more tokens, a pass for each. */
  write(count) {
    this.wanted = Math.min(this.tokens.length, this.wanted + count);
    if (!this.timer) this.pass();
  }

  begin() {
    this.stop();
    this.written = this.wanted = 0;
    this.draw();
    this.write(AT_FIRST);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.wanted = this.written;
    this.element.classList.remove("running");
  }

  pass() {
    if (this.written >= this.wanted) return void this.stop();
    const time = calm() ? 0 : SLOWER * this.told.one;
    this.element.classList.toggle("running", time > 0);
    this.chip.textContent = this.tokens[this.written - 1]?.trim() || this.words.caret;
    if (time) {
      this.layers.forEach((layer, i) => layer.animate([{ opacity: 0.3 }, { opacity: 1, offset: 0.5 }, { opacity: 0.3 }],
        { duration: (3 * time) / this.layers.length, delay: (i * time) / (this.layers.length + 2) }));
    }
    this.timer = setTimeout(() => { this.written += 1; this.draw(); this.timer = null; this.pass(); }, time);
  }

  draw() {
    const { told, words, written } = this;
    this.text.replaceChildren(make("span", {}, this.tokens.slice(0, written).join("")), make("span", { class: "propd-caret" }, words.caret));
    this.metrics.replaceChildren(metric(String(written), words.stream_tokens), metric((written * told.mb).toLocaleString("en"), words.stream_mb),
      metric((written * told.one).toFixed(0), words.stream_ms));
    this.button.disabled = written >= this.tokens.length;
  }
}
