"""The time of a step, learned while decoding.

Two models of it. `LineCost` is the paper's: a running mean for every size, and a weighted
least-squares line through the means. `CurveCost` is ours: verification is flat, then steps up, so a
monotone curve is kept for each segment of the step; the late segment is asked with the nodes that
pruning is expected to leave; and batch and past length count.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from propd.core import CostTable, Milliseconds
from propd.planning.curve import Curve

RATE = 0.2
FORGETTING = 0.02
OLDEST_WEIGHT = 0.05
SCALE_RATE = 0.1
CURVE_RATE = 0.05
SHORTEST = 1e-3
"""Milliseconds."""


class Work(NamedTuple):
    """What a step runs, or would run."""

    rows: int
    early: int
    """Tokens that enter the pass: drafted nodes and one root a row."""
    late: int
    """Tokens that go through every layer."""
    past: int = 0
    """Mean past of the rows."""
    pruned: bool = False
    """Whether the early head looks."""
    drafted: bool = False
    """Whether the draft heads run; they may, and the tree still be a root."""


class CostModel(Protocol):
    """T, in milliseconds; owned by one decoding session."""

    def estimate(self, work: Work) -> float:
        """Expected time of a step that runs this."""
        ...

    def observe(self, work: Work, spent: Milliseconds) -> None:
        """A step that ran this took so long."""
        ...


class LineCost:
    """The paper's estimate (verification overhead estimation): T(n) = b0 + b1 n.

    For every size a running mean T_n <- (1 - a) T_n + a t of the measured step time, a weight W_n =
    exp(-l o_n) that fades with the age o_n of its last observation, and a weighted least-squares
    line through the means. The constants, the reading of o_n as steps since the last observation,
    and the floor under old weights (so that the line keeps two ends) are ours; n counts the tokens
    of the pass beyond one, so that further rows cost what further nodes cost.
    """

    def __init__(self, means: dict[int, float] | None = None) -> None:
        self.means = dict(means or {})
        self._seen = dict.fromkeys(self.means, 0)
        self._step = 0
        self._line: tuple[float, float] | None = None

    @classmethod
    def from_table(cls, table: CostTable, pruned: bool) -> LineCost:
        """Begin with recorded times; with pruning, half the nodes are taken to survive."""
        curve = CurveCost(table)
        means = {}
        for tokens, _ in table.early:
            late = (tokens + 2) // 2 if pruned else tokens
            grown = tokens > 1
            means[tokens - 1] = curve.estimate(Work(1, tokens, late, 0, pruned and grown, grown))
        return cls(means)

    def estimate(self, work: Work) -> float:
        """b0 + b1 n."""
        base, slope = self.coefficients()
        return base + slope * (work.early - 1)

    def observe(self, work: Work, spent: Milliseconds) -> None:
        """Update the running mean of this size."""
        self._step += 1
        size = work.early - 1
        mean = self.means.get(size, spent.total)
        self.means[size] = (1 - RATE) * mean + RATE * spent.total
        self._seen[size] = self._step
        self._line = None

    def coefficients(self) -> tuple[float, float]:
        """(b0, b1) of the line; b1 is never negative. (1, 0) before the first observation."""
        if self._line is None:
            self._line = self._fit()
        return self._line

    def _fit(self) -> tuple[float, float]:
        if not self.means:
            return 1.0, 0.0
        weights = {
            n: max(OLDEST_WEIGHT, math.exp(-FORGETTING * (self._step - self._seen[n])))
            for n in self.means
        }
        total = sum(weights.values())
        mean_n = sum(w * n for n, w in weights.items()) / total
        mean_t = sum(w * self.means[n] for n, w in weights.items()) / total
        spread = sum(w * (n - mean_n) ** 2 for n, w in weights.items())
        if spread == 0:
            return mean_t, 0.0
        slope = (
            sum(w * (n - mean_n) * (self.means[n] - mean_t) for n, w in weights.items()) / spread
        )
        slope = max(slope, 0.0)
        return max(mean_t - slope * mean_n, 1e-3), slope


class CurveCost:
    """Monotone curves for drafting, early layers, pruning and late layers, and one scale (ours).

    The scale follows the machine's speed from step to step; the curves learn their shape slowly.
    Which size is best depends on the shape only.
    """

    def __init__(self, table: CostTable) -> None:
        self._draft, self._early = Curve(table.draft), Curve(table.early)
        self._prune, self._late = Curve(table.prune), Curve(table.late)
        self._row_ms, self._token_ms = table.past_row_ms, table.past_token_ms
        self.scale = 1.0

    def estimate(self, work: Work) -> float:
        """The sum of the segments, for the tokens that each of them sees."""
        time = self._early(work.early) + self._late(work.late)
        time += work.past * (self._row_ms * work.rows + self._token_ms * work.late)
        if work.drafted:
            time += self._draft(work.rows)
        if work.pruned:
            time += self._prune(work.early)
        return max(self.scale * time, SHORTEST)  # a table may say 0; nothing takes no time

    def observe(self, work: Work, spent: Milliseconds) -> None:
        """Move the scale towards this step, and the curves towards its segments."""
        error = spent.total / self.estimate(work)
        self.scale *= min(max(error, 0.2), 5.0) ** SCALE_RATE
        # attention to the past is in both segments of layers: leave their proportion as it is
        past = work.past * (self._row_ms * work.rows + self._token_ms * work.late)
        early, late = self._early(work.early), self._late(work.late)
        share = early / (early + late) if early + late else 0.0
        # trees are planned from guesses: without drafting that time is not spent either
        planning = spent.grow if work.drafted else 0.0
        self._learn(self._early, work.early, spent.grow - planning + spent.early, past * share)
        after = spent.late + spent.verify + spent.commit
        self._learn(self._late, work.late, after, past * (1 - share))
        if work.drafted:
            self._learn(self._draft, work.rows, spent.draft + planning, 0.0)
        if work.pruned:
            self._learn(self._prune, work.early, spent.prune, 0.0)

    def _learn(self, curve: Curve, count: int, milliseconds: float, past: float) -> None:
        curve.learn(count, max(milliseconds / self.scale - past, 0.0), CURVE_RATE)


class FrozenCost:
    """A cost model that does not learn: sizes repeat from run to run."""

    def __init__(self, inner: CostModel) -> None:
        self.inner = inner

    def estimate(self, work: Work) -> float:
        """As the model it was made from."""
        return self.inner.estimate(work)

    def observe(self, work: Work, spent: Milliseconds) -> None:
        """Nothing is learned."""
