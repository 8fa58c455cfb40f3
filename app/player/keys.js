// The keys of the player; strings/watch.py tells them under "?".

const TYPED_INTO = ["INPUT", "SELECT", "TEXTAREA"];

/** A key was pressed inside the player. */
export function pressed(player, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || player.parts.help.open) return;
  const { tagName } = event.target;
  const meant = [" ", "Enter"].includes(event.key) && ["A", "BUTTON", "SUMMARY"].includes(tagName);
  if (TYPED_INTO.includes(tagName) || meant) return;
  const on = player.listeners(), { tree } = player.screen;
  const actions = {
    " ": () => tree.pickFocused() || on.play(), k: on.play, Enter: () => tree.pickFocused(), Home: on.first, End: on.last,
    ArrowLeft: event.shiftKey ? () => player.goPhase(-1) : on.previous,
    ArrowRight: event.shiftKey ? () => player.goPhase(1) : on.next,
    ArrowUp: () => tree.walk(-1), ArrowDown: () => tree.walk(1), Escape: () => player.pick(null), "?": on.help,
  };
  const action = actions[event.key];
  if (action && action() !== false) event.preventDefault();
}
