// The language of the page: that of its address (?lang=zh), else the browser's first that we have.
// It stands in the address from then on, so that the server knows it and a link keeps it.

const FIRST = "en";
const TAGS = { zh: "zh-Hans" }; // where the name in an address is not what HTML calls it
const OTHER_SCRIPT = /^zh-(hant|tw|hk|mo)/; // our Chinese is the simplified one

/** The language to use: `search` is that of the address, `preferred` the browser's list. */
export function choose(search, preferred, names) {
  const known = (name) => Object.hasOwn(names, name || "");
  const asked = new URLSearchParams(search).get("lang");
  if (known(asked)) return asked;
  const tags = preferred.map((tag) => tag.toLowerCase()).filter((tag) => !OTHER_SCRIPT.test(tag));
  return tags.map((tag) => tag.split("-")[0]).find(known) || FIRST;
}

/** The address in another language; the place it names stays. */
export function addressIn(language, href) {
  const address = new URL(href);
  address.searchParams.set("lang", language);
  return address.href;
}

/** The language the page is in. */
export function spoken() {
  return document.documentElement.lang.split("-")[0] || FIRST;
}

/** Before anything is drawn. names: what each language calls itself. */
export function begin(names) {
  const language = choose(location.search, navigator.languages || [navigator.language], names);
  const page = document.documentElement;
  page.lang = TAGS[language] || language;
  if (language === FIRST) return language;
  page.setAttribute("data-waiting", ""); // labels of Gradio come in English first (app/relabel.py)
  if (new URLSearchParams(location.search).get("lang") !== language) {
    history.replaceState(history.state, "", addressIn(language, location.href));
  }
  return language;
}

/** The choice of a language; each is called what it calls itself. */
export function menu(names, frame) {
  const select = document.createElement("select");
  select.setAttribute("aria-label", frame.language);
  for (const [language, name] of Object.entries(names)) {
    const option = new Option(name, language, false, language === spoken());
    option.lang = TAGS[language] || language;
    select.append(option);
  }
  select.addEventListener("change", () => {
    window.dispatchEvent(new Event("propd-leaving")); // places may take along what is on screen
    location.assign(addressIn(select.value, location.href));
  });
  const box = document.createElement("div");
  box.className = "propd-tongue";
  box.append(select);
  return box;
}

/** A page of ours without a server: its own sentences, which stand in `data-say`, and the menu. */
export function speak(tables, names) {
  const frame = tables[spoken()];
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = frame[element.dataset.say];
  const header = document.querySelector(".plain > header");
  if (header) header.append(menu(names, frame));
}

/** Called by the page (app/panel.py). */
export function mount(element, props) {
  element.querySelector(".propd-host").replaceChildren(menu(props.names, props.words));
}
