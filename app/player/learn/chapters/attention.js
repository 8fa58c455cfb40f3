// Tree attention: the mask row by row, linked with the tree.
import { make } from "../../dom.js";
import { eventAt } from "../../phases.js";
import { nodeAt, say, visible } from "../../words.js";
import { sourceOf, TreePicture } from "../parts.js";
import { childrenOf, pathTo, stepOfMask } from "../pick.js";

/** Whom each node sees: [[true, ...]], its ancestors and itself. */
export function maskOf(event) {
  return event.nodes.parent.map((_, i) => {
    const seen = new Set([0, ...pathTo(event, i)]);
    return event.nodes.parent.map((_, j) => seen.has(j));
  });
}

const name = (event, i) => visible(nodeAt(event, i).text);

function prepare({ runs }) {
  const found = stepOfMask(runs);
  if (!found) return null;
  const { event } = found, { depth, parent } = event.nodes;
  // Asked about a deep node that has others before it in the line which are not its ancestors.
  const strangers = (i) => i - pathTo(event, i).length;
  const asked = depth.map((_, i) => i).filter((i) => depth[i] > 1 && strangers(i) > 0).sort((a, b) => depth[b] - depth[a] || strangers(b) - strangers(a))[0];
  const rivals = childrenOf(event).find((list) => list.length > 1);
  if (asked === undefined || !rivals) return null;
  const list = (nodes) => nodes.map((i) => `“${name(event, i)}”`).join(" ");
  const path = [0, ...pathTo(event, asked)];
  const line = parent.map((_, i) => i).filter((i) => i <= asked);
  const level = parent.map((_, i) => i).filter((i) => depth[i] === depth[asked] || i === 0);
  const facts = {
    nodes: parent.length, asked: name(event, asked), a: name(event, rivals[0]), b: name(event, rivals[1]), seen: list(path),
    pruned: event.nodes.fate.split("p").length - 1, layer: event.prune_layer, left: parent.length - (event.nodes.fate.split("p").length - 1), depth: depth[asked],
  };
  return { found, planned: eventAt(event, "grow"), asked, facts, choices: [list(line), list(path), list(level)], right: 1 };
}

/** The mask as a table: a row for each node, a column for the text so far and each node. */
class Mask {
  constructor(event, words, point) {
    Object.assign(this, { event, words, seen: maskOf(event) });
    const cell = (row, column, sees) => make("td", { "data-node": column, class: sees ? "sees" : "" }, make("span", { class: "propd-unseen" }, sees ? words.mask_sees : ""));
    this.rows = this.seen.map((seen, i) => make("tr", {
      tabindex: i ? -1 : 0, "data-node": i, "aria-label": this.label(i), onpointerenter: () => point(i), onfocus: () => point(i), onclick: () => point(i),
    }, make("th", { scope: "row" }, name(event, i)), cell(i, "past", true), ...seen.map((sees, j) => cell(i, j, sees))));
    const head = (text, column) => make("th", { scope: "col", "data-node": column }, make("span", {}, text));
    this.element = make("div", { class: "propd-mask-box" }, make("table", { class: "propd-mask", "aria-label": words.mask_label, onpointerleave: () => point(null), onkeydown: (e) => this.key(e) },
      make("thead", {}, make("tr", {}, make("td", { class: "propd-corner" }, words.mask_corner), head(words.mask_past, "past"), ...this.seen.map((_, j) => head(name(event, j), j)))),
      make("tbody", {}, ...this.rows)));
  }

  label(i) {
    const path = [0, ...pathTo(this.event, i)].map((j) => `“${name(this.event, j)}”`).join(" ");
    return say(this.words.mask_row, { node: name(this.event, i), path });
  }

  /** row: the row that is looked at, or null; gone: nodes that are cut out; blank: a row kept secret. */
  draw({ row, gone, blank, compact }) {
    for (const part of this.element.querySelectorAll("[data-node]")) {
      const node = Number(part.dataset.node);
      part.classList.toggle("gone", gone.has(node));
      part.hidden = compact && gone.has(node);
    }
    this.rows.forEach((line, i) => {
      line.classList.toggle("looked", i === row);
      line.classList.toggle("secret", i === blank);
      line.querySelectorAll("td").forEach((cell) => cell.classList.toggle("gone", gone.has(i) || gone.has(Number(cell.dataset.node))));
    });
  }

  key(event) {
    const at = this.rows.indexOf(document.activeElement), by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (at < 0 || !by) return;
    event.preventDefault();
    event.stopPropagation();
    const open = this.rows.filter((row) => !row.hidden);
    const next = open[Math.max(0, Math.min(open.length - 1, open.indexOf(this.rows[at]) + by))];
    next.focus();
  }
}

class AttentionPicture {
  constructor(lesson, words) {
    Object.assign(this, { lesson, words, step: "line", answered: false, looked: null, closed: false });
    const { planned } = lesson, point = (i) => { this.looked = i; this.draw(); };
    this.told = make("p", { class: "propd-told", "aria-live": "polite" });
    this.tree = new TreePicture(words, { card: false, fates: "rdp", point });
    this.mask = new Mask(planned, words, point);
    this.close_ = make("button", { type: "button", class: "propd-chip", onclick: () => { this.closed = !this.closed; this.draw(); } }, words.mask_compact);
    this.line = make("ol", { class: "propd-line" }, ...planned.nodes.parent.map((_, i) => make("li", { "data-node": i }, make("code", {}, name(planned, i)),
      make("small", {}, say(words.line_position, { depth: planned.nodes.depth[i] })))));
    this.element = make("div", { class: "propd-lesson" }, make("h3", {}, words.mask_title), this.line,
      make("div", { class: "propd-pair" }, this.tree.element, this.mask.element), make("div", { class: "propd-row" }, this.close_), this.told, sourceOf(lesson.found, words));
  }

  draw() {
    const { step, lesson, words } = this, { found, planned, asked } = lesson;
    const cut = step === "cut", compact = cut && this.closed;
    const gone = new Set(cut ? planned.nodes.parent.map((_, i) => i).filter((i) => found.event.nodes.fate[i] === "p") : []);
    const blank = step === "ask" && !this.answered ? asked : null, row = step === "ask" ? asked : this.looked;
    const path = row === null || blank !== null ? [] : [0, ...pathTo(planned, row)];
    const shown = planned.nodes.parent.map((_, i) => !(compact && gone.has(i)));
    this.tree.draw(cut ? eventAt(found.event, "prune") : planned, { phase: cut ? "prune" : "grow", marked: path, selected: row ?? undefined, shown });
    this.mask.draw({ row, gone, blank, compact });
    this.close_.setAttribute("aria-pressed", String(this.closed));
    for (const item of this.line.children) item.classList.toggle("sees", path.includes(Number(item.dataset.node)));
    this.told.textContent = path.length ? this.mask.label(row) : words.mask_hint;
  }

  show(step, answered, fresh) {
    if (fresh) Object.assign(this, { looked: null, closed: false });
    Object.assign(this, { step, answered });
    this.line.hidden = step !== "line";
    this.mask.element.hidden = step === "line";
    this.close_.hidden = step !== "cut";
    this.draw();
  }
}

export const attention = { id: "attention", steps: ["line", "ask", "mask", "cut"], prepare, picture: (lesson, words) => new AttentionPicture(lesson, words) };
