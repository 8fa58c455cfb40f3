"""A short measured sweep over tree sizes, so that the first size choice is not a guess."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from propd.core import SizeDecision, TokenTree
from propd.planning.planner import Drafts, DynamicPlanner, Outcome
from propd.tree.growth import prefix

SWEEP = (0, 4, 8, 16, 32, 63)
ROUNDS = 3
"""The first round warms caches and kernels up and is not counted."""


class SweepPlanner:
    """Runs every size of the sweep in turn, for one row, and keeps what each took."""

    uses_drafts = True

    def __init__(self, inner: DynamicPlanner) -> None:
        self._inner = inner
        self._turn = 0
        self.max_nodes = inner.max_nodes
        self.sizes = tuple(size for size in SWEEP if size <= inner.max_nodes)
        self.times: dict[int, list[float]] = {}

    @property
    def steps(self) -> int:
        """Steps of a whole sweep."""
        return ROUNDS * len(self.sizes)

    def plan(
        self, drafts: Sequence[Drafts], deepest: Sequence[int]
    ) -> tuple[list[TokenTree], SizeDecision]:
        """The tree of the size whose turn it is."""
        size = self.sizes[self._turn % len(self.sizes)]
        tree = prefix(self._inner.largest(drafts[0], deepest[0]), size)
        return [tree], SizeDecision((tree.size,), (), (), tree.size, "fixed")

    def learn(self, nodes: int, outcomes: Sequence[Outcome], milliseconds: float) -> None:
        """Keep the time, from the second round on."""
        if self._turn >= len(self.sizes):
            self.times.setdefault(nodes, []).append(milliseconds)
        self._turn += 1

    def costs(self) -> dict[int, float]:
        """Median milliseconds by size: the prior of a `CostModel`."""
        return {size: median(times) for size, times in self.times.items()}
