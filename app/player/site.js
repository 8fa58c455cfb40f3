// The static site: the places of the studio on a page that no server stands behind.
import { make } from "./dom.js";
import { readHash } from "./places.js";
import { followScheme } from "./scheme.js";
import { begin, speak, spoken } from "./tongue.js";

const texts = new Map(); // of files that were read, by address
const waiting = new Map();

/** A file beside the page. From file: a page may not fetch, but it may run a script, so each is one. */
function read(address) {
  if (!waiting.has(address)) {
    waiting.set(address, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${address}.js`;
      script.onload = () => resolve(texts.get(address));
      script.onerror = () => { waiting.delete(address); reject(new Error(address)); };
      document.head.append(script);
    }));
  }
  return waiting.get(address);
}

/** Functions of a server, as far as their answers were recorded: [[argument, answer], ...] in a file. */
function recorded(answers) {
  const ask = (file) => async (argument = null) => {
    const found = JSON.parse(await read(file)).find(([asked]) => JSON.stringify(asked) === JSON.stringify(argument));
    if (!found) throw new Error("not recorded");
    return found[1];
  };
  return Object.fromEntries(Object.entries(answers).map(([name, file]) => [name, ask(file)]));
}

class Site {
  constructor(mounts, places) {
    Object.assign(this, { mounts, places, mounted: new Set() });
    this.tabs = [...document.querySelectorAll('#places [role="tab"]')];
    this.tabs.forEach((tab, i) => {
      tab.addEventListener("click", () => this.open(tab.dataset.place));
      tab.addEventListener("keydown", (event) => this.walk(event, i));
    });
    const { place } = readHash(location.hash);
    this.open(place in places ? place : this.tabs[0].dataset.place);
  }

  open(place) {
    for (const tab of this.tabs) {
      const here = tab.dataset.place === place;
      tab.setAttribute("aria-selected", String(here));
      tab.tabIndex = here ? 0 : -1;
      document.getElementById(`place-${tab.dataset.place}`).hidden = !here;
    }
    if (this.mounted.has(place)) return;
    this.mounted.add(place);
    const nothing = () => {};
    for (const { module, props, languages, answers } of this.places[place]) {
      const panel = make("div", { class: "plain-panel" }, make("div", { class: "propd-host" }));
      document.getElementById(`place-${place}`).append(panel);
      this.mounts[module](panel, { ...props, ...languages[spoken()] }, nothing, "", { server: recorded(answers), trigger: nothing, upload: nothing });
    }
  }

  walk(event, i) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = this.tabs[(i + by + this.tabs.length) % this.tabs.length];
    next.focus();
    next.click();
  }
}

/** mounts: the `mount` of each module of a panel, by its file. */
export function start(mounts) {
  followScheme();
  const { names, frame, places, files } = JSON.parse(document.getElementById("propd-site").textContent);
  begin(names);
  speak(frame, names);
  const known = new Set(files);
  window.propdFile = (address, text) => texts.set(address, text);
  // The places fetch their files, as they do from a server; here they get them from scripts.
  window.fetch = async (address) => {
    if (!known.has(String(address))) throw new TypeError("not a file of this page");
    return new Response(await read(String(address)));
  };
  window.propdSite = new Site(mounts, places); // for the browser tests
}
