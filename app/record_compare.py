"""Record what Compare offers: `python -m app.record_compare [NAME ...]` (for developers).

Runs the real engine and writes `assets/comparisons/` and `assets/batches/`; to be repeated when
the engine or the heads improve.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any, Final

import propd
from app import settings
from app.batching import Sweep, plan
from app.comparing import Comparison, question
from app.record import machine
from app.strings.compare import BATCH_PROMPTS

COMPARISONS: Final = {
    "1-question": ("Why is the sky blue?", 64),
    "2-code": ("Write a Python function that adds up the numbers in a list.", 64),
}
"""File name to prompt and token limit; the last word of a name is its label."""
BATCHES: Final = {"1-batches": (settings.BATCHED, 32)}
"""File name to batch sizes and token limit."""
REPEATS = 3


def work_of(name: str) -> tuple[Path, Comparison | Sweep]:
    """Where a recording goes, and what makes it."""
    if name in COMPARISONS:
        prompt, tokens = COMPARISONS[name]
        asked = question(prompt, settings.COMPARED, tokens, REPEATS)
        return settings.COMPARISONS / f"{name}.json", Comparison(asked)
    sizes, tokens = BATCHES[name]
    planned = plan(BATCH_PROMPTS, sizes, settings.METHOD, tokens)
    return settings.BATCHES / f"{name}.json", Sweep(planned)


def main(names: list[str]) -> None:
    """Record the named ones, or all of them."""
    engine = propd.load(settings.MODEL, weights=settings.WEIGHTS, report=print)
    # Asked before the first run, which is work too.
    about: dict[str, Any] = {"machine": machine(engine), "recorded": date.today().isoformat()}
    engine.warm_up()
    for name in names or [*COMPARISONS, *BATCHES]:
        path, work = work_of(name)
        for _ in work.stream(engine):
            pass
        told = work.record()
        told["header"] |= about
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        path.write_text(text + "\n", encoding="utf-8")
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
        print(json.dumps(work.summary(), indent=1)[:3000])


if __name__ == "__main__":
    main(sys.argv[1:])
