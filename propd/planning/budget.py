"""The pruning rule `budget`: keep as many nodes as pay for their time (ours).

Cost-aware re-ranking: after the early layers two have spoken of each node, who drafted it and the
early head. The best M nodes by the probability of their path under a mixture of both stay, and M
maximises expected acceptance length over expected step time, in
which the time already spent counts too. The same question as the tree's size, asked again with
better knowledge.
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from propd.host import send
from propd.planning.chances import Calibration
from propd.planning.cost import CostModel, Work
from propd.planning.feedback import Feedback
from propd.tree.forest import chances_of
from propd.tree.pruning import EarlyTensors, EarlyView

EARLY = 0.3
"""Weight of the early head in the mixture; of 477 recorded trees of 63 nodes, cut to 40%, it keeps
95.5% of the tokens per pass, the early head alone 93.3%, the drafts alone 92.1%
(docs/lab-notebook.md, early pruning by layer and k)."""


class Budget:
    """Keeps the nodes most probable along their whole path; owned by one decoding session."""

    name = "budget"

    def __init__(self, cost: CostModel, depths: int) -> None:
        self.cost = cost
        self.calibration = Calibration(depths)

    def keep(self, view: EarlyView) -> list[bool]:
        """(T,); a child is never more probable than its parent, so its parent stays with it."""
        drafted = chances_of(view.parents, view.values)
        chances: list[float] = []
        for parent, depth, early, guess in zip(
            view.parents, view.depths, view.probabilities, drafted, strict=True
        ):
            if early is None:
                chances.append(1.0)
                continue
            honest = min(0.99, self.calibration.ratio(depth) * early)
            chances.append((EARLY * honest + (1 - EARLY) * min(0.99, guess)) * chances[parent])
        order = sorted(range(len(chances)), key=lambda node: -chances[node])
        rows = view.parents.count(-1)
        lengths = list(accumulate(chances[node] for node in order))
        best = max(
            range(rows, len(order) + 1),
            key=lambda m: (
                lengths[m - 1]
                / self.cost.estimate(Work(rows, len(order), m, view.past, True, True))
            ),
        )
        kept = set(order[:best])
        return [node in kept for node in range(len(order))]

    def keeps(self, seen: EarlyTensors) -> Tensor:
        """(R, N), by the same sums; only their order differs."""
        forest, device = seen.forest, seen.chances.device
        depths = range(1, len(self.calibration) + 1)
        ratios = send(np.array([1.0, *map(self.calibration.ratio, depths)]), device)
        honest = (ratios[forest.depths] * seen.chances).clamp_max(0.99)
        mixed = EARLY * honest + (1 - EARLY) * forest.shares.clamp_max(0.99)
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
        """How far the early head's probabilities can be trusted, depth by depth."""
        for row in feedback.rows:
            for depth, (survived, claimed) in enumerate(
                zip(row.survived, row.early_claimed, strict=True), start=1
            ):
                if claimed > 0:
                    self.calibration.observe(depth, survived is not None, claimed)
