"""What the planner would do, and what it promises: asked of `propd.planning` itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from propd.core import SizeDecision, TokenTree
from propd.forecast import early, guesses, machine
from propd.forecast.basis import Basis, cut_at, fixed_tree
from propd.forecast.settings import Settings, Table
from propd.planning.chances import AcceptanceEstimator
from propd.planning.cost import CostModel, CurveCost, FrozenCost, Work
from propd.planning.drafts import NO_DRAFTS
from propd.planning.dynamic import DynamicPlanner
from propd.planning.planner import Outlook
from propd.requests import MAX_TREE

BATCHES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Promise:
    """What is expected of a step."""

    size: int
    """Drafted nodes, all rows together."""
    length: float
    """Tokens, all rows together."""
    milliseconds: float
    prunes: bool = False

    @property
    def speed(self) -> float:
        """Tokens a second, all rows together."""
        return 1000 * self.length / self.milliseconds


@dataclass(frozen=True)
class Batch:
    """The choice at one batch size, beside what it is compared with."""

    rows: int
    chosen: Promise
    unpruned: Promise
    plain: Promise
    fixed: Promise


@dataclass(frozen=True)
class Forecast:
    """All that the Lab draws."""

    settings: Settings
    acceptance: Table
    tree: TokenTree
    """Of the first row."""
    survive: tuple[float, ...]
    """Chance of each of its nodes to survive pruning; 1 where the step does not prune."""
    decision: SizeDecision
    """The planner's."""
    unpruned: SizeDecision
    """Its choice if no step pruned ..."""
    pruned: SizeDecision
    """... and if all did."""
    plain: Promise
    fixed: Promise
    batches: tuple[Batch, ...]
    share_before: float
    """Share of a pass before the prune layer."""


def promise(decision: SizeDecision) -> Promise:
    """Of the chosen size."""
    at = decision.sizes.index(decision.chosen)
    length, time = decision.expected_lengths[at], decision.estimated_ms[at]
    return Promise(decision.chosen, length, time, decision.prunes)


class Bench:
    """The planner with everything it needs, for any batch size."""

    def __init__(self, basis: Basis, settings: Settings) -> None:
        self.acceptance = guesses.acceptance(basis.acceptance, settings)
        self.past = settings.past
        self.cost: CostModel = FrozenCost(CurveCost(machine.costs(basis.machine, settings)))
        self.fixed_tree = fixed_tree(self.acceptance)
        self.leaving = early.Leaving(cut_at(basis, settings), self.fixed_tree, settings)
        self.survival = self.leaving.survival()

    def ask(
        self, rows: int, prunes: Literal["never", "always", "pays"]
    ) -> tuple[Sequence[TokenTree], SizeDecision]:
        """The trees that would be drafted, and why."""
        planner = DynamicPlanner(
            AcceptanceEstimator(self.acceptance),
            self.cost,
            MAX_TREE,
            prunes=prunes,
            survival=self.survival,
        )
        outlook = Outlook((len(self.acceptance),) * rows, self.past)
        planner.wants_drafts(outlook)
        return planner.plan(outlook, [NO_DRAFTS] * rows)

    def fixed(self, rows: int, tree: TokenTree | None = None) -> Promise:
        """The same tree for every row in every step, unpruned; without one, plain decoding."""
        size, value = (tree.size, sum(tree.values)) if tree else (0, 1.0)
        tokens = rows * (size + 1)
        work = Work(rows, tokens, tokens, self.past, drafted=size > 0)
        return Promise(rows * size, rows * value, self.cost.estimate(work))

    def batch(self, rows: int, prunes: Literal["never", "always", "pays"]) -> Batch:
        """The choice at this batch size."""
        unpruned = promise(self.ask(rows, "never")[1])
        chosen = unpruned if prunes == "never" else promise(self.ask(rows, prunes)[1])
        fixed = self.fixed(rows, self.fixed_tree)
        return Batch(rows, chosen, unpruned, self.fixed(rows), fixed)


def forecast(basis: Basis, settings: Settings) -> Forecast:
    """Ask the planner about these settings."""
    bench, rows = Bench(basis, settings), settings.rows
    trees, decision = bench.ask(rows, settings.prune)
    tree = trees[0]
    survive = bench.leaving.of(tree) if decision.prunes else [1.0] * len(tree.parents)
    return Forecast(
        settings=settings,
        acceptance=bench.acceptance,
        tree=tree,
        survive=tuple(survive),
        decision=decision,
        unpruned=bench.ask(rows, "never")[1],
        pruned=bench.ask(rows, "always")[1],
        plain=bench.fixed(rows),
        fixed=bench.fixed(rows, bench.fixed_tree),
        batches=tuple(bench.batch(size, settings.prune) for size in BATCHES),
        share_before=machine.share_before(basis.machine, settings.layer),
    )
