"""What can be set about the app, and its limits. Gradio's own GRADIO_... variables work too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

# Nothing leaves this machine: Gradio and the Hub read these when they are first imported, so
# this module is imported before them.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

ROOT = Path(__file__).resolve().parent.parent
PLAYER = ROOT / "app" / "player"
TRACES = ROOT / "assets" / "traces"
DOCS = ROOT / "docs"
LAB = ROOT / "assets" / "lab"
LEARN = ROOT / "assets" / "learn"
COMPARISONS = ROOT / "assets" / "comparisons"
BATCHES = ROOT / "assets" / "batches"

MODEL = os.environ.get("PROPD_MODEL", "smollm2-135m-instruct")
"""Chosen by whoever starts the app, never by a visitor."""
WEIGHTS = os.environ.get("PROPD_WEIGHTS", "auto")
"""As `propd.load` has it."""
METHOD = "propd"
PRUNE_WHEN: Final = "always"
"""Here to be seen: at batch 1 on a CPU the engine's own choice would seldom prune."""
METHODS_FIRST = ("propd", "propd-paper", "medusa", "bpd", "lookup", "autoregressive")
"""What a visitor compares first; ablations stand below."""
MAX_NEW_TOKENS = 256
"""Top of the slider, and checked on the server: one visitor must not keep the queue waiting."""
NEW_TOKENS = 96
PROMPT = "Why is the sky blue?"

COMPARED: Final = ("propd", "medusa", "bpd", "autoregressive")
"""What a comparison begins with."""
MAX_REPEATS = 5
BATCH_SIZES = (1, 2, 3, 4, 6, 8, 12, 16)
"""What the batch view offers; any whole number up to the last will do."""
BATCHED = (1, 2, 4, 8, 16)
MAX_ALL_TOKENS = 4096
"""Of all runs of a comparison, or all rows of a batch view, together: about as long as one visitor
may keep the others waiting."""

MESSAGES_PER_SECOND = 11
"""More looks no smoother, and the browser has a tree to draw for each."""
MESSAGE_EVENTS = 24
"""Latest events in a message. More than new ones (at most 150 a second were seen), because the page
may skip a message."""
QUEUE_SIZE = 20
"""Visitors who may wait, unless the start says otherwise."""
MOST_WORKERS = 32
MOST_WAITING = 1000
SESSIONS = 200

STOP_SECONDS = 20.0
"""For which a worker process may go on after Stop, until it is ended."""
GPU_BEGIN = 10.0
"""Seconds of a lent GPU before the first token: weights are moved, costs are measured."""
GPU_PASS = 0.04
"""Seconds of it for each pass at most. Both are estimates: nothing was measured on ZeroGPU."""
GPU_MOST = 120
"""Seconds that a visitor may ask for."""
