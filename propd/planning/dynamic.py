"""The dynamic planner: the size of a step's trees that promises the most tokens a millisecond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple

from propd.core import SizeDecision, TokenTree
from propd.planning.chances import AcceptanceEstimator, RunningRatio, Survival
from propd.planning.cost import CostModel, FrozenCost, LineCost, Work
from propd.planning.drafts import RANKS, Drafts
from propd.planning.exploration import Explorer
from propd.planning.feedback import Feedback, RowFeedback
from propd.planning.guesser import DEEPEST
from propd.planning.planner import Outlook
from propd.tree.growth import grow, grow_by, prefix

SIZES = (0, 1, 2, 3, 4, 5, 7, 9, 11, 13, 15, 19, 23, 27, 31, 39, 47, 55, 63)
"""Candidate nodes a row: close where one more node matters, wide where it does not; with the root
many are multiples of 4, because products take 4 rows or 16 at a time."""
FILLED, FILLED_TO = 4, 32
"""Candidate nodes of all rows: those that make the tokens of the pass a multiple of it, up to so
many. The last rows of a product that takes 4 at a time are cheap."""
OPEN_STEPS, LONGEST_OPEN = 3, 15
SHUT_STEPS, LONGEST_SHUT = 7, 31
"""Steps for which it holds that the heads shall run, or shall not; contextual values only. The same
answer again holds for twice as long."""
MARGIN = 0.03
"""What a tree must promise over plain decoding: the best of many estimates is mostly one that errs
upwards, and by about so much."""
LEAST = 0.01
"""Value of the least probable node that is considered, before the costs are known."""


class Offer(NamedTuple):
    """A node that some row would add next, were the budget larger."""

    value: float
    row: int
    depth: int
    rank: int


@dataclass(frozen=True)
class Options:
    """Candidate sizes n of a step, ascending, with what is expected of each."""

    sizes: tuple[int, ...]
    lengths: tuple[float, ...]
    """L(n), all rows together."""
    times: tuple[float, ...]
    """T(n)."""
    prunes: bool

    def best(self) -> int:
        """Index of the greatest L(n) / T(n); of size 0 where a tree promises hardly more."""
        at = max(range(len(self.sizes)), key=self.speed)
        hardly = self.sizes[0] == 0 and self.speed(at) < (1 + MARGIN) * self.speed(0)
        return 0 if hardly else at

    def speed(self, at: int) -> float:
        """L(n) / T(n): expected tokens a millisecond."""
        return self.lengths[at] / self.times[at]


class DynamicPlanner:
    """The size that maximises L(n) / T(n), of greedily grown trees (paper, dynamic trees).

    values: what a node is worth. ``rank``: the running accuracy of its head and rank (paper).
    ``contextual``: the probability its guess was given (`propd.planning.guesser`).
    prunes: whether its steps prune: never, always, or (with "pays") when that is expected to be
    faster. explorer: tries sizes that were not run for long; None for runs that must repeat.
    size: nodes that every row's tree shall have, if so many are guessed; None: weighed.
    survival: what pruning is known to leave; None: it has to be learned.
    """

    def __init__(
        self,
        estimator: AcceptanceEstimator,
        cost: CostModel,
        max_nodes: int,
        values: Literal["rank", "contextual"] = "rank",
        prunes: Literal["never", "always", "pays"] = "never",
        explorer: Explorer | None = None,
        size: int | None = None,
        survival: Survival | None = None,
    ) -> None:
        self.estimator, self.cost, self.prunes = estimator, cost, prunes
        self.values, self.explorer = values, explorer
        self.deepest = max(DEEPEST, len(estimator))
        self.survival = survival or Survival(self.deepest, RANKS)
        self.trust = RunningRatio()
        """Of accepted nodes to the sums of node values. A tree takes the guesses that look best, so
        those that look better than they are get in first, and even calibrated sums promise more."""
        self.max_nodes = max_nodes
        self.size = size
        self._least = 0.0 if size else LEAST
        self._gate_asked, self._gate_holds_for = (0, False), 0
        self._open_for, self._shut_for = OPEN_STEPS, SHUT_STEPS
        self._decided: tuple[list[TokenTree], SizeDecision]
        self._options: Options

    def wants_drafts(self, outlook: Outlook) -> bool:
        """Whether any size above 0 is worth it by the running accuracies of the ranks.

        Contextual values can only be told with drafts; but where all ranks together are not worth
        a node, the heads' own word is not asked either, so that useless heads cost nothing.
        """
        asked = (outlook.rows, min(outlook.deepest) < self.deepest)
        if self._gate_holds_for and asked == self._gate_asked:
            self._gate_holds_for -= 1  # accuracies move slowly, and to weigh them takes time too
            return self._decided[1].chosen > 0
        trees = self._largest_by_rank(outlook)
        self._decided = self._decide(outlook, trees, self.explorer)
        self._least = self._worth_adding()
        lasts = self.values == "contextual" and self._decided[1].reason == "best"
        runs = self._decided[1].chosen > 0
        holds_for = self._open_for if runs else self._shut_for
        self._gate_asked, self._gate_holds_for = asked, holds_for if lasts else 0
        self._open_for = min(2 * self._open_for + 1, LONGEST_OPEN) if runs else OPEN_STEPS
        self._shut_for = SHUT_STEPS if runs else min(2 * self._shut_for + 1, LONGEST_SHUT)
        return runs

    def plan(
        self, outlook: Outlook, drafts: Sequence[Drafts]
    ) -> tuple[list[TokenTree], SizeDecision]:
        """What `wants_drafts` decided; with contextual values, decided anew from the drafts.

        A step that explores stays as it was decided: its size is what is to be learned.
        """
        ran = self._decided[1].chosen > 0
        told = any(row.depth for row in drafts)
        if self.values == "rank" or not told or self._decided[1].reason == "explore":
            return self._decided
        trees = self._largest_by_context(outlook, drafts)
        return self._decide(outlook, trees, None, drafted=ran)

    def _decide(
        self,
        outlook: Outlook,
        trees: Sequence[TokenTree],
        explorer: Explorer | None,
        drafted: bool | None = None,
    ) -> tuple[list[TokenTree], SizeDecision]:
        """Weigh every total size of the largest trees, and share out the best.

        The rows' nodes are ranked together by value, so that a row whose next node is worth little
        yields it to another. Value never grows along a row's order of growth, so each row gets a
        prefix of its order: the best tree of its size. drafted: whether the heads have run for it,
        whatever the size; None: they run for every size above 0.
        """
        offers = [
            Offer(tree.values[node], row, tree.depths[node], tree.ranks[node])
            for row, tree in enumerate(trees)
            for node in range(1, tree.size + 1)
        ]
        offers.sort(key=lambda offer: -offer.value)
        self._options = options = self._weigh(offers, outlook, drafted)
        at, explored = options.best(), False
        if explorer is not None:
            at, explored = explorer.choose(options, at)
        shares = [0] * outlook.rows
        for offer in offers[: options.sizes[at]]:
            shares[offer.row] += 1
        trees = [prefix(tree, share) for tree, share in zip(trees, shares, strict=True)]
        return trees, self._tell(options, at, explored, outlook)

    def _largest_by_rank(self, outlook: Outlook) -> list[TokenTree]:
        """The best tree of the greatest size; its prefixes are the best trees of all sizes."""
        table = self.estimator.table
        grown: dict[int, TokenTree] = {}  # rows that may grow as deep share the tree
        for deepest in outlook.deepest:
            depth = max(min(deepest, len(table)), 0)
            if depth not in grown:
                grown[depth] = grow(table[:depth], self.max_nodes)
        return [grown[max(min(deepest, len(table)), 0)] for deepest in outlook.deepest]

    def _largest_by_context(self, outlook: Outlook, drafts: Sequence[Drafts]) -> list[TokenTree]:
        """The same by what was guessed for each row, without nodes too improbable to pay."""
        return [
            grow_by(row.after, self.max_nodes, min(deepest, row.depth), self._least)
            for deepest, row in zip(outlook.deepest, drafts, strict=True)
        ]

    def _worth_adding(self) -> float:
        """What a node must be worth for any tree to grow by it, by half.

        Beyond the best size more nodes pay if they bring more tokens than their time would bring
        otherwise, L / T; the price of a node is that of the cheapest growth, large or small.
        """
        options = self._options
        at = options.best()
        points = [*zip(options.sizes, options.times, strict=True)]
        size, time = points[at]
        prices = [(later - time) / (larger - size) for larger, later in points[at + 1 :]]
        if self.size is not None or not prices:
            return 0.0 if self.size else LEAST
        return min(0.2, 0.5 * options.speed(at) * min(prices) / self._worth_of_a_value())

    def _weigh(self, offers: Sequence[Offer], outlook: Outlook, drafted: bool | None) -> Options:
        """The candidate sizes, with or without pruning, whichever has the faster best size."""
        modes = {"never": (False,), "always": (True,), "pays": (False, True)}[self.prunes]
        weighed = [self._weigh_mode(offers, outlook, pruned, drafted) for pruned in modes]
        return max(weighed, key=lambda options: options.speed(options.best()))

    def _weigh_mode(
        self, offers: Sequence[Offer], outlook: Outlook, pruned: bool, drafted: bool | None
    ) -> Options:
        rows = outlook.rows
        if self.size is None:
            filled = range(-rows % FILLED, FILLED_TO, FILLED)
            candidates = {*SIZES, *(n * rows for n in SIZES), *filled, len(offers)}
        else:
            candidates = {min(self.size * rows, len(offers))}
        sizes = sorted(n for n in candidates if n <= len(offers))
        whole = self.survival.of_truths() if pruned else [1.0] * (self.deepest + 1)
        trust = self._worth_of_a_value()
        gains = (trust * offer.value * whole[offer.depth] for offer in offers)
        lengths = list(accumulate(gains, initial=float(rows)))
        alive = (self.survival.of_node(offer.depth, offer.rank) for offer in offers)
        late = list(accumulate(alive, initial=float(rows))) if pruned else range(rows, 1 << 30)
        works = [
            Work(
                rows,
                rows + n,
                round(late[n]),
                outlook.past,
                pruned and n > 0,
                n > 0 if drafted is None else drafted,
            )
            for n in sizes
        ]
        return Options(
            tuple(sizes),
            tuple(lengths[n] for n in sizes),
            tuple(self.cost.estimate(work) for work in works),
            pruned,
        )

    def _worth_of_a_value(self) -> float:
        """Nodes accepted for each unit of node value; ranks are running chances already."""
        if self.values == "rank":
            return 1.0
        return self.trust.value * self.estimator.belief

    def _tell(self, options: Options, at: int, explored: bool, outlook: Outlook) -> SizeDecision:
        line = self.cost.inner if isinstance(self.cost, FrozenCost) else self.cost
        coefficients: tuple[float, ...] = ()
        if isinstance(line, LineCost):
            base, slope = line.coefficients()
            coefficients = (base + slope * (outlook.rows - 1), slope)  # further roots cost too
        end = min(outlook.deepest) < len(self.estimator)
        return SizeDecision(
            sizes=options.sizes,
            expected_lengths=options.lengths,
            estimated_ms=options.times,
            chosen=options.sizes[at],
            reason="explore" if explored else "end" if end else "fixed" if self.size else "best",
            acceptance_table=tuple(tuple(row) for row in self.estimator.table),
            cost_coefficients=coefficients,
            prunes=options.prunes and options.sizes[at] > 0,
        )

    def learn(self, feedback: Feedback) -> None:
        """Update the chances of the ranks, what pruning leaves, and the cost of the work."""
        for row in feedback.rows:
            if feedback.work.drafted:  # lists without the heads say nothing of lists with them
                self._learn_ranks(row)
            self._learn_trust(row)
            if row.pruned:
                self._learn_pruning(row)
        self.cost.observe(feedback.work, feedback.spent)
        if self.explorer is not None:
            self.explorer.learn(feedback.work, feedback.spent.total)

    def _learn_ranks(self, row: RowFeedback) -> None:
        for depth, rank in enumerate(row.ranks[: len(self.estimator)], start=1):
            self.estimator.observe(depth, rank)

    def _learn_trust(self, row: RowFeedback) -> None:
        tree, whole = row.tree, self.survival.of_truths()
        if tree.size:
            nodes = range(1, tree.size + 1)
            promised = sum(
                tree.values[n] * (whole[tree.depths[n]] if row.pruned else 1.0) for n in nodes
            )
            self.trust.observe(sum(lives is True for lives in row.survived), promised)

    def _learn_pruning(self, row: RowFeedback) -> None:
        tree = row.tree
        for node in range(1, tree.size + 1):
            self.survival.observe_node(tree.depths[node], tree.ranks[node], row.alive[node])
        for depth, survived in enumerate(row.survived, start=1):
            if survived is not None:
                self.survival.observe_truth(depth, survived)
