"""The pruning rule `budget`: keep as many nodes as pay for their time (ours).

Cost-aware re-ranking: after the early layers two have spoken of each node, who drafted it and the
early head. The best M nodes by the probability of their path under a mixture of both stay, weighed
by whether heads or text drafted them, and M maximises expected acceptance length over expected step
time, in which the time already spent counts too. The same question as the tree's size, asked again
with better knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from propd.core import SOURCES, Source
from propd.host import send
from propd.planning.chances import RATE, Calibration
from propd.planning.cost import CostModel, Work
from propd.planning.feedback import Feedback
from propd.tree.forest import chances_of
from propd.tree.pruning import EarlyTensors, EarlyView

EARLY: Mapping[Source, float] = {"head": 0.7, "both": 0.25, "text": 0.02}
"""Weight of the early head in the mixture at first, by who drafted a node. It knows more than the
draft heads; but to repeat what stood in the text is the work of late layers, and of that it knows
hardly anything (docs/lab-notebook.md, "Whom to ask about a node")."""
LEAST, MOST = 0.01, 0.95
"""Of these weights, as they are learned."""


class Budget:
    """Keeps the nodes most probable along their whole path; owned by one decoding session.

    The mixture's weights follow who of the two had given the true nodes more (expectation
    maximisation, one step a node, as in `propd.planning.guesser`).
    """

    name = "budget"

    def __init__(self, cost: CostModel, depths: int) -> None:
        self.cost, self.weights = cost, dict(EARLY)
        self.calibration = Calibration(depths)

    def keep(self, view: EarlyView) -> list[bool]:
        """(T,); a child is never more probable than its parent, so its parent stays with it."""
        chances = self.chances(view)
        order = sorted(range(len(chances)), key=lambda node: -chances[node])
        kept = set(order[: self.count(view, [chances[node] for node in order])])
        return [node in kept for node in range(len(order))]

    def count(self, view: EarlyView, chances: Sequence[float]) -> int:
        """How many nodes stay, roots included. chances: of all, the best first."""
        rows, lengths = view.parents.count(-1), list(accumulate(chances))
        works = {
            m: Work(rows, len(chances), m, view.past, True, True)
            for m in range(rows, len(chances) + 1)
        }
        return max(works, key=lambda m: lengths[m - 1] / self.cost.estimate(works[m]))

    def chances(self, view: EarlyView) -> list[float]:
        """(T,) of each node's whole path, by the mixture."""
        drafted = chances_of(view.parents, view.values)
        sources: Sequence[Source] = view.sources or ["head"] * len(drafted)
        chances: list[float] = []
        for parent, depth, early, guess, source in zip(
            view.parents, view.depths, view.probabilities, drafted, sources, strict=True
        ):
            if early is None:
                chances.append(1.0)
                continue
            honest = min(0.99, self.calibration.ratio(depth) * early)
            weight = self.weights[source]
            mixed = weight * honest + (1 - weight) * min(0.99, guess)
            chances.append(mixed * chances[parent])
        return chances

    def keeps(self, seen: EarlyTensors) -> Tensor:
        """(R, N), by the same sums; only their order differs."""
        forest, device = seen.forest, seen.chances.device
        depths = range(1, len(self.calibration) + 1)
        ratios = send(np.array([1.0, *map(self.calibration.ratio, depths)]), device)
        honest = (ratios[forest.depths] * seen.chances).clamp_max(0.99)
        weights = send(np.array([self.weights[source] for source in SOURCES]), device)
        weight = weights[forest.sources]
        mixed = weight * honest + (1 - weight) * forest.shares.clamp_max(0.99)
        mixed = mixed.masked_fill(forest.depths == 0, 1.0)[:, None]
        chances = torch.where(forest.visible, mixed, 1.0).prod(-1).masked_fill(~forest.real, -1.0)
        ranked = chances.flatten().sort(descending=True, stable=True)
        sizes = range(seen.rows, seen.nodes + 1)
        works = (Work(seen.rows, seen.nodes, m, seen.past, True, True) for m in sizes)
        times = send(np.array([self.cost.estimate(work) for work in works]), device)
        lengths = ranked.values.cumsum(0)[seen.rows - 1 : seen.nodes]
        best = seen.rows + (lengths / times).argmax()
        places = torch.arange(chances.numel(), device=device)
        order = torch.empty_like(places).scatter(0, ranked.indices, places)
        return (order < best).view_as(chances)

    def learn(self, feedback: Feedback) -> None:
        """How far the early head's probabilities can be trusted, depth by depth, and which of the
        two to ask more."""
        for row in feedback.rows:
            for depth, said in enumerate(row.said, start=1):
                if said is not None:
                    early = min(0.99, self.calibration.ratio(depth) * said.early)
                    self._weigh(said.source, said.drafted, early)
            for depth, (survived, claimed) in enumerate(
                zip(row.survived, row.early_claimed, strict=True), start=1
            ):
                if claimed > 0:
                    self.calibration.observe(depth, survived is not None, claimed)

    def _weigh(self, source: Source, drafted: float, early: float) -> None:
        """The share that the early head had in a true node is what it is owed."""
        weight = self.weights[source]
        of_early, of_draft = weight * early, (1 - weight) * drafted
        if of_early + of_draft > 0:
            owed = of_early / (of_early + of_draft)
            self.weights[source] = min(MOST, max(LEAST, weight + RATE * (owed - weight)))


class Share(Budget):
    """Keeps a fixed share of the drafted nodes, the best by the same mixture: for comparing what
    early heads know, without a clock (`python -m propd pruning --keep`)."""

    name = "share"

    def __init__(self, cost: CostModel, depths: int, share: float) -> None:
        super().__init__(cost, depths)
        self.share = share

    def count(self, view: EarlyView, chances: Sequence[float]) -> int:
        """The roots, and the share of all others, rounded down."""
        rows = view.parents.count(-1)
        return rows + int(self.share * (len(chances) - rows))
