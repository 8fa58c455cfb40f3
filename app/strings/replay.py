"""Pages without a server: replays, and the shell of the static site."""

from __future__ import annotations

from app.strings.page import MENU, TITLE
from app.strings.watch import WATCH

UNSAID = {
    *(
        f"live_{one}"
        for one in ["waiting", "loading", "running", "progress", "done", "stopped", "failed"]
    ),
    *("what_if", "what_if_hint", "what_if_busy", "what_if_run", "unknown_run", "trace_failed"),
    *("runs", "your_run", "save_run", "save_run_title", "copy_link", "copied", "opened"),
}
"""About live runs, other runs and other places: a replay has none of them, and is to be small."""
WORDS = {key: said for key, said in WATCH.items() if key not in UNSAID}
FRAME = {
    **MENU,
    "title": TITLE,
    "about": (
        "A recorded run, step by step: what was drafted, what was pruned early, what was kept."
    ),
    "run": "The run",
    "no_script": (
        "This page draws its run with JavaScript, which is switched off in this browser."
    ),
}
