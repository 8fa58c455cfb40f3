// What one can take along from the player: a link to this step, the run as a file, a picture.
import { make } from "./dom.js";
import { copyButton } from "./files.js";
import { pictureMenu } from "./pictures.js";
import { addressOf, writeHash } from "./places.js";

export class ShareBar {
  /** studio: whether there are other places than this one, which can be linked to. */
  constructor(player, studio) {
    Object.assign(this, { player });
    const { parts, words } = player;
    const name = (what) => [player.run?.key || player.run?.name || "run", "step", player.step, what];
    const pictures = pictureMenu([
      [words.tree_picture, () => parts.treeBox, () => name("tree")],
      [words.size, () => parts.size, () => name("size")],
      [words.timeline, () => parts.timelineChart, () => name("timeline")],
    ], words);
    this.link = copyButton(words.copy_link, () => addressOf("watch", player.run.name, player.step, player.phase), words);
    this.save = make("a", { class: "propd-chip", title: words.save_run_title }, words.save_run);
    parts.share.replaceChildren(...(studio ? [this.link, this.save] : []), pictures);
    this.draw();
  }

  draw() {
    const { run } = this.player;
    this.link.hidden = !run || !run.name; // a run of this visit has no address
    this.save.hidden = !run;
    if (run) this.save.href = writeHash("runs", [run.key || run.name]);
  }
}
