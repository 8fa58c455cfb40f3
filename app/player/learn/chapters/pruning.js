// Early pruning: what layer e already knows, which branch survives, and what a wrong cut costs.
import { make } from "../../dom.js";
import { eventAt } from "../../phases.js";
import { nodeAt, ordinal, say, visible } from "../../words.js";
import { cutFigure, layerFigure } from "../figures.js";
import { badge, Chart, Slider, sourceOf, sourceOfTable, TreePicture } from "../parts.js";
import { branchesOf, lost, pruningToll, stepOfLoss, stepOfPruning } from "../pick.js";
import { cutAt, shareAt } from "../tables.js";

const percent = (share) => `${Math.round(100 * share)}%`;
const name = (event, i) => visible(nodeAt(event, i).text);

/** Values of k to slide over: fine where few tokens more matter, coarse where not. */
const CUTS = [1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 51, 60, 80, 100, 150, 200, 300, 500];
const cutsWith = (k) => [...new Set([...CUTS, k])].sort((a, b) => a - b);

function prepare({ runs, recall }, words) {
  const found = stepOfPruning(runs), wrong = stepOfLoss(runs);
  const layer = found && String(found.event.prune_layer);
  if (!found || !recall || !recall.head[layer]) return null;
  const branches = branchesOf(found.event), toll = pruningToll(runs);
  const k = found.event.prune_top_k, survivor = branches.findIndex(({ survives }) => survives);
  const facts = {
    layer, layers: recall.about.layers, k, recall: percent(shareAt(recall.k, recall.head[layer].recall, k)), lens: percent(shareAt(recall.k, recall.lens[layer].recall, k)),
    guessed: percent(shareAt(recall.k, recall.head[layer].recall_of_guessed, k)), wrong: percent(1 - shareAt(recall.k, recall.head[layer].wrong_kept, k)),
    root: name(found.event, 0), survivor: name(found.event, branches[survivor].node), ...cutFacts(found.event),
    positions: recall.about.positions, share: percent(toll.pruned / toll.drafted), lost: toll.lost, right: toll.right, ...lossFacts(wrong, words),
  };
  return { found, wrong, recall, layer, branches, k, facts, choices: branches.map(({ node }) => name(found.event, node)), right: survivor };
}

function cutFacts(event) {
  const drafted = event.nodes.fate.length - 1, pruned = event.nodes.fate.split("p").length - 1;
  return { drafted, pruned, verified: drafted - pruned };
}

function lossFacts(wrong, words) {
  if (!wrong) return { loss: "", loss_rank: "", loss_parent: "", loss_k: "" };
  const node = lost(wrong.event);
  return { loss: name(wrong.event, node), loss_rank: ordinal(wrong.event.nodes.early_rank[node] + 1, words), loss_parent: name(wrong.event, wrong.event.nodes.parent[node]), loss_k: wrong.event.prune_top_k };
}

/** What early layers know: two charts, for one of the trained early heads and a k. */
class Knowledge {
  constructor({ recall, layer }, words, change) {
    Object.assign(this, { recall, words, layer });
    this.byLayer = new Chart(words.recall_chart, 270);
    this.byCut = new Chart(words.cut_chart, 270);
    const chip = (one) => make("button", { type: "button", class: "propd-chip", "data-layer": one, onclick: () => { this.layer = one; change(); } }, say(words.layer_chip, { layer: one }));
    this.chips = make("div", { class: "propd-runs", role: "group", "aria-label": words.layer_choice }, ...Object.keys(recall.head).sort((a, b) => a - b).map(chip));
    this.element = make("div", { class: "propd-stack" }, this.chips, make("div", { class: "propd-pair" }, this.byLayer.element, this.byCut.element));
  }

