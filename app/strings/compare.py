"""Compare: methods on one prompt, and batches of several sizes."""

from __future__ import annotations

from app.strings.step import STEP
from propd.benchmark.prompts import PROMPTS

METHODS_AND_REPEATS = "Methods, repeats, acceptance"
METHODS = "Methods"
METHODS_INFO = (
    "Each with its own trees. Of the settings beside, those of the text are the same for all."
)
ACCEPTANCE = "Acceptance"
ACCEPTANCE_INFO = "Typical (Medusa's) needs a temperature, and its text is not the model's own."
ACCEPTANCES = [("Exact", "exact"), ("Typical", "typical")]
REPEAT = "Repeats"
REPEAT_INFO = "Each method runs so often, in turns"
COMPARE = "Compare"
RUN_BATCHES = "Decode"
BATCH_TITLE = "Many at once"
BATCH_LEAD = (
    "Rows decoded together share one pass, so every node costs more and the best tree is smaller. "
    "Choose how many rows run together and watch the trees shrink."
)
BATCH_PROMPTS_LABEL = "Prompts, one a line"
BATCH_PROMPTS_INFO = "A batch of B rows takes the first B lines."
BATCH_SIZES = "Rows decoded together"
BATCH_SIZES_INFO = "Method and max tokens are those of the settings."

MORE_PROMPTS = (
    "What makes bread rise?",
    "Describe a market in the early morning.",
    "Give three reasons to learn a second language.",
    "How does a bicycle stay upright?",
    "Write a poem of four lines about the first snow.",
    "What is the capital of Australia, and what is it known for?",
    "Explain what a hash table is.",
    "Write an invitation to a birthday party in a garden.",
)
BATCH_PROMPTS = "\n".join((*PROMPTS, *MORE_PROMPTS))

NO_METHOD = "No method is chosen; choose at least one."
REPEATS = "The repeats are {given}; they must be between 1 and {limit}."
TOO_MUCH = (
    "This comparison could write {given} tokens and this page writes at most {limit} in one go; "
    "take fewer methods, repeats or tokens."
)
NO_SIZE = "No batch size is chosen; choose at least one."
ROWS = "A batch of {given} rows was asked for; it must have between 1 and {limit}."
FEW_PROMPTS = "Prompts given: {given}; the largest batch needs {needed}. Write one a line."
LONG_PROMPT = "A prompt is longer than {limit} characters; shorten it."
TOO_MANY_ROWS = (
    "These batches could write {given} tokens and this page writes at most {limit} in one go; take "
    "fewer or smaller batches, or fewer tokens."
)

EXAMPLES = {
    "question": "Question",
    "code": "Code",
    "story": "Story",
    "summary": "Summary",
    "batches": "Eight questions and more",
}

PLAYBACK = {
    "play": "Play",
    "pause": "Pause",
    "previous": "Back to the change before",
    "next": "On to the next change",
    "first": "To the start",
    "last": "To the end",
    "speed": "Speed",
}

STAGES = {
    "waiting": "Waiting for its turn",
    "loading": "Waiting for the model: {loading}",
    "warming": "Warming up {label}, not timed",
    "running": "{label} is running",
    "running_again": "{label} is running, {repeat} of {repeats}",
    "examining": "{label} wrote another text: looking closely at the first difference",
    "measuring": "Measuring what trees cost with {rows} {rows:row|rows}",
    "batch": "{rows} {rows:row is|rows are} running",
    "elapsed": "{elapsed} s so far",
    "left": "about {left} s to go (estimated)",
    "done": "Measured on this machine",
    "stopped": "Stopped; what came stays. Measured on this machine",
    "failed": "Broken off; what came stays. Measured on this machine",
    "recorded": "Recorded {date}, measured on {machine}",
    "nothing": "Nothing to show yet.",
    "unreadable": "This recorded comparison could not be read.",
}

