// One method of a race seen large: its text so far, its tree, and what one points at.
import { make, mark } from "./dom.js";
import { TextView } from "./text_view.js";
import { TreeView } from "./tree_view.js";
import { caption, nodeAt, visible, why } from "./words.js";

const PAUSE = 50; // ms between two pictures of a tree while the race runs: more looks no smoother

/** What became of a node, for a line of text; because: and why. */
export function pointed(event, i, words, because = "") {
  const node = nodeAt(event, i);
  return [make("code", {}, visible(node.text) || "∅"), " ",
    make("span", { class: "propd-fate" }, mark(node.fate), words.fates[node.fate]), " ", because];
}

export class Column {
  constructor(method, label, words) {
    Object.assign(this, { method, label, words, event: undefined, lane: null, drawn: 0, pinned: null });
    this.numbers = make("span", { class: "propd-so-far" });
    const textBox = make("div", { class: "propd-text", role: "region", "aria-label": `${label}: ${words.text}`, tabindex: 0 });
    this.caption = make("p", { class: "propd-caption" });
    this.treeBox = make("div", { class: "propd-small-tree", role: "group" }, make("div", { class: "propd-tree" }));
    this.card = make("p", { class: "propd-point" });
    this.root = make("section", { class: "propd-column", "aria-label": label },
      make("div", { class: "propd-column-head" }, make("h3", {}, label), this.numbers),
      textBox, this.caption, this.treeBox, this.card);
    this.text = new TextView(textBox);
    this.tree = new TreeView(this.treeBox, words, {
      point: (i) => this.tell(i ?? this.pinned),
      pick: (i) => { this.pinned = this.pinned === i ? null : i; this.paint(); },
    });
  }

  /** Show the event i of a lane; while moving, only the text is always up to date. */
  show(lane, i, numbers, moving) {
    if (this.lane !== lane.events) {
      Object.assign(this, { lane: lane.events, event: undefined });
      this.text.clear();
    }
    this.text.append(lane.events);
    this.text.mark(i, i + 1);
    this.followText(i);
    this.numbers.textContent = numbers;
    const event = i < 0 ? null : lane.events[i];
    const now = performance.now();
    if (event === this.event || (moving && event && this.event && now - this.drawn < PAUSE)) return;
    Object.assign(this, { event, drawn: now, pinned: null });
    this.paint();
  }

  /** What is still to come is hidden, so the line that grows stands at the bottom. */
  followText(i) {
    const { box, spans } = this.text;
    const bottom = spans[i] ? spans[i].offsetTop + spans[i].offsetHeight : 0;
    box.scrollTop = Math.max(0, bottom - box.clientHeight + 4);
  }

  paint() {
    const said = this.event ? caption(this.event, this.words) : this.words.not_yet;
    this.caption.textContent = said;
    this.treeBox.setAttribute("aria-label", said);
    this.treeBox.classList.toggle("empty", !this.event);
    if (this.event) this.tree.draw(this.event, { small: true, selected: this.pinned });
    this.tell(this.pinned);
  }

  tell(i) {
    const known = this.event && i !== null && i !== undefined;
    this.card.replaceChildren(...(known ? pointed(this.event, i, this.words, why(this.event, i, this.words)) : [this.words.card_hint]));
  }

  /** Keys of the tree; false when they mean nothing here. */
  key(event) {
    if (event.key === "Enter") return this.tree.pickFocused();
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    return Boolean(step) && this.tree.walk(step);
  }
}
