"""Watch: one run, step by step."""

from __future__ import annotations

from app.strings.share import SHARE
from app.strings.step import STEP

PROMPT = "Prompt"
PROMPT_HINT = "Ask something, or give it a text to go on with"
GENERATE = "Generate"
STOP = "Stop"
NO_BRANCH = "The page asked for a branch in a way that is not understood; load it anew."
OTHER_MODEL = (
    "This run was made by {given}, and {model} is loaded here: tokens of one mean nothing to the "
    "other. Generate the text here first, then try again."
)

EXAMPLES = {
    "question": "Question",
    "code": "Code",
    "story": "Story",
    "summary": "Summary",
}

WATCH = {
    **STEP,
    **SHARE,
    "player": "Player of a run",
    "runs": "Runs to watch",
    "your_run": "Your run {count}",
    "recorded": "Recorded on {machine}, {date}",
    "opened": "Opened from a file",
    "unknown_run": (
        "The link names a run that was only in the memory of the page that made it; "
        "ask for its file and open that in Runs."
    ),
    "logit_lens": "Early pruning looks through the model's own LM head (logit lens).",
    "live_waiting": "Waiting for its turn ({seconds} s)",
    "live_loading": "Waiting for the model: {stage}",
    "live_running": "Live",
    "live_progress": "Live: {tokens} of {limit} tokens in {seconds} s, at most {left} s to go",
    "live_done": "Live run, finished",
    "live_stopped": "Live run, stopped; what was written stays",
    "live_failed": "Live run, broken off; what was written stays",
    "prompt": "Prompt",
    "text_hint": "Click a word to see the step that wrote it.",
    "nothing_yet": "Nothing to show yet.",
    "trace_failed": "This run could not be read; choose another one, or load the page anew.",
    "playback": "Playback",
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
    "keys": "Keys",
    "close": "Close",
    "key_list": [
        ["Space", "play and pause"],
        ["← →", "previous and next step"],
        ["Shift+← Shift+→", "previous and next phase"],
        ["Home End", "first and last step"],
        ["Tab", "to the tree, then"],
        ["↑ ↓", "from node to node"],
        ["Enter", "keep a node; again: let it go"],
        ["Esc", "let it go"],
        ["?", "these keys"],
    ],
    "timeline": "The run at a glance",
    "timeline_size": "tree size, and verified of it (up to {top})",
    "timeline_tokens": "tokens a step added (up to {top})",
    "timeline_ms": "milliseconds by phase (up to {top})",
    "timeline_hint": "Click or drag to go to a step.",
    "timeline_step": "Step {step}: {drafted} drafted, {verified} verified, {tokens} added, {ms} ms",
    "timeline_prefill": "Prefill: {tokens} {tokens:token|tokens}, {ms} ms",
    "what_if": "What if “{text}” had been chosen? Go on from here",
    "what_if_hint": "Click the node to ask what if it had been chosen.",
    "what_if_busy": "Another run is on its way; wait for it or stop it.",
    "what_if_run": "What if “{text}” in step {step}",
}
