// Learn: the walkthrough. Which chapter, which step, what was answered; chapters draw themselves.
import { loadPlotly } from "./charts.js";
import { make } from "./dom.js";
import { beside, CHAPTERS, placeOf } from "./learn/chapters.js";
import { build, drawAsk, drawChapters, drawProse, drawSteps } from "./learn/page.js";
import { addressOf, linkTo, register, whenShown } from "./places.js";
import { say } from "./words.js";

const COPIED_MS = 2000;

export class Learn {
  constructor(host, { words, traces, tables, batches, bench }, base) {
    Object.assign(this, { words, traces, tables, batches, bench, base });
    Object.assign(this, { at: { chapter: 0, step: 0 }, answers: new Map(), seen: new Set(), lessons: new Map(), given: null, picture: null });
    this.on = {
      chapter: (chapter) => this.go({ chapter, step: 0 }), step: (step) => this.go({ ...this.at, step }), move: (by) => this.move(by),
      answer: (choice) => this.answer(choice), copy: () => this.copy(), key: (event) => this.key(event),
    };
    this.parts = build(words, this.on);
    host.replaceChildren(this.parts.root);
    whenShown(this.parts.picture, () => this.show());
    new MutationObserver(() => this.show()).observe(document.body, { attributeFilter: ["class"] });
    this.render(true);
  }

  /** Fetch the recorded runs and the measured tables from this server; one that fails is left out. */
  async load() {
    const get = async (url) => {
      try { return await (await fetch(this.base + url)).json(); } catch { return null; }
    };
    const named = async (files) => Object.fromEntries(await Promise.all(Object.entries(files).map(async ([name, url]) => [name, await get(url)])));
    const [runs, tables, batches] = await Promise.all([
      Promise.all(this.traces.map(async (trace) => ({ ...trace, ...(await get(trace.url)) }))), named(this.tables), named(this.batches),
    ]);
    this.given = {
      runs: runs.filter(({ events }) => events), recall: tables.recall, bench: this.bench,
      costs: { 1: tables["costs-1"], 4: tables["costs-4"], 16: tables["costs-16"], w4a8: tables["costs-1-w4a8"] },
      batches: Object.entries(batches).map(([rows, run]) => ({ rows: Number(rows), run })),
    };
    this.render(true);
  }

  /** What the chapter shows; undefined while it loads, null where nothing recorded fits it. */
  lesson() {
    const chapter = CHAPTERS[this.at.chapter];
    if (!this.given) return undefined;
    if (!this.lessons.has(chapter.id)) this.lessons.set(chapter.id, chapter.prepare(this.given, this.words));
    return this.lessons.get(chapter.id);
  }

  // --- where ---

  visit(parts) {
    this.go(placeOf(parts));
  }

  go(place) {
    const other = place.chapter !== this.at.chapter, moved = other || place.step !== this.at.step;
    this.at = place;
    this.render(moved);
    if (other) this.parts.title.focus({ preventScroll: true });
  }

  move(by) {
    const place = beside(this.at, by);
    if (place) this.go(place);
  }

  get id() { return CHAPTERS[this.at.chapter].id; }

  get stepName() { return CHAPTERS[this.at.chapter].steps[this.at.step]; }

  answer(choice) {
    if (choice === undefined) this.answers.delete(this.id);
    else this.answers.set(this.id, choice);
    this.render(false);
    (this.parts.ask.querySelector(choice === undefined ? "button" : ".propd-chip") || this.parts.root).focus({ preventScroll: true });
  }

  async copy() {
    const address = addressOf("learn", this.id, this.stepName), { copy } = this.parts;
    try { await navigator.clipboard.writeText(address); copy.textContent = this.words.copied; } catch { window.prompt(this.words.copy_link, address); }
    setTimeout(() => { copy.textContent = this.words.copy_link; }, COPIED_MS);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
    const chapter = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : -1;
    const actions = { ArrowLeft: () => this.move(-1), ArrowRight: () => this.move(1), Home: () => this.go({ chapter: 0, step: 0 }) };
    const act = CHAPTERS[chapter] ? () => this.on.chapter(chapter) : actions[event.key];
    if (!act) return;
    act();
    event.preventDefault();
  }

  // --- drawing ---

  /** fresh: another step than before. */
  render(fresh) {
    const { parts, words, at, id } = this, told = words.chapters[id], lesson = this.lesson();
    this.seen.add(`${id}/${this.stepName}`);
    linkTo("learn", id, this.stepName);
    drawChapters(parts, at, new Set(this.answers.keys()), words);
    drawSteps(parts, at, words, this.on);
    parts.progress.value = this.seen.size / CHAPTERS.reduce((sum, { steps }) => sum + steps.length, 0);
    parts.eyebrow.textContent = say(words.chapter_of, { number: at.chapter + 1, count: CHAPTERS.length });
    parts.title.textContent = told.title;
    parts.remember.textContent = told.remember;
    parts.paper.textContent = told.paper;
    this.drawMoves();
    parts.ask.hidden = this.stepName !== "ask" || !lesson;
    if (!lesson) {
      parts.prose.replaceChildren(make("p", {}, lesson === null ? words.no_step : words.loading));
      parts.picture.replaceChildren();
      return;
    }
    if (fresh) drawProse(parts, at, lesson.facts, words);
    if (this.stepName === "ask") drawAsk(parts, lesson, told.ask, this.answers.get(id), words, this.on);
    this.show(fresh);
  }

  drawMoves() {
    const { parts, words, at } = this, before = beside(at, -1), after = beside(at, 1);
    parts.back.disabled = !before;
    parts.next.disabled = !after;
    parts.next.textContent = after && after.chapter !== at.chapter ? say(words.next_chapter, { title: words.chapters[CHAPTERS[after.chapter].id].short }) : words.next;
  }

  /** Draw the picture of the open chapter; it is made anew when the chapter changes. */
  show(fresh = false) {
    const { picture: box } = this.parts, lesson = this.lesson();
    if (!lesson || !box.clientWidth) return;
    const made = this.drawn !== this.id || !box.firstChild;
    if (made) {
      this.picture?.close?.();
      this.picture = CHAPTERS[this.at.chapter].picture(lesson, this.words);
      this.drawn = this.id;
      box.replaceChildren(this.picture.element);
    }
    this.picture.show(this.stepName, this.stepName === "ask" && this.answers.has(this.id), fresh || made);
  }
}

/** Called by the page: `props` are Gradio's (js_on_load of gr.HTML). */
export function mount(element, props, watch, base) {
  const learn = new Learn(element.querySelector(".propd-host"), props, base);
  loadPlotly(base + props.plotly).then(() => learn.show());
  register("learn", (parts) => learn.visit(parts));
  learn.load();
  window.propdLearn = learn; // for the browser tests
  return learn;
}
