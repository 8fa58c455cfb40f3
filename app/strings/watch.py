"""Watch: one run, step by step."""

from __future__ import annotations

from app.strings.step import STEP

PROMPT = "Prompt"
PROMPT_HINT = "Ask something, or give it a text to go on with"
GENERATE = "Generate"
STOP = "Stop"
TOO_MANY = "This page writes at most {limit} tokens and {given} were asked for; ask for fewer."

EXAMPLES = {
    "question": "Question",
    "code": "Code",
    "story": "Story",
    "summary": "Summary",
}

WATCH = {
    **STEP,
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
    "text_hint": "Click a word to see the step that wrote it.",
    "nothing_yet": "Nothing to show yet.",
    "trace_failed": "This recorded run could not be read.",
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
}
