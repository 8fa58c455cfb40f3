// Sentences with glossary words in them: "[[draft head]]" or "[[draft head|draft heads]]".
import { say } from "../words.js";

/** Split a sentence: [{text}] and [{text, term}]. */
export function parts(sentence) {
  return sentence.split(/(\[\[[^\]]+\]\])/).filter(Boolean).map((part) => {
    const inside = /^\[\[([^\]|]+)(?:\|([^\]]+))?\]\]$/.exec(part);
    return inside ? { term: inside[1], text: inside[2] || inside[1] } : { text: part };
  });
}

/** The same with its holes filled; the values stay plain text, whatever stands in them. */
export function filled(sentence, facts) {
  return parts(sentence).map((part) => ({ ...part, text: say(part.text, facts) }));
}
