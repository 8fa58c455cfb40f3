// Why one token at a time is slow: a pass reads all weights, however many tokens ride along.
import { make } from "../../dom.js";
import { pieces, say } from "../../words.js";
import { passFigure } from "../figures.js";
import { badge, calm, Chart, chipsOf, costsCommand, Slider, sourceOfTable } from "../parts.js";
import { Stream } from "../stream.js";
import { passes, passTime } from "../tables.js";

const ASKED = 8; // tokens of the question
const RACE_MS = 3200; // on screen, whatever the passes took
const TOKENS = 40; // of a recorded text, to be written one by one
const round = (ms) => (ms < 10 ? ms.toFixed(1) : ms.toFixed(0));

/** The most tokens that a pass was measured with. */
const most = (table) => passes(table).at(-1).tokens;

function prepare({ runs, costs, recall }) {
  const table = costs[1];
  if (!table || !recall || !runs.length || passes(table).length < 3) return null;
  const one = passTime(table, 1), eight = passTime(table, ASKED), megabytes = table.about.pass_bytes / 1e6;
  const times = eight / one, between = Math.sqrt(times * ASKED); // a wrong answer as far from both
  const facts = {
    layers: recall.about.layers, mb: megabytes.toFixed(0), one: round(one), asked: ASKED, each: round(ASKED * one),
    together: round(eight), times: times.toFixed(1), between: between.toFixed(1), rate: (megabytes / one).toFixed(1),
    many: most(table), many_ms: round(passTime(table, most(table))), many_times: (passTime(table, most(table)) / one).toFixed(1),
  };
  const tokens = runs[0].events.flatMap((event) => pieces(event).map(({ text }) => text)).slice(0, TOKENS);
  return { tables: weights(costs), one, megabytes, tokens, facts, choices: 3, right: 0 };
}

/** The tables of one text by how the weights are kept: [{name, table}]. */
export function weights(costs) {
  return [{ name: "dense", table: costs[1] }, { name: "w4a8", table: costs.w4a8 }].filter(({ table }) => table);
}

/** A lane of the race: a block for each pass, as wide as it took; null: not to be told yet. */
function lane(name, blocks, ms, total, words) {
  const told = (i) => (blocks.length > ASKED ? "" : blocks.length > 1 ? String(i + 1) : words.one_pass);
  const track = make("div", { class: "propd-lane-track" }, ...blocks.map((width, i) =>
    make("span", { class: "propd-block", style: `width:${(100 * width) / total}%` }, make("i", {}, told(i)))));
  return make("div", { class: "propd-lane" }, make("span", { class: "propd-lane-name" }, name), track,
    make("b", {}, ms === null ? words.not_told : say(words.ms, { ms: round(ms) })));
}

/** Fill the blocks one after another, at the pace at which the passes ran. */
function run(race) {
  if (calm()) return;
  for (const track of race.querySelectorAll(".propd-lane-track")) {
    let begun = 0;
    for (const block of track.children) {
      const took = (parseFloat(block.style.width) / 100) * RACE_MS;
      block.firstElementChild.animate([{ transform: "scaleX(0)" }, { transform: "scaleX(1)" }], { duration: took, delay: begun, fill: "backwards" });
      begun += took;
    }
  }
}

/** The race of n tokens, one pass each, against one pass. */
class Race {
  constructor(words) {
    this.words = words;
    this.element = make("div", { class: "propd-race", role: "img" });
    this.told = make("p", { class: "propd-told", "aria-live": "polite" });
  }

  draw(table, n, secret) {
    const { words } = this, one = passTime(table, 1), at = passTime(table, n), each = n * one, total = Math.max(each, at);
    this.element.replaceChildren(lane(words.lane_each, Array(n).fill(one), each, total, words),
      lane(say(words.lane_together, { n }), secret ? [] : [at], secret ? null : at, total, words));
    const values = { n, each: round(each), together: secret ? words.not_told : round(at), per: round(at / n) };
    this.element.setAttribute("aria-label", say(words.race_label, values));
    this.told.textContent = secret ? "" : say(words.race_told, values);
  }
}

class SlowPicture {
  constructor(lesson, words) {
    const { tables, facts, one, tokens } = lesson;
    Object.assign(this, { words, tables, table: tables[0].table });
    this.stream = new Stream(tokens, { layers: facts.layers, mb: Math.round(lesson.megabytes), one }, words);
    this.race = new Race(words);
    this.chart = new Chart(words.passes_chart, 250);
    this.slider = new Slider(words.tokens_slider, { min: 1, max: most(this.table), value: ASKED }, () => this.draw("together", false));
    const again = make("button", { type: "button", class: "propd-chip", onclick: () => run(this.race.element) }, words.again);
    this.heading = make("h3", {});
    this.chips = chipsOf(tables, words, (table) => { this.table = table; this.draw("together", false); });
    this.row = make("div", { class: "propd-row" }, this.slider.element, again, this.chips.element);
    this.source = make("div", {});
    this.element = make("div", { class: "propd-lesson" }, this.heading, this.stream.element, this.race.element, this.row, this.race.told, this.chart.element, this.source);
  }

  draw(step, secret) {
    const { table, words } = this, n = this.slider.value;
    this.race.draw(table, n, secret);
    this.chips.press(table);
    this.source.replaceChildren(sourceOfTable(table.about, costsCommand(table), words));
    if (step === "together") this.chart.draw((options) => passFigure(passes(table), n, { ...options, now: passTime(table, n) }), words);
  }

  show(step, answered, fresh) {
    const { words, stream, race } = this, reads = step === "read";
    stream.element.hidden = !reads;
    race.element.hidden = race.told.hidden = reads;
    this.row.hidden = this.chart.element.hidden = step !== "together";
    this.heading.replaceChildren(reads ? words.stream_title : words.race_title, " ", badge(words, "measured"));
    if (fresh || step !== "together") this.table = this.tables[0].table;
    if (!fresh && reads) return; // the stream goes on by itself
    stream.stop();
    if (reads) stream.begin();
    if (step === "ask") this.slider.value = ASKED;
    this.draw(step, step === "ask" && !answered);
    if (!reads && (fresh || answered)) run(race.element);
  }

  close() { this.stream.stop(); }
}

export const slow = { id: "slow", steps: ["read", "ask", "together"], prepare, picture: (lesson, words) => new SlowPicture(lesson, words) };
