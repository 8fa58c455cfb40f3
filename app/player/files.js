// Files in and out of the page: read what was dropped, hand over what was made, copy a text.
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

/** Hand a file to the visitor. content: text, or a data: address. */
export function hand(name, content, type) {
  const address = type ? URL.createObjectURL(new Blob([content], { type })) : content;
  const link = make("a", { href: address, download: name, hidden: true });
  document.body.append(link); // some browsers ignore a link that is nowhere
  link.click();
  link.remove();
  if (type) setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** A file name of plain letters: what a run is called may hold anything. */
export function fileName(...parts) {
  const safe = parts.map((part) => String(part).replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-.]+|-+$/g, "").slice(0, 60));
  return safe.filter(Boolean).join("-") || "run";
}

/** Copy a text; where the browser forbids it, show it selected in place of the button. */
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // no https, or an iframe without the right: the visitor copies it by hand
    const field = make("input", { class: "propd-copy", readonly: true, "aria-label": button.textContent });
    field.value = text;
    button.after(field);
    field.select();
    field.addEventListener("blur", () => field.remove());
    return false;
  }
}

/** A button that copies what `text()` gives at that moment, and says so. */
export function copyButton(label, text, words) {
  const told = make("span", { class: "propd-told", role: "status" });
  const button = make("button", {
    type: "button", class: "propd-chip", onclick: async () => {
      if (!(await copy(text(), button))) return;
      told.textContent = words.copied;
      setTimeout(() => { told.textContent = ""; }, 2500);
    },
  }, label);
  return make("span", { class: "propd-copying" }, button, told);
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
