// Sentences with glossary words in them: "[[draft head]]" or "[[draft head|draft heads]]".
import { say } from "../words.js";

/** Split a sentence: [{text}] and [{text, term}]. names: what each term is called. */
export function parts(sentence, names = {}) {
  return sentence.split(/(\[\[[^\]]+\]\])/).filter(Boolean).map((part) => {
    const inside = /^\[\[([^\]|]+)(?:\|([^\]]+))?\]\]$/.exec(part);
    return inside ? { term: inside[1], text: inside[2] || names[inside[1]] || inside[1] } : { text: part };
  });
}

/** The same with its holes filled; the values stay plain text, whatever stands in them. */
export function filled(sentence, facts, names) {
  return parts(sentence, names).map((part) => ({ ...part, text: say(part.text, facts) }));
}
