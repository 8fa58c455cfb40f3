"""Record the runs that the page offers: `python -m app.record [NAME ...]` (for developers).

Runs the real engine and writes `assets/traces/`; to be repeated when the heads improve.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import propd
from app import settings
from propd.trace import Header, Trace, save

RUNS = {
    "1-question-propd": ("Why is the sky blue?", "propd", 112),
    "2-code-propd": ("Write a Python function that adds up the numbers in a list.", "propd", 112),
    "3-story-propd": ("Tell a short story about a fox who learned to read.", "propd", 112),
    "4-question-medusa": ("Why is the sky blue?", "medusa", 96),
}
"""File name to prompt, method and token limit; the middle word of a name is its label."""


def machine(engine: Any) -> str:
    """In plain words: what a reader of the page needs to judge the speed."""
    if engine.device != "cpu":
        return str(engine.describe()["machine"])
    # Somebody else's work makes every measured time too long; a reader must know.
    busy = ", shared with other work" if os.getloadavg()[0] > 0.5 else ""
    return f"{os.cpu_count()} CPU cores{busy}"


def record(engine: Any, about: dict[str, Any], prompt: str, method: str, tokens: int) -> Trace:
    """One run, as it comes; the second, because the first one warms the machine up."""
    config = {"max_new_tokens": tokens, "record_probabilities": True}
    for _ in range(2):
        events = tuple(engine.stream(prompt, method=method, **config))
    header = Header(method=method, prompt=prompt, config=config, **about)
    return Trace(replace(header, recorded=date.today().isoformat()), events)


def main(names: list[str], folder: Path = settings.TRACES) -> None:
    """Record the named runs, or all of them."""
    engine = propd.load(settings.MODEL, report=print)
    # Asked before the first run, which is work too.
    about = {**engine.describe(), "machine": machine(engine)}
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or RUNS:
        trace = record(engine, about, *RUNS[name])
        path = folder / f"{name}.json"
        save(trace, path)
        stats = trace.stats
        print(
            f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {stats.new_tokens} tokens, "
            f"{stats.tokens_per_pass:.2f} per pass, {stats.tokens_per_second:.1f} tokens/s"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
