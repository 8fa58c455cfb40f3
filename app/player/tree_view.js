// A token tree on the page: drawn, pointed at, and walked through with the keyboard.
import { inks } from "./charts.js";
import { treeFigure } from "./figures.js";
import { drawTree } from "./svg.js";
import { nodeAt, visible } from "./words.js";

const NARROW = 560; // a box this narrow lets the tree grow down
const ROW = 24, LOWEST = 200, TALLEST = 460; // px of a row, and of a box
const NEAR = 16; // px around a marker or its label that still mean it

/** The node at a place of the picture, or undefined. labels: what stands behind each of `points`. */
export function nodeNear(points, labels, x, y, vertical) {
  let nearest, least = NEAR * NEAR;
  points.forEach((point, i) => {
    const end = vertical ? point.x : point.x + 12 + 7.3 * labels[i].length;
    const dx = x < point.x ? point.x - x : Math.max(0, x - end), dy = Math.abs(y - point.y);
    const apart = dx * dx + dy * dy;
    if (apart < least) [nearest, least] = [i, apart];
  });
  return nearest;
}

export class TreeView {
  /** box scrolls; on: {point(node or null), pick(node)}, both of nodes of the event. */
  constructor(box, words, on) {
    Object.assign(this, { box, words, on, marks: [], seen: [], focused: 0 });
    this.tree = box.firstElementChild;
    this.tree.addEventListener("pointermove", (e) => this.on.point(this.under(e) ?? null));
    this.tree.addEventListener("pointerleave", () => this.on.point(null));
    this.tree.addEventListener("click", (e) => { const node = this.under(e); if (node !== undefined) this.on.pick(node); });
  }

  under(event) {
    if (!this.shown) return undefined;
    const frame = this.tree.getBoundingClientRect();
    const at = nodeNear(this.shown.points, this.shown.labels, event.clientX - frame.left, event.clientY - frame.top, this.vertical);
    return at === undefined ? undefined : this.seen[at];
  }

  /** A wide box is as tall as the largest tree of the run, so that nothing jumps from step to step. */
  fit(events) {
    if (events !== this.fitted) Object.assign(this, { fitted: events, counted: 0, leaves: 0 });
    if (events.length === this.counted) return;
    for (const { nodes } of events.slice(this.counted)) {
      this.leaves = Math.max(this.leaves, nodes.parent.length - new Set(nodes.parent).size + 1);
    }
    this.counted = events.length;
    this.box.style.setProperty("--tall", `${Math.max(LOWEST, Math.min(TALLEST, ROW * this.leaves + 48))}px`);
  }

  /**
   * options: {phase, selected, fresh}, and more for `treeFigure`; fresh: another step, so the picture
   * scrolls to what counts.
   */
  draw(event, { phase, selected, fresh, ...more } = {}) {
    const { box } = this;
    if (!box.clientWidth) return;
    this.event = event;
    this.vertical = box.clientWidth < NARROW && !more.small;
    const held = this.marks.indexOf(document.activeElement);
    const figure = treeFigure(event, {
      width: box.clientWidth, height: box.clientHeight - 4, vertical: this.vertical, phase, selected, words: this.words, ...more, ...inks(box),
    });
    const trace = figure.data[figure.data.length - 1];
    this.seen = trace.customdata;
    this.shown = { points: this.seen.map((i) => figure.points[i]), labels: trace.text };
    this.marks = drawTree(this.tree, figure);
    this.makeFocusable(phase, selected);
    if (held >= 0) (this.marks[held] || this.marks[0]).focus({ preventScroll: true });
    if (fresh) this.showAccepted(figure.points);
  }

  /** A tree larger than its window opens at the accepted path. */
  showAccepted(points) {
    const { box, event } = this;
    const last = points[event.bonus ? event.bonus.parent[0] : 0];
    // In the direction of growth, all that came before if the bonus has room behind it.
    const along = (length) => Math.max(length / 2, length - 150);
    const { clientWidth, clientHeight } = box;
    box.scrollTop = last.y - (this.vertical ? along(clientHeight) : clientHeight / 2);
    box.scrollLeft = last.x - (this.vertical ? clientWidth / 2 : along(clientWidth));
  }

  /** One tab stop for the tree; up and down arrows walk from node to node. */
  makeFocusable(phase, selected) {
    this.focused = Math.min(this.focused, this.marks.length - 1);
    this.marks.forEach((mark, i) => {
      const node = this.seen[i];
      const { text, fate, source } = nodeAt(this.event, node);
      const told = [visible(text), phase === undefined || phase === "commit" ? this.words.fates[fate] : "", this.words.sources[source]];
      mark.setAttribute("tabindex", i === this.focused ? "0" : "-1");
      mark.setAttribute("role", "button");
      mark.setAttribute("aria-label", told.filter(Boolean).join(this.words.comma));
      mark.setAttribute("aria-pressed", String(node === selected));
      mark.onfocus = () => { this.focused = i; this.on.point(node); };
      mark.onblur = () => this.on.point(null);
    });
  }

  /** Move the focus among the nodes; false when no node had it. */
  walk(step) {
    if (!this.marks.includes(document.activeElement)) return false;
    this.marks[Math.max(0, Math.min(this.marks.length - 1, this.focused + step))].focus();
    return true;
  }

  /** Pick the node that has the focus; false when none has. */
  pickFocused() {
    const at = this.marks.indexOf(document.activeElement);
    if (at < 0) return false;
    this.on.pick(this.seen[at]);
    return true;
  }
}
