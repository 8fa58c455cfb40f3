"""How long a series of runs has taken, and about how long it will take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

ENOUGH = 0.1
"""Share of a run after which it tells something about its own length."""


class Progress:
    """Runs one after another; those of the same key are expected to take the same time."""

    def __init__(self, plan: Sequence[tuple[Any, float]]) -> None:
        """plan: (key, weight) of each run in order; weight: how long it may take beside others."""
        self.plan = list(plan)
        self.began = self.run_began = time.monotonic()
        self.finished: list[float] = []
        """Seconds of the runs that are over."""

    def begin(self) -> None:
        """The next run begins."""
        self.run_began = time.monotonic()

    def end(self) -> None:
        """The run is over."""
        self.finished.append(time.monotonic() - self.run_began)

    def elapsed(self) -> float:
        """Seconds since the first was asked for."""
        return time.monotonic() - self.began

    def left(self, share: float) -> float | None:
        """Seconds that are left, estimated; share: of the current run that is done, 0 to 1.

        None while nothing is known.
        """
        spent = time.monotonic() - self.run_began
        at, weights = len(self.finished), dict(self.plan)
        known = {key: s for (key, _), s in zip(self.plan, self.finished, strict=False)}
        if at < len(self.plan) and share >= ENOUGH:
            known[self.plan[at][0]] = spent / share
        if not known:
            return None
        rate = sum(known.values()) / sum(weights[key] for key in known)
        expected = [known.get(key, rate * weight) for key, weight in self.plan[at:]]
        return max(0.0, expected[0] - spent) + sum(expected[1:]) if expected else 0.0
