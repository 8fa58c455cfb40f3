// Which place is open, and what of it: the hash of the page, such as #watch/1-question-propd/12/judged.
// One registry for the page: every module that imports this file gets the same one.

const LATER = 300; // ms; browsers refuse a page that rewrites its address at every step
const PATIENCE = 20_000; // ms; tabs appear once Gradio has drawn the page
const visits = new Map(); // place -> visit(parts)
const left = new Map(); // place -> the parts it last wrote, for when its tab is opened again
let writing = null;

/** "#learn/3/grow" -> {place: "learn", parts: ["3", "grow"]}; anything may stand in an address. */
export function readHash(hash) {
  const clear = (part) => { try { return decodeURIComponent(part); } catch { return part; } };
  const [place, ...parts] = hash.replace(/^#/, "").split("/").map(clear);
  return { place, parts: parts.filter((part) => part !== "") };
}

/** The hash of a place and its parts; what is unknown or empty is left out. */
export function writeHash(place, parts = []) {
  const told = parts.filter((part) => part !== null && part !== undefined && part !== "");
  return "#" + [place, ...told].map((part) => encodeURIComponent(String(part))).join("/");
}

/** This page with another hash. Gradio sets a base address, beside which a bare hash would lose the query. */
export const here = (hash) => location.pathname + location.search + hash;

const TABS = '#places [role="tab"][id^="tab-"]'; // a place may have tabs of its own inside
const placeOf = (button) => button.id.slice("tab-".length, -"-button".length);
const tab = (place) => document.getElementById(`tab-${place}-button`);

/** The place whose tab is open. */
export function openPlace() {
  const open = document.querySelector(`${TABS}[aria-selected="true"]`);
  return open ? placeOf(open) : "";
}

function firstPlace() {
  const first = document.querySelector(TABS);
  return first ? placeOf(first) : "";
}

/**
 * A place says how it is visited: `visit(parts)` is called when an address names it, now or later.
 * A place is mounted when its tab first opens, so the address may be older than the place.
 */
export function register(place, visit) {
  visits.set(place, visit);
  const here = readHash(location.hash);
  if (here.place === place && here.parts.length) visit(here.parts);
}

/** A place tells where it is; the address follows soon, without a new entry for "back". */
export function linkTo(place, ...parts) {
  left.set(place, parts);
  if (openPlace() && openPlace() !== place) return; // a run that plays on behind must not stop what is seen
  clearTimeout(writing);
  writing = setTimeout(() => {
    const hash = writeHash(place, left.get(place));
    if (openPlace() === place && location.hash !== hash) history.replaceState(history.state, "", here(hash));
  }, LATER);
}

/** The whole address of a place, to be copied. */
export function addressOf(place, ...parts) {
  return location.href.replace(/#.*$/, "") + writeHash(place, parts);
}

/** Draw when the element has room and whenever its room changes: a hidden tab has none. */
export function whenShown(element, draw) {
  const observer = new ResizeObserver(() => { if (element.clientWidth) draw(); });
  observer.observe(element);
  return observer;
}

/** Open the tab of a place, as a click on it would; waits for Gradio to draw it. */
function select(place, since = performance.now()) {
  const button = tab(place);
  if (button) {
    if (button.getAttribute("aria-selected") !== "true") button.click();
  } else if (performance.now() - since < PATIENCE) {
    setTimeout(() => select(place, since), 50);
  }
}

function follow() {
  const { place, parts } = readHash(location.hash);
  if (!/^[a-z]+$/.test(place)) return;
  select(place);
  if (parts.length && visits.has(place)) visits.get(place)(parts);
}

/** A link inside the page stays in it, query and all. */
function followed(event) {
  const link = event.target.closest?.('a[href^="#"]');
  if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  location.hash = link.getAttribute("href");
}

/** A click on a tab is a new entry for "back". */
function clicked(event) {
  const button = event.target.closest?.(TABS);
  if (!button) return;
  const place = placeOf(button);
  if (readHash(location.hash).place === place) return;
  history.pushState(history.state, "", here(writeHash(place, left.get(place))));
}

/** On a phone the open sidebar would be all one sees; page.css hides it until this was asked. */
function closeSidebarOnPhones(since = performance.now()) {
  const sidebar = document.getElementById("settings");
  if (!sidebar) {
    if (performance.now() - since < PATIENCE) setTimeout(() => closeSidebarOnPhones(since), 50);
    return;
  }
  const small = window.matchMedia("(max-width: 768px)").matches;
  if (small && sidebar.classList.contains("open")) sidebar.querySelector(".toggle-button").click();
  setTimeout(() => sidebar.setAttribute("data-ready", ""), small ? 350 : 0); // its slide is over
}

if (typeof window !== "undefined") {
  window.addEventListener("hashchange", () => (location.hash ? follow() : select(firstPlace())));
  document.addEventListener("click", clicked);
  document.addEventListener("click", followed);
  closeSidebarOnPhones();
  follow();
}
