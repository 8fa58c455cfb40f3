"""Runs: open, save, share."""

from __future__ import annotations

from app.strings.share import SHARE
from app.strings.step import STEP

GROUPS = {"visit": "This visit", "opened": "Opened files", "recorded": "Recorded"}

FORMS = {
    "json": ["Trace, JSON", "Everything that was recorded. Opens here again."],
    "html": ["Replay, HTML", "One file that plays in any browser, without this page or a network."],
    "csv": ["Steps, CSV", "A row a step, for spreadsheets."],
    "nodes": ["Nodes, CSV", "A row a node, for spreadsheets."],
    "graphml": ["Trees, GraphML", "For graph editors such as Gephi or yEd."],
}

BENCH = {
    "shipped": "Measured by us",
    "bench_choice": "Results",
    "bench_label": "{model}, {dtype}, {device}",
    "bench_none": "No benchmark is shipped with this copy. Open the results.json of your own.",
    "bench_lead": (
        "{method} writes {ratio} times as many tokens a second as plain decoding on this machine "
        "(over groups of prompts: {low} to {high}). {identical} of {prompts} texts are identical "
        "to plain decoding."
    ),
    "bench_lead_short": "{method} writes {ratio} times as many tokens a second as plain decoding.",
    "measured_on": "Measured on {machine}: {device}, {dtype}, {threads} {threads:thread|threads}",
    "measured_on_device": "Measured on {machine}: {device}, {dtype}",
    "bench_rows": {
        "model": "model",
        "machine": "machine",
        "device": "device",
        "dtype": "number type",
        "numerics": "numerics",
        "threads": "threads",
        "heads": "heads",
        "asked": "asked",
        "peers": "other programs",
        "versions": "versions",
        "memory": "peak memory",
        "skipped": "skipped",
    },
    "bench_asked": (
        "{prompts} prompts, {tokens} new tokens each, batch {batches}, measured {repeats} ×"
    ),
    "command": "Command",
    "copy_command": "Copy command",
    "batch": "batch {batch}",
    "figure_speed": "Speed against plain decoding",
    "figure_speed_look": (
        "Marks: tokens a second over those of plain decoding, prefill included. Lines: the 10th to "
        "the 90th percentile, group of prompts by group. Right of the dotted line is faster."
    ),
    "figure_speed_x": "times plain decoding",
    "figure_phases": "Where the time of a pass goes",
    "figure_phases_look": "Mean milliseconds of a pass after the prefill, by phase.",
    "figure_phases_x": "milliseconds a pass",
    "figure_trade": "More tokens a pass, less time a token",
    "figure_trade_look": "Further right: more guesses came true. Further down: faster.",
    "figure_trade_x": "tokens per pass and prompt",
    "figure_trade_y": "ms per token",
    "figure_promise": "Expected and measured",
    "figure_promise_look": (
        "By the tree size that was chosen: tokens of a step L(n) and its milliseconds T(n), "
        "expected before the step (dotted, hollow) and measured (full). Larger marks stand for "
        "more steps."
    ),
    "figure_promise_l": "L(n), tokens a step",
    "figure_promise_t": "T(n), ms a step",
    "figure_promise_x": "drafted nodes n, all prompts together",
    "expected": "expected",
    "bench_table": "All numbers",
    "bench_columns": {
        "name": "method",
        "batch": "batch",
        "speed": "tokens/s",
        "ratio": "× plain",
        "spread": "spread",
        "decode_speed": "decoding tokens/s",
        "first_ms": "ms to first tokens",
        "per_pass": "tokens per pass",
        "drafted": "drafted a step",
        "verified": "verified a step",
        "identical": "same text",
    },
    "spread": "{low} to {high}",
    "of": "{count}/{all}",
    "bench_foot": (
        "Speeds are total tokens over total seconds, prefill included. Decoding tokens/s: after "
        "the first token of every prompt. Spread: the 10th and 90th percentile of × plain, group "
        "by group. Same text: character for character that of plain decoding."
    ),
    "bench_categories": "By kind of prompt, × plain",
    "bench_save": "Save results.json",
}

RUNS = {
    **STEP,
    **SHARE,
    **BENCH,
    "views": "What to look at",
    "view_runs": "Runs",
    "view_bench": "Benchmark",
    "drop": "Drop a file here, or",
    "choose": "choose one",
    "drop_hint": (
        "A recorded run (trace, JSON) or the results.json of a benchmark, at most {limit} MB. "
        "It is checked and stays in the memory of this page only."
    ),
    "file_too_large": (
        "“{name}” has {size} MB and this page opens files of at most {limit} MB; "
        "record fewer tokens, or run fewer prompts."
    ),
    "file_unreadable": "“{name}” cannot be read; choose a single file that is still there.",
    "file_not_text": (
        "“{name}” is no text in UTF-8; choose a JSON file that this program has saved."
    ),
    "file_refused": "“{name}” was not opened. {reason}",
    "file_opened": "“{name}” is open.",
    "no_server": "The server does not answer; try again in a moment. Nothing on this page is lost.",
    "no_server_json": "The server does not answer, so the trace was saved as this page knows it.",
    "checking": "Checking “{name}” …",
    "close": "Close this message",
    "runs": "Runs",
    "groups": GROUPS,
    "none_yet": "Runs that you start in Watch appear here. They are gone when you close the page.",
    "row": "{method} · {tokens} {tokens:token|tokens} · {per_pass} per pass · {speed} tokens/s",
    "row_live": "{method} · running",
    "forget": "Forget this run",
    "watch": "Watch",
    "watch_title": "Play this run step by step",
    "tree_help_short": "Token tree. {summary}",
    "no_link": "Only in the memory of this page: save it to share it.",
    "reading": "Reading the run …",
    "trace_failed": "This recorded run could not be read; reload the page.",
    "unknown_run": (
        "The link names a run that was only in the memory of the page that made it. "
        "Ask for its file and open that here."
    ),
    "prompt": "Prompt",
    "text_hint": "Click a word to watch the step that wrote it.",
    "made": "How it was made",
    "made_rows": {
        "model": "model",
        "method": "method",
        "machine": "machine",
        "device": "device",
        "dtype": "number type",
        "numerics": "numerics",
        "threads": "threads",
        "heads": "heads",
        "config": "settings",
        "versions": "versions",
        "recorded": "date",
    },
    "counts": (
        "{steps} {steps:step|steps}: {drafted} drafted, {pruned} pruned early, "
        "{verified} verified, "
        "{kept} accepted"
    ),
    "save": "Save this run",
    "forms": FORMS,
    "save_step": "Step for GraphML",
    "save_step_all": "all",
    "save_plotly": "Put plotly.js into the replay (5 MB more): its charts answer to the pointer",
    "saving": "Saving …",
    "saved": "Saved “{name}”, {size} kB.",
}
