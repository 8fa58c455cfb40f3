"""What every place shares: title, tabs, settings, and the state of the model."""

from __future__ import annotations

TITLE = "ProPD Studio"
LEAD = (
    "Watch a language model write several words in one pass: it drafts a tree of guesses, "
    "prunes the unlikely ones early, and keeps the branch it agrees with."
)
PLACES = {
    "watch": "Watch",
    "compare": "Compare",
    "learn": "Learn",
    "lab": "Lab",
    "runs": "Runs",
}
SETTINGS = "Settings"
METHOD = "Method"
MAX_TOKENS = "Max tokens"

LOADING = "Loading {model}: {stage} ({seconds} s). The recorded runs play already."
LOADING_FIRST = "starting"
MEASURING = "measuring what trees cost on this machine"
READY = "{model} is ready: {dtype} on {device}."
READY_THREADS = "{model} is ready: {dtype} on {device}, {threads} threads."
NO_MODEL = "No live runs: {reason} The recorded runs still play."
UNEXPECTED = "Something unexpected went wrong in the program; the log of the server says more."
