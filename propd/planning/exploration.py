"""Sizes that were not tried for long are tried again, at a bounded cost (ours).

The machine, the text and the length of the past change; what is known of a size that is never run
grows old. So now and then another size is run, when what it is expected to lose fits into a share
of the time spent so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from propd.planning.cost import Work

SHARE = 0.005
"""Of the time of a run that may be lost to exploring."""
STALE = 40
"""Steps after which a size counts as not tried for long."""
NEAR = 1.5
"""A size within this factor of one that was run, in tokens, is as good as run."""


class Weighed(Protocol):
    """Candidate sizes with what is expected of each (`propd.planning.dynamic.Options`)."""

    @property
    def sizes(self) -> Sequence[int]:
        """n, ascending."""
        ...

    @property
    def times(self) -> Sequence[float]:
        """T(n)."""
        ...

    def speed(self, at: int) -> float:
        """L(n) / T(n)."""
        ...


class Explorer:
    """Chooses between the best size and one not tried for long; owned by one session."""

    def __init__(self, share: float = SHARE, stale: int = STALE) -> None:
        self.share, self.stale = share, stale
        self.allowance = 0.0
        """Milliseconds that may be lost now."""
        self._step = 0
        self._last: dict[int, int] = {}

    def choose(self, options: Weighed, best: int) -> tuple[int, bool]:
        """The index to run, and whether it is an exploration.

        A size n is expected to lose T(n) (1 - speed(n) / speed(best)): the time in which the best
        size would have written as much. What promises more than the best, but hardly, loses none.
        """
        top = options.speed(best)
        losses = {
            at: max(0.0, options.times[at] * (1 - options.speed(at) / top))
            for at, size in enumerate(options.sizes)
            if at != best and self._age(size) > self.stale
        }
        affordable = [at for at, loss in losses.items() if loss <= self.allowance]
        if not affordable:
            return best, False
        oldest = max(affordable, key=lambda at: (self._age(options.sizes[at]), -losses[at]))
        self.allowance -= losses[oldest]
        return oldest, True

    def learn(self, work: Work, milliseconds: float) -> None:
        """A step ran; part of its time may be lost later."""
        self._step += 1
        self._last[work.early - work.rows] = self._step
        self.allowance += self.share * milliseconds

    def _age(self, size: int) -> int:
        """Steps since a size near this one ran."""
        near = (
            step
            for other, step in self._last.items()
            if max(other, size) + 1 <= NEAR * (min(other, size) + 1)
        )
        return self._step - max(near, default=0)
