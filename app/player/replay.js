// A page with one run in it: the player of the studio, without the studio.
import { drawWith } from "./charts.js";
import { painter } from "./paint.js";
import { Player } from "./player.js";
import { followScheme } from "./scheme.js";
import { begin, speak, spoken } from "./tongue.js";
import { openingStep } from "./words.js";

/** Data in the page: plain JSON, or, where that would be large, packed. */
async function read(element) {
  if (element.type === "application/json") return JSON.parse(element.textContent);
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

export async function start() {
  followScheme();
  drawWith(painter);
  const { names, frame, words } = await read(document.getElementById("propd-words"));
  begin(names);
  speak(frame, names);
  const run = await read(document.getElementById("propd-run"));
  const player = new Player(document.querySelector(".propd-host"), { words: words[spoken()], traces: [], base: "" });
  player.show(run, openingStep(run.events));
  window.propdPlayer = player; // for the browser tests
}