  /** Draw; returns the sentence about it. */
  draw(k) {
    const { recall, words, layer } = this, head = recall.head[layer];
    for (const chip of this.chips.children) chip.setAttribute("aria-pressed", String(chip.dataset.layer === layer));
    this.byLayer.draw((options) => layerFigure(recall, k, layer, options), words);
    this.byCut.draw((options) => cutFigure(recall, k, layer, options), words);
    return say(words.knows_told, { k, layer, right: percent(shareAt(recall.k, head.recall_of_guessed, k)), wrong: percent(1 - shareAt(recall.k, head.wrong_kept, k)) });
  }
}

class PruningPicture {
  constructor(lesson, words) {
    const { k } = lesson, cuts = cutsWith(k);
    Object.assign(this, { lesson, words, cuts, step: "knows", answered: false });
    this.heading = make("h3", {});
    this.told = make("p", { class: "propd-told", "aria-live": "polite" });
    this.under = make("div", {});
    this.knowledge = new Knowledge(lesson, words, () => this.draw());
    this.tree = new TreePicture(words, { fates: "raxpb" });
    this.slider = new Slider(words.k_slider, { min: 0, max: cuts.length - 1, value: cuts.indexOf(k), tell: (at) => `k = ${cuts[at]}` }, () => this.draw());
    const back = make("button", { type: "button", class: "propd-chip", onclick: () => { this.slider.value = cuts.indexOf(k); this.draw(); } }, say(words.k_recorded, { k }));
    this.controls = make("div", { class: "propd-row" }, this.slider.element, back);
    this.element = make("div", { class: "propd-lesson" }, this.heading, this.knowledge.element, this.tree.element, this.controls, this.told, this.under);
  }

  /** The recorded step that this part of the chapter is about. */
  get shown() {
    return this.step === "lost" && this.lesson.wrong ? this.lesson.wrong : this.lesson.found;
  }

  /** The tree before anybody knows what survives. */
  drawQuestion() {
    const { found, branches } = this.lesson;
    this.tree.draw(eventAt(found.event, "grow"), { phase: "grow", marked: branches.map(({ node }) => node) });
    return this.words.branch_hint;
  }

  /** The tree as a k leaves it; returns the sentence about it. */
  drawCut(k) {
    const { words, lesson, shown: { event } } = this;
    const [cut, counts] = cutAt(event, k), wrong = event === lesson.wrong?.event;
    const chosen = wrong ? lost(event) : lesson.branches.find(({ survives }) => !survives).node;
    this.tree.draw(k === event.prune_top_k ? event : cut, { chosen, marked: wrong ? [chosen] : [] });
    const more = counts.gone ? say(words.cut_gone, counts) : counts.unknown ? say(words.cut_unknown, counts) : "";
    return `${say(words.cut_told, { ...counts, all: counts.kept + counts.cut, k, layer: lesson.layer })} ${more}`.trim();
  }

  draw() {
    const { step, answered, words, lesson } = this, k = step === "ask" ? lesson.k : this.cuts[this.slider.value];
    const knows = step === "knows", asks = step === "ask" && !answered;
    this.knowledge.element.hidden = !knows;
    this.tree.element.hidden = knows;
    this.controls.hidden = step === "ask";
    this.heading.replaceChildren(words.pruning_titles[step === "ask" && answered ? "cut" : step], ...(knows ? [" ", badge(words, "measured")] : []));
    this.told.textContent = knows ? this.knowledge.draw(k) : asks ? this.drawQuestion() : this.drawCut(k);
    this.under.replaceChildren(knows ? sourceOfTable(lesson.recall.about, "propd accuracy --early", words) : sourceOf(this.shown, words));
  }

  show(step, answered, fresh) {
    Object.assign(this, { step, answered });
    if (fresh) this.slider.value = this.cuts.indexOf(this.lesson.k);
    this.draw();
  }
}

export const pruning = { id: "pruning", steps: ["knows", "ask", "cut", "lost"], prepare, picture: (lesson, words) => new PruningPicture(lesson, words) };
