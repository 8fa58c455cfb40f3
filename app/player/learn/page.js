// The walkthrough's HTML: chapters, the text of a step, the question, what to remember.
import { make } from "../dom.js";
import { say } from "../words.js";
import { CHAPTERS } from "./chapters.js";
import { glossaryList, prose } from "./glossary.js";

/** Build the page once; returns its parts by name. */
export function build(words, on) {
  const p = {};
  p.chapters = make("ol", { class: "propd-chapters" }, ...CHAPTERS.map(({ id }, i) => make("li", {},
    make("button", { type: "button", "data-chapter": id, onclick: () => on.chapter(i) },
      make("span", { class: "propd-number" }, String(i + 1)), make("span", { class: "propd-short" }, words.chapters[id].short)))));
  p.progress = make("progress", { class: "propd-progress", max: 1, value: 0, "aria-label": words.progress });
  p.eyebrow = make("p", { class: "propd-eyebrow" });
  p.title = make("h2", { tabindex: -1 });
  p.steps = make("ol", { class: "propd-steps" });
  p.prose = make("div", { class: "propd-prose", "aria-live": "polite" });
  p.picture = make("div", { class: "propd-stage-box" });
  p.ask = make("section", { class: "propd-ask", "aria-label": words.your_turn });
  p.back = make("button", { type: "button", class: "propd-move", onclick: () => on.move(-1) }, words.back);
  p.next = make("button", { type: "button", class: "propd-move next", onclick: () => on.move(1) }, words.next);
  p.remember = make("p", {});
  p.paper = make("p", {});
  p.copy = make("button", { type: "button", class: "propd-chip", onclick: () => on.copy() }, words.copy_link);
  p.root = make("div", { class: "propd-learn", tabindex: 0, role: "group", "aria-label": words.learn, onkeydown: on.key },
    make("nav", { "aria-label": words.chapter_nav }, p.chapters, p.progress),
    make("div", { class: "propd-lecture" },
      make("div", { class: "propd-words" }, p.eyebrow, p.title, p.steps, p.prose),
      p.picture, p.ask, make("div", { class: "propd-moves" }, p.back, p.next)),
    make("div", { class: "propd-foot" },
      make("section", { class: "propd-remember" }, make("h3", {}, words.remember), p.remember),
      make("section", { class: "propd-paper" }, make("h3", {}, words.in_the_paper), p.paper)),
    make("div", { class: "propd-last" }, make("p", { class: "propd-keys" }, words.learn_keys), p.copy),
    glossaryList(words));
  return p;
}

/** Which chapters are done, and which is open. */
export function drawChapters(p, at, done, words) {
  [...p.chapters.children].forEach((item, i) => {
    const button = item.firstElementChild;
    button.classList.toggle("done", done.has(CHAPTERS[i].id));
    button.setAttribute("aria-label", say(done.has(CHAPTERS[i].id) ? words.chapter_done : words.chapter_label, { number: i + 1, title: words.chapters[CHAPTERS[i].id].title }));
    if (i === at.chapter) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  });
}

/** The steps of the open chapter. */
export function drawSteps(p, at, words, on) {
  const { id, steps } = CHAPTERS[at.chapter];
  p.steps.replaceChildren(...steps.map((name, i) => make("li", {}, make("button", {
    type: "button", class: name === "ask" ? "ask" : "", "aria-current": i === at.step ? "step" : null, onclick: () => on.step(i),
  }, words.chapters[id].steps[name].title))));
  p.steps.scrollLeft = p.steps.children[at.step].offsetLeft - p.steps.offsetLeft - 24; // on phones they are one line
}

/** The text of a step; a glossary word is explained where it first stands in the chapter. */
export function drawProse(p, at, facts, words) {
  const { id, steps } = CHAPTERS[at.chapter];
  const before = steps.slice(0, at.step).flatMap((name) => words.chapters[id].steps[name].text);
  const told = new Set(before.flatMap((sentence) => [...sentence.matchAll(/\[\[([^\]|]+)/g)].map(([, term]) => term)));
  const sentences = words.chapters[id].steps[steps[at.step]].text;
  p.prose.replaceChildren(...sentences.map((sentence) => make("p", {}, ...prose(sentence, facts, words, told))));
}

/** The choices of a question: its own words, or what the recorded step offers. */
export function choicesOf(lesson, asked) {
  return typeof lesson.choices === "number" ? asked.choices.slice(0, lesson.choices) : lesson.choices;
}

/** The question, its choices and, once answered, whether it was right and why. */
export function drawAsk(p, lesson, asked, answer, words, on) {
  const answered = answer !== undefined;
  const choices = choicesOf(lesson, asked).map((choice, i) => {
    const verdict = !answered ? "" : i === lesson.right ? words.is_right : i === answer ? words.is_wrong : "";
    return make("button", {
      type: "button", class: !answered ? "" : i === lesson.right ? "right" : i === answer ? "wrong" : "other", "aria-pressed": String(i === answer), disabled: answered, onclick: () => on.answer(i),
    }, make("span", {}, say(choice, lesson.facts)), ...(verdict ? [make("b", {}, verdict)] : []));
  });
  const said = answered ? [make("p", { class: "propd-reveal" }, make("b", {}, answer === lesson.right ? words.right : words.wrong), " ", say(asked.reveal, lesson.facts)),
    make("button", { type: "button", class: "propd-chip", onclick: () => on.answer(undefined) }, words.ask_again)] : [];
  p.ask.replaceChildren(make("h3", {}, say(asked.question, lesson.facts)), make("div", { class: "propd-choices" }, ...choices), make("div", { role: "status" }, ...said));
}
