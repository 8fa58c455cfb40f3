// Files that come into the page: chosen or dropped, and read if they are small enough.
import { make } from "./dom.js";
import { say } from "./words.js";

const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 95_000 ? 3 : 1);

/** The text of a file of at most `limit` bytes; an Error's message says why not, in one sentence. */
export async function readText(file, limit, words) {
  const told = { name: file.name, size: megabytes(file.size), limit: megabytes(limit) };
  if (file.size > limit) throw new Error(say(words.file_too_large, told));
  let bytes;
  try {
    bytes = await file.arrayBuffer();
  } catch { // a folder was dropped, or the file is gone
    throw new Error(say(words.file_unreadable, told));
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(say(words.file_not_text, told));
  }
}

/** A place to drop a file on, with a button for those who do not drag; take(file). */
export function dropZone(words, accept, take) {
  const input = make("input", { type: "file", accept, hidden: true, onchange: () => { if (input.files[0]) take(input.files[0]); input.value = ""; } });
  const choose = make("button", { type: "button", class: "propd-chip", onclick: () => input.click() }, words.choose);
  const zone = make("div", { class: "propd-drop" }, make("p", {}, words.drop, " ", choose, input), make("p", { class: "propd-hint" }, words.drop_hint));
  let inside = 0; // a child under the pointer leaves and enters too
  const over = (by) => { inside = by === null ? 0 : inside + by; zone.classList.toggle("over", inside > 0); };
  zone.addEventListener("dragenter", (e) => { e.preventDefault(); over(1); });
  zone.addEventListener("dragleave", () => over(-1));
  zone.addEventListener("dragover", (e) => e.preventDefault());
  zone.addEventListener("drop", (e) => {
    e.preventDefault();
    over(null);
    if (e.dataTransfer.files[0]) take(e.dataTransfer.files[0]);
  });
  return zone;
}
