// One row of a batch: its name and its small tree.
import { make } from "./dom.js";
import { TreeView } from "./tree_view.js";
import { say } from "./words.js";

export class Cell {
  /** tell: called with the event and the node that is pointed at, or with nothing. */
  constructor(row, words, tell) {
    Object.assign(this, { row, words, event: null });
    this.name = make("span", { class: "propd-cell-name" });
    const box = make("div", { class: "propd-cell-tree", role: "group" }, make("div", { class: "propd-tree" }));
    this.box = box;
    this.root = make("section", { class: "propd-cell" }, this.name, box);
    const point = (i) => (i === null ? tell() : tell(this.event, i));
    this.tree = new TreeView(box, words, { point, pick: point });
  }

  /** The event of this row in the pass on screen; null when the row has ended. */
  show(event) {
    this.event = event;
    const told = { row: this.row + 1, nodes: event ? event.nodes.fate.length - 1 : 0 };
    this.name.textContent = say(event ? this.words.row_name : this.words.row_ended, told);
    this.box.setAttribute("aria-label", this.name.textContent);
    this.box.classList.toggle("empty", !event);
    if (event) this.tree.draw(event, { small: true });
  }
}
