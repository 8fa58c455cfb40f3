"""Planners: which tree to draft in the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol

from propd.core import SizeDecision, TokenTree
from propd.planning.acceptance import AcceptanceEstimator
from propd.planning.cost import CostModel
from propd.tree.growth import grow, prefix
from propd.tree.topology import limit_depth

SIZES = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 63)
"""Candidate sizes of a dynamic tree: close where one more node matters, wide where it does not."""


@dataclass(frozen=True)
class Drafts:
    """What the draft heads said: D heads, K ranks each, best first."""

    token_ids: tuple[tuple[int, ...], ...]
    reduced_ids: tuple[tuple[int, ...], ...]
    probabilities: tuple[tuple[float, ...], ...]


NO_DRAFTS = Drafts((), (), ())


class Planner(Protocol):
    """Decides the tree of a step and learns from what became of it."""

    uses_drafts: bool
    max_nodes: int
    """Nodes of the largest tree it may ask for, the root not counted."""

    def plan(self, drafts: Drafts, deepest: int) -> tuple[TokenTree, SizeDecision]:
        """The tree to draft, no deeper than ``deepest``, and why."""
        ...

    def learn(self, size: int, ranks: Sequence[int | None], milliseconds: float) -> None:
        """The step drafted ``size`` nodes and took so long; ``ranks[d]``: the rank that the true
        token at depth d + 1 had in its head's list (None: not in it), as far as it is known."""
        ...


class FixedPlanner:
    """The same tree in every step: plain decoding, BPD's chain, Medusa's tree."""

    def __init__(self, tree: TokenTree) -> None:
        self.tree = tree
        self.uses_drafts = tree.size > 0
        self.max_nodes = tree.size

    def plan(self, drafts: Drafts, deepest: int) -> tuple[TokenTree, SizeDecision]:
        """The tree, cut where the text would end anyway."""
        tree = limit_depth(self.tree, deepest)
        reason: Literal["fixed", "end"] = "fixed" if tree.size == self.tree.size else "end"
        return tree, SizeDecision((tree.size,), (), (), tree.size, reason)

    def learn(self, size: int, ranks: Sequence[int | None], milliseconds: float) -> None:
        """Nothing to learn."""


class DynamicPlanner:
    """The size that maximises L(n) / T(n), of greedily grown trees (paper, dynamic trees)."""

    uses_drafts = True

    def __init__(
        self,
        estimator: AcceptanceEstimator,
        cost: CostModel,
        max_nodes: int,
        values: Literal["rank", "contextual"] = "rank",
    ) -> None:
        self.estimator, self.cost, self.values = estimator, cost, values
        self.sizes = tuple(size for size in SIZES if size <= max_nodes)
        self.max_nodes = self.sizes[-1]

    def plan(self, drafts: Drafts, deepest: int) -> tuple[TokenTree, SizeDecision]:
        """Grow the largest tree, weigh every candidate size, cut it to the best."""
        tree = self.largest(drafts, deepest)
        sizes = tuple(size for size in self.sizes if size <= tree.size)
        reach = list(accumulate(tree.values))  # reach[n] = 1 + values of n nodes = L(n)
        lengths = tuple(reach[size] for size in sizes)
        base, slope = self.cost.coefficients()
        times = tuple(base + slope * size for size in sizes)
        best = max(range(len(sizes)), key=lambda i: lengths[i] / times[i])
        decision = SizeDecision(
            sizes=sizes,
            expected_lengths=lengths,
            estimated_ms=times,
            chosen=sizes[best],
            reason="best" if deepest >= len(self.estimator.table) else "end",
            acceptance_table=tuple(tuple(row) for row in self.estimator.table),
            cost_coefficients=(base, slope),
        )
        return prefix(tree, sizes[best]), decision

    def largest(self, drafts: Drafts, deepest: int) -> TokenTree:
        """The best tree of the greatest size; its prefixes are the best trees of all sizes."""
        by_rank = self.values == "rank"
        chances = self.estimator.table if by_rank else drafts.probabilities
        return grow(chances[: max(deepest, 0)], self.sizes[-1])

    def learn(self, size: int, ranks: Sequence[int | None], milliseconds: float) -> None:
        """Update the chances of the ranks and the cost of the size."""
        for depth, rank in enumerate(ranks, start=1):
            self.estimator.observe(depth, rank)
        self.cost.observe(size, milliseconds)
