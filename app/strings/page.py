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
MENU = {"language": "Language"}
ERROR = "That did not work"
SETTINGS = "Settings"
METHOD = "Method"
MAX_TOKENS = "Max tokens"

TEMPERATURE = "Temperature"
TEMPERATURE_INFO = "0 takes the most probable token; above 0 tokens are drawn."
TOP_P = "Top-p"
TOP_P_INFO = "Draw only from the likeliest tokens that together are so probable."
SEED = "Seed"
PRUNE_RULE = "Pruning rule"
PRUNE_RULE_INFO = "What the early head goes by."
PRUNE_RULES = [("Top-k (paper)", "topk"), ("Threshold", "threshold"), ("Budget", "budget")]
PRUNE_TOP_K = "k of top-k"
PRUNE_TOP_K_INFO = "0: what suits these heads."
PRUNE_WHEN = "Prune"
PRUNE_WHEN_INFO = "On one text and a processor it seldom pays; here it is to be seen."
PRUNE_WHENS = [
    ("In every step", "always"),
    ("When it pays", "pays"),
    ("As the method says", "auto"),
]
GUESSES = "Who guesses"
GUESSES_INFO = "Draft heads, or what followed the same words before."
GUESSES_BY = [
    ("As the method says", "auto"),
    ("Draft heads", "heads"),
    ("The text so far", "text"),
    ("Both", "both"),
]
TREE_SIZE = "Tree size"
TREE_SIZE_INFO = "0: chosen in every step."
NOT_PRUNING = "This method does not prune."
NOT_DYNAMIC = "This method drafts the same tree in every step."
MORE = "More settings"
MORE_TEXT = "**The text**"
MORE_TREES = "**The trees.** They change the speed, never the text."
TOO_MANY = "This page writes at most {limit} tokens and {given} were asked for; ask for fewer."
NO_NUMBER = "{name} is {given}; it must be a number."
NO_WHOLE_NUMBER = "{name} is {given}; it must be a whole number."

LOADING = "Loading {model}: {stage} ({seconds} s{before}). The recorded runs play already."
LOADING_BEFORE = "; it took {seconds} s the last time"
LOADING_FIRST = "starting"
MEASURING = "measuring what trees cost on this machine"
READY = "{model} is ready: {numbers} on {device}."
READY_THREADS = "{model} is ready: {numbers} on {device}, threads: {threads}."
NO_MODEL = "No live runs: {reason} The recorded runs still play."
UNEXPECTED = "Something unexpected went wrong in the program; the log of the server says more."