COMPARE_WORDS = {
    **STEP,
    **PLAYBACK,
    "stages": STAGES,
    "setup_cpu": "{model}, {dtype} on {device}, threads: {threads}",
    "setup": "{model}, {dtype} on {device}",
    "same_for_all": "Same weights, kernels and seed for all; one after another, never together.",
    "logit_lens": "Early pruning looks through the model's own LM head (logit lens).",
    "runs": "Comparisons",
    "your_run": "Your comparison",
    "race": "Race of the methods",
    "align": "Line up by",
    "alignments": {"clock": "Wall clock", "step": "Step", "token": "Token"},
    "align_hints": {
        "clock": "All start together. Who has written more by now? (longer bar)",
        "step": "The same number of passes for all. Who has written more? (longer bar)",
        "token": "The same place in the text for all. Who needed fewer passes? (shorter bar)",
    },
    "positions": {
        "clock": "{at} s of {end} s",
        "step": "pass {at} of {end}",
        "token": "token {at} of {end}",
    },
    "scrub": "Position in the race",
    "standing": "{tokens} {tokens:token|tokens} · {passes} {passes:pass|passes} · {seconds} s",
    "standing_empty": "not begun",
    "show_large": "Show the tree of {label}",
    "large_hint": "Click a method to show or hide its tree.",
    "so_far": "{speed} tokens/s so far",
    "speed_told": "{speed} tokens/s",
    "nodes_now": "{nodes} {nodes:node|nodes}",
    "not_yet": "Has not written anything yet.",
    "waiting_lane": "Waits for its turn.",
    "results": "What it comes to",
    "columns": {
        "method": "method",
        "speed": "tokens/s",
        "speed_up": "speed-up",
        "passes": "tokens per pass",
        "size": "mean tree size",
        "verified": "verified per token",
        "pruned": "pruned share",
        "times": "time of a token by phase, ms",
        "text": "text",
    },
    "column_titles": {
        "method": "",
        "speed": "Measured, prefill included; the median of the repeats, least to greatest below",
        "speed_up": "Measured, repeat by repeat; median, least to greatest below",
        "passes": "Measured: mean acceptance length",
        "size": "Drafted nodes a step, the root not counted",
        "verified": "Drafted nodes that ran through all layers, for each token written",
        "pruned": "Drafted nodes that early pruning dropped",
        "times": "Measured. The bars have one scale, so a shorter bar is a faster token.",
        "text": "Beside {reference}",
    },
    "range": "{low} to {high}",
    "speed_up_of": "×{value}",
    "against_plain": "Speed-ups are against plain decoding (autoregressive).",
    "against_slowest": "Plain decoding did not run: speed-ups are against the slowest, {label}.",
    "repeats_one": "One run each: without repeats nothing is known of the spread.",
    "repeats_many": (
        "{repeats} runs each, in turns; the race and the other columns show each method's run of "
        "median speed."
    ),
    "prefill": "prefill",
    "none": "–",
    "baseline": "baseline",
    "reference": "the text to match",
    "identical": "identical text",
    "differs": "differs at token {position}",
    "not_compared": "not compared yet",
    "difference": "{label}: the text is that of {reference} up to token {position}. There {label} "
    "wrote “{other}” and {reference} “{own}”.",
    "reasons": {
        "near_tie": "A near-tie: the model's scores of the two are {gap} apart, and a different "
        "order of sums alone moves scores there by {noise}.",
        "no_tie": "No near-tie: the model's scores of the two are {gap} apart and another order "
        "of sums moves scores there by {noise} only. That should not happen; please report it.",
        "drawn": "With a temperature tokens are drawn by chance. All methods draw with the same "
        "random numbers, so a draw that falls between two tokens is turned by rounding.",
        "typical": "Typical acceptance keeps any token that is probable enough, so this text is "
        "not the model's own: that is its price.",
        "ended": "One of the texts ends here.",
        "unknown": "The text is too long to look closely here, so nothing is known of the reason.",
    },
    "headline": "{label} was fastest: {speed} tokens/s, {ratio} times {baseline}.",
    "headline_plain": "{label} was fastest here: {speed} tokens/s. Trees did not pay.",
    "headline_slower": "Slower than {baseline}: {labels}.",
    "plain": "plain decoding",
    "headline_same": "All texts are identical.",
    "headline_differs": "Not all texts are identical; see below the table.",
    "keys": "Keys: Space plays, ← → to the change before or after, Home, End.",
}

BATCH_WORDS = {
    **STEP,
    **PLAYBACK,
    "stages": STAGES,
    "setup_cpu": COMPARE_WORDS["setup_cpu"],
    "setup": COMPARE_WORDS["setup"],
    "batch_title": BATCH_TITLE,
    "batch_lead": BATCH_LEAD,
    "runs": "Batches",
    "your_run": "Your batches",
    "rows_together": "Rows together",
    "scrub": "Pass",
    "pass_of": "pass {at} of {end}",
    "forest": (
        "Token trees of {rows} {rows:row|rows} in pass {at}: {mean} nodes a row on average."
    ),
    "row_name": "row {row}, nodes: {nodes}",
    "row_ended": "row {row}, ended",
    "mean_now": "{mean} nodes a row in this pass, {ms} ms",
    "rows_texts": "The texts of the rows",
    "plot_size": "mean tree size a row",
    "plot_speed": "tokens/s, all rows",
    "plot_axis": "rows together",
    "plot_hover": "B = {rows}: {value} (measured)",
    "batch_columns": [
        "rows",
        "mean tree size a row",
        "tokens per pass a row",
        "tokens/s",
        "passes",
    ],
    "batch_note": (
        "Counted over the passes in which all rows ran, without prefill. Rows write on after their "
        "end, so that a batch keeps its size."
    ),
    "batch_table": "The plots as a table",
    "none": COMPARE_WORDS["none"],
    "keys": "Keys: Space plays, ← → passes, Home, End.",
}
