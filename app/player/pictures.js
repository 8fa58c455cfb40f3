// Pictures of what is on the page, as files: a plotly figure, or an SVG drawing.
import { make } from "./dom.js";
import { fileName, hand } from "./files.js";

const SHARP = 2; // pixels of a PNG for one of the page

/** The colour behind an element. */
function ground(element) {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (colour && !/^(transparent|rgba\(.*, ?0\))$/.test(colour)) return colour;
  }
  return "#ffffff";
}

const svgAddress = (text) => "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);

/** What an SVG drawing looks like on its own: its computed colours, and ground behind it. */
function standalone(drawing, colour) {
  const copy = drawing.cloneNode(true);
  const { width, height } = drawing.getBoundingClientRect();
  const from = [drawing, ...drawing.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
  from.forEach((element, i) => {
    const style = getComputedStyle(element);
    for (const name of ["fill", "stroke"]) {
      // only what the page's styles or its text colour decide; the rest stands in the drawing
      if (/^(|currentColor)$/i.test(element.getAttribute(name) || "") && style[name]) to[i].setAttribute(name, style[name]);
    }
  });
  const back = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ width: "100%", height: "100%", fill: colour })) back.setAttribute(name, value);
  copy.prepend(back);
  for (const [name, value] of Object.entries({ xmlns: "http://www.w3.org/2000/svg", width, height })) copy.setAttribute(name, value);
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

async function pixels({ text, width, height }) {
  const image = new Image();
  image.src = svgAddress(text);
  await image.decode();
  const canvas = make("canvas", { width: Math.ceil(width * SHARP), height: Math.ceil(height * SHARP) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png");
}

function hasPicture(box) {
  return Boolean(box.clientWidth && box.querySelector("svg"));
}

/** A picture of what `box` shows, as a data: address. format: "png" or "svg". */
export async function picture(box, format) {
  const colour = ground(box);
  const chart = box.data && box.layout ? box : box.querySelector(".js-plotly-plot");
  if (chart && window.Plotly) {
    const { width, height } = chart.layout;
    const layout = { ...chart.layout, paper_bgcolor: colour };
    return window.Plotly.toImage({ data: chart.data, layout }, { format, width, height, scale: format === "png" ? SHARP : 1 });
  }
  const drawn = standalone(box.querySelector("svg"), colour);
  return format === "svg" ? svgAddress(drawn.text) : pixels(drawn);
}

/** A small control that saves pictures. choices: [label, box(), name()], the parts of a file's name. */
export function pictureMenu(choices, words) {
  const save = (box, name, format) => async () => {
    menu.open = false;
    hand(`${fileName(...name())}.${format}`, await picture(box(), format));
  };
  const row = ([label, box, name]) => make("div", {}, make("span", {}, label), ...["png", "svg"].map((format) => make("button", {
    type: "button", class: "propd-chip", "aria-label": `${label}: ${format.toUpperCase()}`, onclick: save(box, name, format) }, format.toUpperCase())));
  const menu = make("details", { class: "propd-picture-menu" },
    make("summary", { class: "propd-chip", title: words.picture_title }, words.picture), make("div", {}, ...choices.map(row)));
  menu.addEventListener("keydown", (e) => { if (e.key === "Escape") menu.open = false; });
  document.addEventListener("click", (e) => { if (!menu.contains(e.target)) menu.open = false; });
  // what is not there, such as the curves of a fixed tree, cannot be saved
  menu.addEventListener("toggle", () => choices.forEach(([, box], i) => { menu.lastElementChild.children[i].hidden = !hasPicture(box()); }));
  return menu;
}
