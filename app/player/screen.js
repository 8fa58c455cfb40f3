// What the player shows of where it is: run, step and phase, drawn from the events.
import { drawCard, drawMetrics, drawTable, drawTimes, icon } from "./dom.js";
import { eventAt, phaseLine, phasesOf } from "./phases.js";
import { linkTo } from "./places.js";
import { ShareBar } from "./share.js";
import { SizeView } from "./size_view.js";
import { TextView } from "./text_view.js";
import { Timeline } from "./timeline.js";
import { TreeView } from "./tree_view.js";
import { offer } from "./what_if.js";
import { hasSource, runStats, say, statusLine, summary } from "./words.js";

const BACKGROUND_MS = 400; // between two drawings of what may lag behind a live run

export class Screen {
  constructor(player) {
    const { parts, words } = player;
    Object.assign(this, { player, parts, words, again: true, drawn: [], card: null });
    this.text = new TextView(parts.text);
    this.tree = new TreeView(parts.treeBox, words, { point: (i) => player.point(i), pick: (i) => player.pick(i) });
    this.size = new SizeView(parts.size, parts.sizeText, words);
    this.timeline = new Timeline(parts, words, (step) => player.go(step));
    this.share = new ShareBar(player, player.studio);
  }

  /** Another run is shown from now on. */
  begin(run) {
    this.text.clear(run.header.continuing_text);
    this.parts.given.hidden = !run.header.continuing_text;
  }

  draw() {
    const { parts, player } = this, { run } = player;
    this.drawState();
    const event = run && run.events[player.step];
    if (!event) return this.drawCard();
    if (run.name) linkTo("watch", run.name, player.step, player.phase);
    else linkTo("watch"); // a run of this visit has no address
    parts.prompt.textContent = run.header.prompt;
    this.drawRun(run);
    this.drawStep(event);
    this.again = false;
  }

  /** Where the run comes from, what is waited for, and what can be pressed. */
  drawState() {
    const { parts, words, player } = this, { run, runs } = player;
    const told = statusLine({ run, newest: runs.latest, queued: runs.queued, now: performance.now() }, words);
    parts.status.textContent = player.strange ? words.unknown_run : told;
    if (runs.queued) this.clock ||= setTimeout(() => { this.clock = null; player.render(); }, 1000); // it counts seconds
    this.share.draw();
    parts.live.hidden = !runs.running() || player.follow;
    const going = player.playback.playing || player.follow;
    if (going === this.going) return;
    this.going = going;
    parts.play.replaceChildren(icon(going ? "pause" : "play"));
    parts.play.setAttribute("aria-label", going ? words.pause : words.play);
  }

  drawRun(run) {
    const { parts, words } = this, { step, phase } = this.player;
    this.text.append(run.events);
    const over = phase === "commit" ? step : step - 1; // the last step whose text is written
    this.text.mark(step, over + 1);
    const place = { step, steps: run.events.length - 1 };
    parts.scrub.max = place.steps;
    parts.scrub.value = step;
    parts.place.textContent = step === 0 ? words.prefill : say(words.step_of, place);
    parts.scrub.setAttribute("aria-valuetext", parts.place.textContent);
    drawMetrics(parts.metrics, runStats(run.events, over), words);
    this.timeline.draw(run.events, step, this.again);
  }

  drawStep(event) {
    const { parts, words, player } = this, { run, phase, pinned } = player;
    parts.caption.textContent = phaseLine(event, phase, words);
    const present = phasesOf(event);
    for (const item of parts.phases.children) {
      item.setAttribute("aria-pressed", String(item.dataset.phase === phase));
      item.disabled = !present.includes(item.dataset.phase);
    }
    for (const item of parts.sources) item.hidden = !run.events.some((one) => hasSource(one, item.dataset.source));
    this.tree.fit(run.events);
    const [before, at] = this.drawn;
    this.tree.draw(event, { phase, selected: pinned, fresh: this.again || run !== before || event.index !== at });
    this.drawn = [run, event.index];
    this.drawCard();
    this.drawAround(event);
  }

  /** What may lag: following a live run, the page must not take the processor from the model. */
  drawAround(event) {
    const { parts, words, player } = this;
    const now = performance.now();
    if (player.follow && now - (this.lagged || 0) < BACKGROUND_MS) return;
    this.lagged = now;
    const told = summary(event, player.run.events.length - 1, words);
    parts.treeBox.setAttribute("aria-label", say(words.tree_help, { summary: told }));
    // A screen reader is told the steps one looks at, not ten a second.
    if (!player.playback.playing && !player.follow) parts.summary.textContent = told;
    this.size.draw(event, this.again);
    drawTimes(parts.times, event, words);
    if (parts.table.open) drawTable(parts.table.lastElementChild, event, words);
  }

  /** The card of the node pointed at, else pinned, else the last token that the step won. */
  drawCard() {
    const { parts, words, player } = this, { run, step, phase, pinned, pointed } = player;
    const whole = run && run.events[step];
    if (!whole) return drawCard(parts.card, null, null, words);
    const event = eventAt(whole, phase);
    const won = event.accepted.length ? event.accepted[event.accepted.length - 1] : event.bonus ? event.nodes.fate.length : 0;
    const asked = pointed ?? pinned ?? won;
    const shown = asked < event.nodes.fate.length || event.bonus ? asked : 0;
    // Drawn only when it changes: a button that is replaced while it is pressed is never clicked.
    const card = [whole, phase, shown, pinned, player.runs.busy()];
    if (this.card && card.every((part, i) => part === this.card[i])) return;
    this.card = card;
    drawCard(parts.card, event, shown, words, offer(player, shown, words));
  }
}
