// Puts the figures on the page with Plotly and hands back what the reader points at.
import { CONFIG, sizeFigure, sizeSentence, treeFigure } from "./figures.js";
import { nodeAt, visible } from "./words.js";

/** The colours of the page, so that light, dark and custom themes all work. */
function inks(element) {
  const style = getComputedStyle(element);
  const colour = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  return {
    ink: colour("--propd-ink", "#1f2937"), faint: colour("--propd-faint", "#6b7280"),
    grid: colour("--propd-grid", "#e5e7eb"), blue: colour("--propd-bonus", "#0072B2"),
  };
}

/** One Plotly in one window: the file the server itself holds, loaded once. */
export function loadPlotly(url) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("plotly"));
    document.head.append(script);
  });
}

export class Charts {
  /** on: {point(index), leave(), pick(index)} */
  constructor(parts, words, on) {
    Object.assign(this, { parts, words, on, listening: false, focused: 0 });
  }

  draw(event, phase, selected, runChanged) {
    if (!window.Plotly) return;
    this.event = event;
    const { tree, treeBox } = this.parts;
    const narrow = treeBox.clientWidth < 560;
    const options = { width: treeBox.clientWidth, height: treeBox.clientHeight - 4, vertical: narrow, phase, selected, words: this.words, ...inks(treeBox) };
    const figure = treeFigure(event, options);
    window.Plotly.react(tree, figure.data, figure.layout, CONFIG);
    this.listen();
    this.makeFocusable(figure.data[figure.data.length - 1].customdata);
    if (runChanged) this.showAccepted(event, figure.points, narrow);
  }

  drawSize(event) {
    const { size, sizeText } = this.parts;
    sizeText.textContent = sizeSentence(event, this.words);
    const figure = window.Plotly && sizeFigure(event, { width: size.clientWidth, height: 260, words: this.words, ...inks(size) });
    size.classList.toggle("empty", !figure);
    if (figure) window.Plotly.react(size, figure.data, figure.layout, CONFIG);
  }

  listen() {
    if (this.listening) return;
    this.listening = true;
    const index = (data) => data.points[0] && data.points[0].customdata;
    this.parts.tree.on("plotly_hover", (data) => index(data) !== undefined && this.on.point(index(data)));
    this.parts.tree.on("plotly_unhover", () => this.on.leave());
    this.parts.tree.on("plotly_click", (data) => index(data) !== undefined && this.on.pick(index(data)));
  }

  /** A tree larger than its window opens at the accepted path. */
  showAccepted(event, points, vertical) {
    const last = points[event.bonus ? event.bonus.parent[0] : 0];
    const box = this.parts.treeBox;
    // In the direction of growth, all that came before if the bonus has room behind it.
    const along = (length) => Math.max(length / 2, length - 150);
    const { clientWidth, clientHeight } = box;
    box.scrollTop = last.y - (vertical ? along(clientHeight) : clientHeight / 2);
    box.scrollLeft = last.x - (vertical ? clientWidth / 2 : along(clientWidth));
  }

  marks() {
    return [...this.parts.tree.querySelectorAll(".scatterlayer .trace:last-child .points path")];
  }

  /** One tab stop for the tree; up and down arrows walk from node to node. */
  makeFocusable(seen) {
    this.marks().forEach((path, i) => {
      const node = seen[i];
      path.setAttribute("tabindex", i === 0 ? "0" : "-1");
      path.setAttribute("role", "img");
      const told = nodeAt(this.event, node);
      const parts = [visible(told.text), this.words.fates[told.fate], this.words.sources[told.source]];
      path.setAttribute("aria-label", parts.filter(Boolean).join(", "));
      path.onfocus = () => { this.focused = i; this.on.focus(node); };
      path.onblur = () => this.on.leave();
    });
  }

  /** Move the focus among the nodes; true when a node had it. */
  walk(step) {
    const marks = this.marks();
    if (!marks.includes(document.activeElement)) return false;
    const next = marks[Math.max(0, Math.min(marks.length - 1, this.focused + step))];
    next.focus({ preventScroll: false });
    return true;
  }
}
