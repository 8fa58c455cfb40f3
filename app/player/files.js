// Files and texts that leave the page: handed to the visitor, or copied.
import { make } from "./dom.js";

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
  const told = make("span", { class: "propd-share-told", role: "status" });
  const button = make("button", {
    type: "button", class: "propd-chip", onclick: async () => {
      if (!(await copy(text(), button))) return;
      told.textContent = words.copied;
      setTimeout(() => { told.textContent = ""; }, 2500);
    },
  }, label);
  return make("span", { class: "propd-copying" }, button, told);
}
