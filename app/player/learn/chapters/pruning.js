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

function prepare({ runs, recall }) {
  const found = stepOfPruning(runs), wrong = stepOfLoss(runs);
  const layer = found && String(found.event.prune_layer);
  if (!found || !recall || !recall.head[layer]) return null;
  const branches = branchesOf(found.event), toll = pruningToll(runs);
  const k = found.event.prune_top_k, survivor = branches.findIndex(({ survives }) => survives);
  const facts = {
    layer, layers: recall.about.layers, k, recall: percent(shareAt(recall.k, recall.head[layer].recall, k)), lens: percent(shareAt(recall.k, recall.lens[layer].recall, k)),
    guessed: percent(shareAt(recall.k, recall.head[layer].recall_of_guessed, k)), wrong: percent(1 - shareAt(recall.k, recall.head[layer].wrong_kept, k)),
    root: name(found.event, 0), survivor: name(found.event, branches[survivor].node), ...cutFacts(found.event),
    positions: recall.about.positions, share: percent(toll.pruned / toll.drafted), lost: toll.lost, right: toll.right, ...lossFacts(wrong),
  };
  return { found, wrong, recall, layer, branches, k, facts, choices: branches.map(({ node }) => name(found.event, node)), right: survivor };
}

function cutFacts(event) {
  const drafted = event.nodes.fate.length - 1, pruned = event.nodes.fate.split("p").length - 1;
  return { drafted, pruned, verified: drafted - pruned };
}

function lossFacts(wrong) {
  if (!wrong) return { loss: "", loss_rank: "", loss_parent: "", loss_k: "" };
  const node = lost(wrong.event);
  return { loss: name(wrong.event, node), loss_rank: ordinal(wrong.event.nodes.early_rank[node] + 1), loss_parent: name(wrong.event, wrong.event.nodes.parent[node]), loss_k: wrong.event.prune_top_k };
}

function picture(lesson, words) {
  const { found, wrong, recall, layer, branches, k } = lesson;
  const cuts = cutsWith(k);
  const heading = make("h3", {}), told = make("p", { class: "propd-told", "aria-live": "polite" }), under = make("div", {});
  const byLayer = new Chart(words.recall_chart, 270), byCut = new Chart(words.cut_chart, 270);
  const charts = make("div", { class: "propd-pair" }, byLayer.element, byCut.element);
  const tree = new TreePicture(words, { fates: "raxpb" });
  const trained = Object.keys(recall.head).sort((a, b) => a - b);
  const layers = make("div", { class: "propd-runs", role: "group", "aria-label": words.layer_choice }, ...trained.map((one) =>
    make("button", { type: "button", class: "propd-chip", "data-layer": one, onclick: () => { seen = one; draw(); } }, say(words.layer_chip, { layer: one }))));
  let seen = layer;
  let step = "knows", answered = false;
  const slider = new Slider(words.k_slider, { min: 0, max: cuts.length - 1, value: cuts.indexOf(k), tell: (at) => `k = ${cuts[at]}` }, () => draw());
  const back = make("button", { type: "button", class: "propd-chip", onclick: () => { slider.value = cuts.indexOf(k); draw(); } }, say(words.k_recorded, { k }));
  const controls = make("div", { class: "propd-row" }, slider.element, back);
  const element = make("div", { class: "propd-lesson" }, heading, layers, charts, tree.element, controls, told, under);

  function drawKnows(now) {
    byLayer.draw((options) => layerFigure(recall, now, seen, options), words);
    byCut.draw((options) => cutFigure(recall, now, seen, options), words);
    for (const chip of layers.children) chip.setAttribute("aria-pressed", String(chip.dataset.layer === seen));
    const head = recall.head[seen];
    told.textContent = say(words.knows_told, {
      k: now, layer: seen, right: percent(shareAt(recall.k, head.recall_of_guessed, now)), wrong: percent(1 - shareAt(recall.k, head.wrong_kept, now)),
    });
  }

  function drawTree(now) {
    const { event } = step === "lost" ? wrong || found : found;
    if (step === "ask" && !answered) {
      tree.draw(eventAt(event, "grow"), { phase: "grow", marked: branches.map(({ node }) => node) });
      told.textContent = words.branch_hint;
      return;
    }
    const same = now === event.prune_top_k;
    const [cut, counts] = same ? [event, cutAt(event, now)[1]] : cutAt(event, now);
    const chosen = step === "lost" && wrong ? lost(event) : branches.find(({ survives }) => !survives)?.node ?? null;
    tree.draw(cut, { chosen, marked: step === "lost" && wrong ? [chosen] : [] });
    told.textContent = say(words.cut_told, { ...counts, all: counts.kept + counts.cut, k: now, layer }) + (counts.gone ? " " + say(words.cut_gone, counts) : counts.unknown ? " " + say(words.cut_unknown, counts) : "");
  }

  function draw() {
    const now = cuts[slider.value], knows = step === "knows";
    charts.hidden = layers.hidden = !knows;
    tree.element.hidden = knows;
    controls.hidden = step === "ask";
    heading.replaceChildren(words.pruning_titles[step === "ask" && answered ? "cut" : step], ...(knows ? [" ", badge(words, "measured")] : []));
    if (knows) drawKnows(now);
    else drawTree(step === "ask" ? k : now);
    under.replaceChildren(knows ? sourceOfTable(recall.about, "propd accuracy --early", words) : sourceOf(step === "lost" && wrong ? wrong : found, words));
  }

  return {
    element,
    show(name_, answered_, fresh) {
      [step, answered] = [name_, answered_];
      if (fresh) slider.value = cuts.indexOf(k);
      draw();
    },
  };
}

export const pruning = { id: "pruning", steps: ["knows", "ask", "cut", "lost"], prepare, picture };
