"""Planners: which trees to draft in the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol

from propd.core import SizeDecision, TokenTree
from propd.planning.acceptance import AcceptanceEstimator, Calibration
from propd.planning.cost import CostModel
from propd.tree.growth import grow, prefix
from propd.tree.topology import limit_depth

SIZES = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 63)
"""Candidate nodes a row: close where one more node matters, wide where it does not."""


@dataclass(frozen=True)
class Drafts:
    """What the draft heads said of one row: D heads, K ranks each, best first."""

    token_ids: tuple[tuple[int, ...], ...]
    reduced_ids: tuple[tuple[int, ...], ...]
    probabilities: tuple[tuple[float, ...], ...]


NO_DRAFTS = Drafts((), (), ())


@dataclass(frozen=True)
class Outcome:
    """What a step taught about one row."""

    ranks: tuple[int | None, ...]
    """``ranks[d]``: the rank that the true token at depth d + 1 had in its head's list (None: not
    in it), as deep as the truth is known."""
    claimed: tuple[float, ...]
    """``claimed[d]``: the probability that the head for depth d + 1 gave its best guess."""


class Planner(Protocol):
    """Decides the trees of a step and learns from what became of them.

    To bring your own: decide in `plan`, and learn in `learn` what you like; the text stays right
    whatever you draft.
    """

    uses_drafts: bool
    max_nodes: int
    """Nodes of the largest tree a row may get, the root not counted."""

    def plan(
        self, drafts: Sequence[Drafts], deepest: Sequence[int]
    ) -> tuple[list[TokenTree], SizeDecision]:
        """A tree for each of R rows, no deeper than ``deepest`` of the row, and why."""
        ...

    def learn(self, nodes: int, outcomes: Sequence[Outcome], milliseconds: float) -> None:
        """A step of len(outcomes) rows drafted so many nodes and took so long."""
        ...


class FixedPlanner:
    """The same tree in every step: plain decoding, BPD's chain, Medusa's tree."""

    def __init__(self, tree: TokenTree) -> None:
        self.tree = tree
        self.uses_drafts = tree.size > 0
        self.max_nodes = tree.size

    def plan(
        self, drafts: Sequence[Drafts], deepest: Sequence[int]
    ) -> tuple[list[TokenTree], SizeDecision]:
        """The tree for every row, cut where the row's text would end anyway."""
        trees = [limit_depth(self.tree, depth) for depth in deepest]
        total = sum(tree.size for tree in trees)
        whole = total == self.tree.size * len(trees)
        reason: Literal["fixed", "end"] = "fixed" if whole else "end"
        return trees, SizeDecision((total,), (), (), total, reason)

    def learn(self, nodes: int, outcomes: Sequence[Outcome], milliseconds: float) -> None:
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
        self.calibration = Calibration(len(estimator.table))
        self.sizes = (*(size for size in SIZES if size < max_nodes), max_nodes)
        self.max_nodes = max_nodes

    def plan(
        self, drafts: Sequence[Drafts], deepest: Sequence[int]
    ) -> tuple[list[TokenTree], SizeDecision]:
        """Grow the largest tree of each row, weigh every total size, and share out the best.

        The rows' nodes are ranked together by value, so that a row whose next node is worth little
        yields it to another. Value never grows along a row's order of growth, so each row gets a
        prefix of its order: the best tree of its size.
        """
        rows = len(drafts)
        trees = [self.largest(row, depth) for row, depth in zip(drafts, deepest, strict=True)]
        offers = sorted(
            ((value, row) for row, tree in enumerate(trees) for value in tree.values[1:]),
            key=lambda offer: -offer[0],
        )
        sizes = tuple(s * rows for s in self.sizes if s * rows <= len(offers))
        reach = list(accumulate((value for value, _ in offers), initial=float(rows)))
        lengths = tuple(reach[size] for size in sizes)
        base, slope = self.cost.coefficients()
        # the line counts tokens in the pass beyond one: further rows cost as further nodes do
        times = tuple(base + slope * (size + rows - 1) for size in sizes)
        best = max(range(len(sizes)), key=lambda i: lengths[i] / times[i])
        shares = [0] * rows
        for _, row in offers[: sizes[best]]:
            shares[row] += 1
        decision = SizeDecision(
            sizes=sizes,
            expected_lengths=lengths,
            estimated_ms=times,
            chosen=sizes[best],
            reason="best" if min(deepest) >= len(self.estimator.table) else "end",
            acceptance_table=tuple(tuple(row) for row in self.estimator.table),
            cost_coefficients=(base, slope),
        )
        return [prefix(t, share) for t, share in zip(trees, shares, strict=True)], decision

    def largest(self, drafts: Drafts, deepest: int) -> TokenTree:
        """The best tree of the greatest size; its prefixes are the best trees of all sizes."""
        chances = self.estimator.table
        if self.values == "contextual":
            chances = self.calibration.corrected(drafts.probabilities)
        return grow(chances[: max(deepest, 0)], self.max_nodes)

    def learn(self, nodes: int, outcomes: Sequence[Outcome], milliseconds: float) -> None:
        """Update the chances of the ranks and the cost of the size."""
        for outcome in outcomes:
            pairs = zip(outcome.ranks, outcome.claimed, strict=True)
            for depth, (rank, claimed) in enumerate(pairs, start=1):
                self.estimator.observe(depth, rank)
                self.calibration.observe(depth, rank == 0, claimed)
        self.cost.observe(nodes + len(outcomes) - 1, milliseconds)
