// The text of a run: what was given, what each step wrote, and where the reader is.
import { make } from "./dom.js";
import { pieces } from "./words.js";

export class TextView {
  constructor(box) {
    Object.assign(this, { box, spans: [], marked: -1, written: 0, told: 0 });
  }

  /** Begin the text of another run. given: what the answer was made to begin with. */
  clear(given = "") {
    Object.assign(this, { spans: [], marked: -1, written: 0, told: 0 });
    this.box.replaceChildren();
    if (!given) return;
    const piece = make("span", { class: "propd-piece given" });
    piece.textContent = given;
    this.box.append(piece);
  }

  /** Append the text of events that are not on screen yet; a click on it finds its step. */
  append(events) {
    for (const event of events.slice(this.told)) {
      const step = make("span", { class: "propd-step future", "data-step": event.index });
      for (const { text, kind } of pieces(event)) {
        const piece = make("span", { class: `propd-piece ${kind}` });
        piece.textContent = text;
        step.append(piece);
      }
      this.box.append(step);
      this.spans.push(step);
    }
    this.told = events.length;
  }

  /**
   * Mark the current step and fade what is not written yet; keep the current word in sight.
   * written: how many steps have added their text, the current one perhaps not among them.
   */
  mark(step, written) {
    const { spans } = this;
    if (step === this.marked && written === this.written) return;
    // Only what lies between the old and the new place has changed.
    for (let i = Math.min(this.written, written); i < Math.max(this.written, written); i++) {
      if (spans[i]) spans[i].classList.toggle("future", i >= written);
    }
    this.written = written;
    if (step === this.marked) return;
    if (spans[this.marked]) spans[this.marked].classList.remove("current");
    this.marked = step;
    if (!spans[step]) return;
    spans[step].classList.add("current");
    this.keepInSight(spans[step]);
  }

  /** Scrolls the box only: scrollIntoView would move the whole page. */
  keepInSight(span) {
    const { box } = this;
    const top = span.offsetTop, bottom = top + span.offsetHeight;
    if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight + 8;
    else if (top < box.scrollTop) box.scrollTop = Math.max(0, top - 8);
  }
}
