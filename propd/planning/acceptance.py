"""How often each guess is right, learned while decoding.

Paper, dynamic token tree generation: P_k of head i is the running chance that the true token is in
its top-k, and p_k = P_k - P_{k-1} the chance that it is exactly the k-th. We keep p_k itself, with
an exponential mean (the paper's update rule is not known; this one is ours), and begin with the
table measured in training.
"""

from __future__ import annotations

from collections.abc import Sequence

RATE = 0.02
"""Weight of the newest observation in the long run: a memory of about 50 steps."""
PRIOR_WEIGHT = 20
"""Observations that the prior counts for: at first the live text counts for more than `RATE`."""


class AcceptanceEstimator:
    """Run-time chance of every rank of every head; owned by one decoding session."""

    def __init__(self, prior: Sequence[Sequence[float]], rate: float = RATE) -> None:
        self.table = [list(row) for row in prior]
        """table[d][k]: the chance that rank k of the head for depth d + 1 is right."""
        self.rate = rate
        self._seen = [0] * len(self.table)

    def observe(self, depth: int, rank: int | None) -> None:
        """The true token at this depth (1 is the first) had this rank; None: not in the list."""
        row, seen = self.table[depth - 1], self._seen[depth - 1]
        self._seen[depth - 1] += 1
        rate = max(self.rate, 1 / (PRIOR_WEIGHT + seen + 1))
        for k in range(len(row)):
            row[k] += rate * ((k == rank) - row[k])
