"""Record the runs that the page offers: `python -m app.record [NAME ...]` (for developers).

Runs the real engine and writes `assets/traces/`, and for the chapter on batches `assets/learn/`; to
be repeated when the heads improve. The sizes of the batches follow the costs recorded there
(`python -m propd costs --rows 16 --dtype float32 --weights dense --sweeps 4 --out
assets/learn/costs-16.json`, and for 1 and 4 rows), not the clock of that moment.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import propd
from app import settings
from app.strings.compare import BATCH_PROMPTS
from propd.core import DecodingConfig
from propd.planning.cost_file import load_costs
from propd.recording import header_for
from propd.trace import Trace, save

STAT = Path("/proc/stat")
RUNS = {
    "1-question-propd": ("Why is the sky blue?", "propd", 112),
    "2-code-propd": ("Write a Python function that adds up the numbers in a list.", "propd", 112),
    "3-story-propd": ("Tell a short story about a fox who learned to read.", "propd", 112),
    "4-question-medusa": ("Why is the sky blue?", "medusa", 96),
    "5-summary-propd": (
        "Summarize in two sentences: The city council met on Monday to discuss the new bridge. The "
        "bridge will cost ten million dollars. The mayor said the bridge will open in two years, "
        "and that the old bridge will stay open until then.",
        "propd",
        96,
    ),
}
"""File name to prompt, method and token limit; the middle word of a name is its label."""

BATCHES = {f"batch-{rows}": rows for rows in (1, 4, 16)}
"""File name to the prompts that are answered together."""
BATCH_TOKENS = 16
BATCH_NUMBERS = {"dtype": "float32", "weights": "dense"}
"""Weights of 4 bits are for few tokens in a pass."""


def machine(engine: Any) -> str:
    """In plain words: what a reader of the page needs to judge the speed."""
    if engine.device != "cpu":
        return str(engine.describe()["machine"])
    # Somebody else's work makes every measured time too long; a reader must know.
    return f"{os.cpu_count()} CPU cores{', shared with other work' if busy() else ''}"


def busy(seconds: float = 2.0) -> bool:
    """Whether others keep a quarter of a core busy, while this process waits (Linux only)."""
    if not STAT.exists():
        return False

    def ticks() -> tuple[int, int]:
        spent = [int(field) for field in STAT.read_text().splitlines()[0].split()[1:]]
        return sum(spent), spent[3] + spent[4]  # all, and those that were idle

    before = ticks()
    time.sleep(seconds)
    total, idle = (after - start for after, start in zip(ticks(), before, strict=True))
    return (total - idle) / max(total, 1) * (os.cpu_count() or 1) > 0.25


def record(engine: Any, about: dict[str, Any], prompt: str, method: str, tokens: int) -> Trace:
    """One run, as it comes; the second, because the first one warms the machine up."""
    config = DecodingConfig(
        method=method,
        max_new_tokens=tokens,
        prune_when=settings.PRUNE_WHEN,
        record_probabilities=True,
    )
    for _ in range(2):
        events = tuple(engine.stream(prompt, config))
    return Trace(header_for(about, prompt, config), events)


def record_batch(engine: Any, about: dict[str, Any], rows: int, costs: Path) -> Trace:
    """Prompts that are answered together; the method decides by recorded costs."""
    prompts = BATCH_PROMPTS.splitlines()[:rows]
    config = DecodingConfig(
        method=settings.METHOD, max_new_tokens=BATCH_TOKENS, cost_table=load_costs(costs)
    )
    events = tuple(engine.stream_batch(prompts, config, max_rows=rows))
    return Trace(header_for(about, "\n".join(prompts), config), events)


def loaded(**kept: str) -> tuple[Any, dict[str, Any]]:
    """An engine and what a header says of it; asked before the first run, which is work too."""
    numbers: dict[str, Any] = {"weights": settings.WEIGHTS, **kept}
    engine = propd.load(settings.MODEL, report=print, **numbers)
    return engine, {**engine.describe(), "machine": machine(engine)}


def write(trace: Trace, path: Path) -> None:
    """Save a run and say what it became."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save(trace, path)
    stats = trace.stats
    print(
        f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {stats.new_tokens} tokens, "
        f"{stats.tokens_per_pass:.2f} per pass, {stats.tokens_per_second:.1f} tokens/s"
    )


def main(names: list[str], traces: Path = settings.TRACES, learn: Path = settings.LEARN) -> None:
    """Record the named runs, or all of them."""
    asked = names or [*RUNS, *BATCHES]
    if runs := [name for name in asked if name not in BATCHES]:
        engine, about = loaded()
        for name in runs:
            write(record(engine, about, *RUNS[name]), traces / f"{name}.json")
    if batches := [name for name in asked if name in BATCHES]:
        engine, about = loaded(**BATCH_NUMBERS)
        for name in batches:
            costs = learn / f"costs-{BATCHES[name]}.json"
            write(record_batch(engine, about, BATCHES[name], costs), learn / f"{name}.json")


if __name__ == "__main__":
    main(sys.argv[1:])
