// Draft heads and guesses of the text: where the guesses come from.
import { make, mark } from "../../dom.js";
import { ordinal, say, visible } from "../../words.js";
import { badge, sourceOf, tail } from "../parts.js";
import { headAccuracy, headLists, stepOfHeads, stepOfText, whatCame } from "../pick.js";

const ASKED = 4; // guesses one can choose from
const SEEN = 7; // guesses of a head that are listed

function prepare({ runs }, words) {
  const found = stepOfHeads(runs), text = stepOfText(runs);
  if (!found || !text) return null;
  const lists = headLists(found.event), came = whatCame(found.run, found.event, lists.length);
  const right = lists[0].findIndex(({ id }) => id === came[0]);
  const { draft = 0, early = 0, late = 0, verify = 0 } = found.event.milliseconds;
  const accuracy = headAccuracy(found.run);
  const facts = {
    root: visible(found.event.nodes.text[0]), truth: visible(lists[0][right].text), place: ordinal(right + 1, words),
    draft_ms: draft.toFixed(0), pass_ms: (early + late + verify).toFixed(0), heads: lists.length,
    first: percent(accuracy[0].first / accuracy[0].of), last: percent(accuracy.at(-1).first / accuracy.at(-1).of), steps: accuracy[0].of,
    copied: text.nodes.length, words: visible(text.place.guessed.trim()),
  };
  const choices = lists[0].slice(0, ASKED).map(({ text: word }) => visible(word));
  return { found, text, lists, came, accuracy, facts, choices, right };
}

const percent = (share) => `${Math.round(100 * share)}%`;

/** The list of one head; `came`: the token that the text then had, once it may be told. */
function column(list, d, came, most, told, words) {
  const rows = list.slice(0, SEEN).map(({ text, id, p }) => {
    const right = told && id === came;
    return make("li", { class: right ? "right" : "" },
      make("i", { style: `width:${(100 * p) / most}%`, "aria-hidden": "true" }), make("code", {}, visible(text)),
      make("span", { class: "propd-number" }, p.toFixed(2)), ...(right ? [mark("a")] : []));
  });
  const missed = told && !list.slice(0, SEEN).some(({ id }) => id === came);
  return make("div", { class: "propd-head" }, make("h4", {}, say(words.head_name, { head: d + 1 })), make("p", {}, say(words.head_distance, { distance: d + 1 })),
    make("ol", {}, ...rows), ...(missed ? [make("p", { class: "propd-missed" }, words.head_missed)] : []));
}

/** How often each head was right over the whole run, as bars. */
function accuracyRows(tallies, words) {
  return make("div", { class: "propd-bars" }, ...tallies.map(({ first, any, of }, d) => make("div", {},
    make("span", {}, say(words.head_name, { head: d + 1 })),
    make("span", { class: "propd-meter wide", role: "img", "aria-label": say(words.accuracy_label, { first: percent(first / of), any: percent(any / of) }) },
      make("i", { class: "any", style: `width:${(100 * any) / of}%` }), make("i", { style: `width:${(100 * first) / of}%` })),
    make("span", { class: "propd-number" }, `${percent(first / of)} · ${percent(any / of)}`))));
}

/** The text so far, with the earlier place and the words that were copied from it. */
function textBox({ place }, words) {
  const { all, at, known, guessed, root } = place;
  const end = at + known.length;
  const piece = (from, to) => document.createTextNode(all.slice(from, to));
  const box = make("div", { class: "propd-copied", tabindex: 0, role: "region", "aria-label": words.text },
    piece(0, at), make("mark", { class: "known" }, all.slice(at, end)), make("mark", { class: "copied" }, all.slice(end, end + guessed.length)),
    piece(end + guessed.length, root), make("mark", { class: "known" }, all.slice(root)), make("mark", { class: "copied new" }, guessed));
  const key = (kind, text) => make("li", {}, make("mark", { class: kind }, words.abc), " " + text);
  return [box, make("ul", { class: "propd-legend" }, key("known", words.copied_known), key("copied", words.copied_then), key("copied new", words.copied_now))];
}

class HeadsPicture {
  constructor(lesson, words) {
    Object.assign(this, { lesson, words, most: Math.max(...lesson.lists.flat().map(({ p }) => p)) });
    this.heading = make("h3", {});
    this.stage = make("div", { class: "propd-stack" });
    this.under = make("div", {});
    this.element = make("div", { class: "propd-lesson" }, this.heading, this.stage, this.under);
  }

  /** The text up to the root. */
  context() {
    const { run, event } = this.lesson.found;
    const before = run.events.filter(({ index }) => index < event.index).map(({ text }) => text).join("");
    return make("p", { class: "propd-context" }, make("span", {}, say(this.words.prompt_is, { prompt: run.header.prompt })), " ",
      make("span", {}, tail(before.slice(0, -event.nodes.text[0].length), 160)), make("b", {}, this.lesson.facts.root));
  }

  lists(told) {
    const { lesson, words, most } = this;
    return make("div", { class: "propd-heads" }, ...lesson.lists.map((list, d) => column(list, d, lesson.came[d], most, told, words)));
  }

  show(step, answered) {
    const { lesson, words, stage } = this;
    this.heading.replaceChildren(words.heads_titles[step], ...(step === "further" ? [" ", badge(words, "measured")] : []));
    if (step === "text") stage.replaceChildren(...textBox(lesson.text, words));
    else if (step === "further") stage.replaceChildren(accuracyRows(lesson.accuracy, words), make("p", { class: "propd-told" }, words.accuracy_key), this.context(), this.lists(true));
    else stage.replaceChildren(this.context(), this.lists(answered));
    this.under.replaceChildren(sourceOf(step === "text" ? lesson.text : lesson.found, words));
    const box = stage.querySelector(".propd-copied");
    if (box) box.scrollTop = box.scrollHeight;
  }
}

export const heads = { id: "heads", steps: ["lists", "ask", "further", "text"], prepare, picture: (lesson, words) => new HeadsPicture(lesson, words) };
