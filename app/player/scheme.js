// Pages without Gradio: light or dark as the reader's system has it.

/** The player's styles ask for a class; it follows the system. */
export function followScheme() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.body.classList.toggle("dark", dark.matches);
  dark.addEventListener("change", follow);
  follow();
}
