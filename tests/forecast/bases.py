"""Hand-sized things to forecast from."""

from __future__ import annotations

from typing import Any

from propd.core import CostTable
from propd.forecast.basis import Basis, settle
from propd.forecast.early import Cut
from propd.forecast.machine import Machine
from propd.forecast.promises import Forecast, forecast

ZEROS = (0.0,) * 8
ACCEPTANCE = ((0.5, 0.3, *ZEROS), (0.4, 0.1, *ZEROS))
"""Two heads with two guesses each."""
CUTS = (
    Cut(0.1, 1, ((0.5, 0.1),), 0.6),
    Cut(0.1, 100, ((0.9, 0.5),), 1.0),
    Cut(0.3, 1, ((0.7, 0.3),), 0.8),
    Cut(0.3, 100, ((1.0, 0.7),), 1.0),
)


def flat_then_rising(floor: float, rise: int, slope: float) -> CostTable:
    """A tenth of the time lies before the prune layer; drafting and looking take none."""
    end = 4096
    points = (
        (1, floor),
        (rise, floor),
        (rise + 1, floor + slope),
        (end, floor + slope * (end - rise)),
    )
    return CostTable(
        draft=((1, 0.0),),
        early=tuple((tokens, 0.1 * time) for tokens, time in points),
        prune=((1, 0.0),),
        late=tuple((tokens, 0.9 * time) for tokens, time in points),
    )


def basis(costs: CostTable | None = None, acceptance: Any = ACCEPTANCE) -> Basis:
    """Free up to 3 tokens, then as long again for each further one; pruning after layer 1 of 10."""
    return Basis(Machine(costs or flat_then_rising(10, 3, 10), 1, 10), acceptance, CUTS, 1, 100)


def ask(known: Basis | None = None, **changes: Any) -> Forecast:
    """A forecast without past."""
    known = known or basis()
    return forecast(known, settle(known, {"past": 0, **changes}))
