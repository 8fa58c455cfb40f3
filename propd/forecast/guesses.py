"""The accuracy of draft heads as three numbers over a measured table.

Where the guesses before the k-th were wrong, the k-th of a head is right about 1/k as often as the
first one: that holds for our heads and for the published ones of Medusa. So a head is told by the
accuracy of its best guess and an exponent, and the heads by the first one and a ratio. As with
costs, other numbers bend the measured table, and the fitted ones give it back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from propd.forecast.settings import Settings, Table
from propd.planning.drafts import RANKS

LEAST = 1e-4
"""Of a measured chance that is divided by."""


class Accuracy(NamedTuple):
    """As in `Settings`."""

    accuracy: float
    further_heads: float
    further_ranks: float

    def hazard(self, depth: int, rank: int) -> float:
        """Chance that a guess is right where the better ones of its head are wrong; from 0."""
        best = self.accuracy * self.further_heads**depth
        return float(best * (rank + 1) ** -self.further_ranks)


def fit(table: Table) -> Accuracy:
    """The three numbers of a table [depth - 1][rank]."""
    if not table or table[0][0] <= 0:
        return Accuracy(0.0, 0.5, 1.0)
    hazards = [_hazards(row) for row in table]
    first, last = max(hazards[0][0], LEAST), max(hazards[-1][0], LEAST)
    ratio = (last / first) ** (1 / (len(table) - 1)) if len(table) > 1 else 0.5
    falls = [
        (math.log(rank + 1), math.log(max(row[0], LEAST) / max(row[rank], LEAST)))
        for row in hazards
        for rank in range(1, len(row))
    ]
    square = sum(x * x for x, _ in falls)
    slope = sum(x * y for x, y in falls) / square if square else 1.0
    return Accuracy(table[0][0], min(ratio, 1.0), min(max(slope, 0.0), 5.0))


def acceptance(table: Table, settings: Settings) -> Table:
    """The measured table, bent to the settings: as many heads, `RANKS` a head.

    What the three numbers do not tell of the table fades as the heads become perfect.
    """
    own = fit(table)
    asked = Accuracy(settings.accuracy, settings.further_heads, settings.further_ranks)
    measured = [_hazards(row) for row in table]
    trust = _nearer(asked.accuracy, own.accuracy) * _nearer(asked.further_heads, own.further_heads)

    def hazard(depth: int, rank: int) -> float:
        plain = asked.hazard(depth, rank)
        if not measured:
            return min(plain, 1.0)
        known = min(depth, len(measured) - 1)
        row = measured[known]
        place = min(rank, len(row) - 1)
        told = own.hazard(known, place)
        odd = max(row[place], LEAST) / max(told, LEAST)
        return float(min(plain * odd**trust, 1.0))

    return tuple(_chances(depth, hazard) for depth in range(settings.heads))


def _nearer(asked: float, own: float) -> float:
    """1 up to one's own value, then falling to 0 at perfection."""
    return 1.0 if asked <= own else (1 - asked) / (1 - own)


def _hazards(row: tuple[float, ...]) -> list[float]:
    left, hazards = 1.0, []
    for chance in row:
        hazards.append(min(chance / left, 1.0) if left > LEAST else 0.0)
        left -= chance
    return hazards


def _chances(depth: int, hazard: Callable[[int, int], float]) -> tuple[float, ...]:
    left, chances = 1.0, []
    for rank in range(RANKS):
        chances.append(left * hazard(depth, rank))
        left -= chances[-1]
    return tuple(chances)
