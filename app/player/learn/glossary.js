// The glossary: a list of words, and a note that opens beside a word of the text.
import { make } from "../dom.js";
import { filled } from "./rich.js";

let notes = 0;

/** Sentences with holes filled and glossary words as buttons. told: words already explained here. */
export function prose(sentence, facts, words, told = new Set()) {
  const { glossary, glossary_names: names } = words;
  return filled(sentence, facts, names).map(({ text, term }) => {
    if (!term || told.has(term) || !glossary[term]) return document.createTextNode(text);
    told.add(term);
    return word(text, names[term], glossary[term]);
  });
}

/** A word with its note: a click, Enter or hovering opens it, Escape or leaving closes it. */
function word(text, name, meaning) {
  const id = `propd-note-${++notes}`;
  const note = make("span", { class: "propd-note", id, role: "note", hidden: true }, make("b", {}, name), " ", meaning);
  const button = make("button", { type: "button", class: "propd-term", "aria-expanded": "false", "aria-controls": id }, text);
  const whole = make("span", { class: "propd-word" }, button, note);
  const open = (yes) => {
    note.hidden = !yes;
    button.setAttribute("aria-expanded", String(yes));
    if (yes) keepInside(note, whole);
  };
  let pinned = false;
  button.addEventListener("click", () => { pinned = !pinned; open(pinned); });
  whole.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") open(true); });
  whole.addEventListener("pointerleave", () => { if (!pinned) open(false); });
  whole.addEventListener("focusout", (event) => { if (!whole.contains(event.relatedTarget)) { pinned = false; open(false); } });
  whole.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || note.hidden) return;
    pinned = false;
    open(false);
    event.stopPropagation();
  });
  return whole;
}

/** Move the note left if it would leave the walkthrough on the right. */
function keepInside(note, whole) {
  note.style.left = "0";
  const edge = whole.closest(".propd-learn").getBoundingClientRect().right - 12;
  const over = note.getBoundingClientRect().right - edge;
  if (over > 0) note.style.left = `${-over}px`;
}

/** All words, folded. */
export function glossaryList(words) {
  const rows = Object.entries(words.glossary).flatMap(([term, meaning]) => [make("dt", {}, words.glossary_names[term]), make("dd", {}, meaning)]);
  return make("details", { class: "propd-glossary" }, make("summary", {}, words.glossary_title), make("dl", {}, ...rows));
}
