"""Every English sentence of the app, in one place.

``PLAYER`` goes to the browser; ``{name}`` in it is replaced there by plain text.
"""

from __future__ import annotations

TITLE = "ProPD Studio"
LEAD = (
    "Watch a language model write several words in one pass: it drafts a tree of guesses, "
    "prunes the unlikely ones early, and keeps the branch it agrees with."
)
PROMPT = "Prompt"
PROMPT_HINT = "Ask something, or give it a text to go on with"
METHOD = "Method"
MAX_TOKENS = "Max tokens"
GENERATE = "Generate"
STOP = "Stop"

LOADING = "Loading {model}: {stage} ({seconds} s). The recorded runs below play already."
LOADING_FIRST = "starting"
MEASURING = "measuring what trees cost on this machine"
READY = "{model} is ready: {dtype} on {device}."
READY_THREADS = "{model} is ready: {dtype} on {device}, {threads} threads."
NO_MODEL = "No live runs: {reason} The recorded runs below still play."
TOO_MANY = "This page writes at most {limit} tokens and {given} were asked for; ask for fewer."
UNEXPECTED = "Something unexpected went wrong in the program; the log of the server says more."

EXAMPLES = {
    "question": "Question",
    "code": "Code",
    "story": "Story",
    "summary": "Summary",
}

FATES = {
    "r": "root",
    "d": "drafted",
    "p": "pruned",
    "x": "rejected",
    "a": "accepted",
    "b": "bonus",
}

PLAYER = {
    "fates": FATES,
    "runs": "Runs to watch",
    "your_run": "Your run",
    "recorded": "Recorded on {machine}, {date}",
    "logit_lens": "Early pruning looks through the model's own LM head (logit lens).",
    "live_waiting": "Waiting for its turn",
    "live_loading": "Waiting for the model: {stage}",
    "live_running": "Live",
    "live_done": "Live run, finished",
    "live_stopped": "Live run, stopped; what was written stays",
    "live_failed": "Live run, broken off; what was written stays",
    "prompt": "Prompt",
    "text": "Text the model wrote",
    "text_hint": "Click a word to see the step that wrote it.",
    "nothing_yet": "Nothing to show yet.",
    "trace_failed": "This recorded run could not be read.",
    "tokens_per_second": "tokens/s",
    "tokens_per_second_title": "Measured up to this step, prefill included",
    "tokens_per_pass": "tokens per pass",
    "tokens_per_pass_title": "Measured up to this step: mean acceptance length",
    "tokens": "tokens",
    "from_accepted": "drafted and accepted",
    "from_bonus": "bonus: the model's own",
    "from_prefill": "from the prefill",
    "play": "Play",
    "pause": "Pause",
    "previous": "Previous step",
    "next": "Next step",
    "first": "First step",
    "last": "Last step",
    "speed": "Speed",
    "as_it_ran": "as it ran",
    "scrub": "Step",
    "jump_to_live": "Jump to live",
    "step_of": "Step {step} of {steps}",
    "prefill": "Prefill",
    "keys": "Keys: Space plays, ← → step, Shift+→ phase, Home, End, ↑ ↓ walk the tree.",
    "tree": "Token tree of this step",
    "tree_help": "Token tree. {caption} The table below says the same in words.",
    "sources": {
        "t": "guessed by the text so far",
        "b": "guessed by a head and the text",
    },
    "legend_size": "larger = likelier draft",
    "legend_space": "␣ space, ↵ new line",
    "phase": "Phase of the step",
    "phase_drafted": "Drafted",
    "phase_pruned": "Pruned early",
    "phase_judged": "Verified",
    "caption_prefill": "The model read the prompt and wrote the first token itself.",
    "caption_single": "Nothing drafted: the model wrote 1 token itself.",
    "caption_drafted": "{drafted} drafted",
    "caption_pruned": "{pruned} pruned after layer {layer}",
    "caption_verified": "{verified} verified",
    "caption_accepted": "{accepted} accepted",
    "caption_bonus": " + 1 bonus",
    "guesses": "Guessed: {parts}.",
    "guesses_by": {
        "h": "{count} by heads",
        "t": "{count} by the text",
        "b": "{count} by both",
    },
    "finish_eos": "The text ends here.",
    "finish_length": "The token limit is reached.",
    "finish_stop": "A stop string ends the text here.",
    "size": "Why this tree size",
    "estimated": "estimated",
    "measured": "measured",
    "size_l": "tokens per pass L(n)",
    "size_t": "step time T(n), ms",
    "size_ratio": "tokens/s, L(n) / T(n)",
    "size_axis": "tree size n",
    "size_chosen": "chosen: n = {chosen}",
    "size_best": "Size {chosen} promised the most tokens per second.",
    "size_end": "Few tokens were left to write, so the tree stayed small.",
    "size_explore": "Size {chosen} was not tried for long; this step measures it again.",
    "size_fixed": "This method always drafts {chosen}; no size was weighed.",
    "size_none": "No tree is drafted in this step.",
    "step_time": "Step time {ms} ms",
    "phase_ms": "{name} {ms}",
    "phases": {
        "draft": "draft",
        "grow": "grow",
        "early": "early layers",
        "prune": "prune",
        "late": "late layers",
        "verify": "verify",
        "commit": "commit",
    },
    "card": "Token",
    "card_hint": "Point at, focus or tap a node to read what became of it and why.",
    "card_id": "token id",
    "card_place": "head, rank",
    "card_place_value": "head {head}, rank {rank}",
    "card_rank": "rank among the guesses here",
    "card_draft": "draft probability",
    "card_value": "path value",
    "card_early": "early rank",
    "card_early_value": "{rank} (cut {cut})",
    "card_early_plain": "{rank}",
    "card_threshold": "least early probability",
    "card_early_p": "early probability",
    "card_final": "final probability",
    "card_fate": "fate",
    "guessed_by": {
        "h": "Guessed by draft head {head}.",
        "t": "Guessed by the text: this followed the same words earlier.",
        "b": "Guessed by draft head {head}, and by the text: this followed the same words earlier.",
    },
    "why_root": "Decided by the step before; the tree grows from it.",
    "why_root_prefill": "The last token of the prompt.",
    "why_drafted": "Proposed; not judged yet.",
    "why_pruned_rank": "The early head ranked it {rank}; the cut is {cut}.",
    "why_pruned_threshold": "The early head gave it {chance}; the least that stays is {least}.",
    "why_pruned_budget": "After layer {layer} its path was too improbable to pay for its time.",
    "why_pruned_parent": "Its parent was pruned.",
    "why_pruned": "The early head left it out after layer {layer}.",
    "why_pruned_lost": "The model itself would have chosen it, so here pruning cost a token.",
    "why_rejected_choice": "The model itself chose “{choice}” here.",
    "why_rejected_parent": "Its parent was not kept.",
    "why_rejected_end": "The model agreed, but the text had reached its end.",
    "why_rejected": "The model itself chose another token here.",
    "why_accepted": "The model itself chose this token here too, so it was kept.",
    "why_bonus": "The model's own next token; it becomes the next root.",
    "table": "The step as a table",
    "table_columns": [
        "node",
        "token",
        "parent",
        "head",
        "rank",
        "draft p",
        "early rank",
        "early p",
        "final p",
        "fate",
        "why",
    ],
    "table_columns_sources": [
        "node",
        "token",
        "parent",
        "depth",
        "guessed by",
        "rank",
        "draft p",
        "early rank",
        "early p",
        "final p",
        "fate",
        "why",
    ],
    "table_source": {"h": "head {head}", "t": "text", "b": "head {head}, text"},
}
