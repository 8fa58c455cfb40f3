"""Pages without a server: replays, and the shell of the static site."""

from __future__ import annotations

from app.strings.page import MENU, TITLE
from app.strings.watch import WATCH

WORDS = WATCH
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
