"""How often each guess is right, learned while decoding.

Paper, dynamic token tree generation: P_k of head i is the running chance that the true token is in
its top-k, and p_k = P_k - P_{k-1} the chance that it is exactly the k-th. We keep p_k itself, with
an exponential mean (the paper's update rule is not known; this one is ours), and begin with the
table measured in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

RATE = 0.02
"""Weight of the newest observation in the long run: a memory of about 50 steps."""
DOUBT = 0.02
"""Belief at first, and at least, that the heads know nothing, or something, of this text."""
CLAIM = 0.6
"""What the first list of heads that know something holds at least so often; more is not claimed of
a text they were not trained on."""
SURE = 0.999
"""Most belief: a change of the text shall be noticed in time."""
LUCK = 0.02
"""Chance that a list of guesses holds the true token though the heads know nothing."""
RECALL = 0.75
"""Of true nodes whose parent is true, at first: the share that pruning lets live."""
STAYS = 0.66
"""Of all nodes whose parent lives, at first: likewise."""
PRIOR_WEIGHT = 15
"""Observations that the prior counts for: at first the live text counts for more than `RATE`."""


class AcceptanceEstimator:
    """Run-time chance of every rank of every head; owned by one decoding session.

    The prior is a mixture (ours): the heads are as they were in training, or, with the chance
    `DOUBT`, they know nothing of this model or text. Each list of first guesses shifts the belief
    by Bayes' rule: a few misses in a row are enough to shut heads that never hit, where the means
    alone would need dozens; a few hits bring the belief back.
    """

    def __init__(self, prior: Sequence[Sequence[float]], rate: float = RATE) -> None:
        self._means = [list(row) for row in prior]
        self.rate = rate
        self._seen = [0] * len(self._means)
        self._belief = 1 - DOUBT

    def __len__(self) -> int:
        """Depths that are estimated."""
        return len(self._means)

    @property
    def table(self) -> list[list[float]]:
        """table[d][k]: the chance that rank k of the head for depth d + 1 is right."""
        belief = self.belief
        return [[belief * chance for chance in row] for row in self._means]

    @property
    def belief(self) -> float:
        """That the heads know something, against the belief at first: what a guess is worth."""
        return min(1.0, self._belief / (1 - DOUBT))

    def observe(self, depth: int, rank: int | None) -> None:
        """The true token at this depth (1 is the first) had this rank; None: not in the list."""
        row = self._means[depth - 1]
        if depth == 1:
            self._weigh(min(sum(row), CLAIM), rank is not None)
        self._seen[depth - 1] += 1
        rate = _rate(self.rate, self._seen[depth - 1])
        for k in range(len(row)):
            row[k] += rate * ((k == rank) - row[k])

    def _weigh(self, listed: float, hit: bool) -> None:
        """Bayes' rule. listed: the chance of a hit, if the heads know something."""
        knowing = self._belief * (listed if hit else 1 - listed)
        guessing = (1 - self._belief) * (LUCK if hit else 1 - LUCK)
        self._belief = min(max(knowing / (knowing + guessing), DOUBT), SURE)


class RunningRatio:
    """What came true of what was claimed: the ratio of two exponential means, 1 at first."""

    def __init__(self, rate: float = RATE, start: float = 1.0) -> None:
        """start: of both means; the larger, the less the first observations count."""
        self._right = self._claimed = start
        self._seen, self.rate = 0, rate

    def observe(self, right: float, claimed: float) -> None:
        """So much was claimed, and so much came true."""
        self._seen += 1
        rate = _rate(self.rate, self._seen)
        self._right += rate * (right - self._right)
        self._claimed += rate * (claimed - self._claimed)

    @property
    def value(self) -> float:
        """What a claim is worth."""
        return self._right / self._claimed


class Calibration:
    """How far the heads' own probabilities can be trusted on this text (ours).

    A head that says 0.8 and is right half as often is corrected to 0.4. Kept for each depth: how
    often the best guess was right, against how probable the head called it. Owned by one session.
    """

    def __init__(self, depths: int, rate: float = RATE) -> None:
        self._depths = [RunningRatio(rate, start=0.5) for _ in range(depths)]

    def observe(self, depth: int, right: bool, claimed: float) -> None:
        """At this depth the best guess was right or not, and the head had called it so probable."""
        self._depths[depth - 1].observe(right, claimed)

    def corrected(self, probabilities: Sequence[Sequence[float]]) -> list[list[float]]:
        """The heads' probabilities [depth][rank], corrected; never above 0.99."""
        return [
            [min(0.99, self.ratio(depth) * chance) for chance in row]
            for depth, row in enumerate(probabilities, start=1)
        ]

    def __len__(self) -> int:
        return len(self._depths)

    def ratio(self, depth: int) -> float:
        """How much of what is claimed at this depth (1 is the first) comes true."""
        return self._depths[depth - 1].value


class Survival:
    """What early pruning leaves: of the nodes, and of the true ones (ours).

    Owned by one decoding session. Kept for each depth and rank (nodes) and each depth (true nodes),
    so that the planner can tell how many tokens of a tree will reach the late layers, and how much
    of its expected length. Begins as on benchmark prompts (docs/lab-notebook.md), or with what is
    known: chances[d][k] of the nodes, recall[d] of the true ones. A beginning that hopes for more
    lets pruning look cheap until it has cost dozens of steps.
    """

    def __init__(
        self,
        depths: int,
        ranks: int,
        rate: float = RATE,
        chances: Sequence[Sequence[float]] = (),
        recall: Sequence[float] = (),
    ) -> None:
        self._chances = [list(row) for row in chances] or [
            [STAYS * STAYS**depth] * ranks for depth in range(depths)
        ]
        self._recall = list(recall) or [RECALL] * depths
        self._seen_nodes = [[0] * len(row) for row in self._chances]
        self._seen_truths = [0] * len(self._recall)
        self.rate = rate

    def observe_node(self, depth: int, rank: int, survived: bool) -> None:
        """The early head let this node live, or not."""
        row, seen = self._chances[depth - 1], self._seen_nodes[depth - 1]
        seen[rank] += 1
        row[rank] += _rate(self.rate, seen[rank]) * (survived - row[rank])

    def observe_truth(self, depth: int, survived: bool) -> None:
        """The same of a node that the model then chose, or would have chosen."""
        self._seen_truths[depth - 1] += 1
        rate = _rate(self.rate, self._seen_truths[depth - 1])
        self._recall[depth - 1] += rate * (survived - self._recall[depth - 1])

    def of_node(self, depth: int, rank: int) -> float:
        """Expected chance that the node reaches the late layers."""
        return self._chances[depth - 1][rank]

    def of_truths(self) -> list[float]:
        """[depth]: expected chance that a true path of this depth is still whole; 1 at depth 0."""
        return list(accumulate(self._recall, lambda whole, chance: whole * chance, initial=1.0))


def _rate(lasting: float, seen: int) -> float:
    """Weight of the newest observation: larger while few were seen."""
    return max(lasting, 1 / (PRIOR_WEIGHT + seen))
