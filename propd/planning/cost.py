"""The time of a step with n drafted nodes, learned while decoding.

Paper, verification overhead estimation: for every size a running mean T_n <- (1 - a) T_n + a t of
the measured step time, a weight W_n = exp(-l o_n) that fades with the age o_n of its last
observation, and a weighted least-squares line T(n) = b0 + b1 n through them. The constants, the
reading of o_n as steps since the last observation, and the floor under old weights (so that the
line keeps two ends) are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

RATE = 0.2
FORGETTING = 0.02
OLDEST_WEIGHT = 0.05


class CostModel:
    """T(n) in milliseconds; owned by one decoding session."""

    def __init__(self, prior: Mapping[int, float] | None = None) -> None:
        self.means: dict[int, float] = dict(prior or {})
        self._seen: dict[int, int] = dict.fromkeys(self.means, 0)
        self._step = 0

    def observe(self, size: int, milliseconds: float) -> None:
        """A step with this many drafted nodes took so long."""
        self._step += 1
        mean = self.means.get(size, milliseconds)
        self.means[size] = (1 - RATE) * mean + RATE * milliseconds
        self._seen[size] = self._step

    def coefficients(self) -> tuple[float, float]:
        """(b0, b1) of the line; b1 is never negative. (1, 0) before the first observation."""
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
