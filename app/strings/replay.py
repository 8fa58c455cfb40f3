"""Pages without a server: replays, and the shell of the static site."""

from __future__ import annotations

from app.strings.watch import WATCH

WORDS = WATCH
ABOUT = "A recorded run, step by step: what was drafted, what was pruned early, what was kept."
RUN = "The run"
NO_SCRIPT = "This page draws its run with JavaScript, which is switched off in this browser."
