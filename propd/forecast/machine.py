"""The cost of a step as three numbers over a measured shape.

A pass reads all weights whatever it computes, so few tokens cost what one costs: the floor. From
some number of tokens on each further one takes time: rise and slope. The three are fitted to a
table; other numbers move and stretch that table, and the fitted ones give it back as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from propd.core import CostTable, Points
from propd.forecast.settings import MOST_TOKENS, Settings
from propd.planning.curve import Curve

LOOK_TOKENS = 16
"""`Settings.look_ms` is the time of the early head for so many tokens."""
DENSE = 64
"""Up to here a table has a point for every number of tokens."""


@dataclass(frozen=True)
class Machine:
    """Where times come from."""

    costs: CostTable
    layer: int
    """Layers that ``costs.early`` is the time of."""
    layers: int
    """Of the model."""


class Line(NamedTuple):
    """T(tokens) = floor + slope * max(0, tokens - rise)."""

    floor_ms: float
    rise: int
    slope_ms: float


@lru_cache(maxsize=64)
def fit(machine: Machine) -> Line:
    """The line closest to the passes of a table, errors counted in proportion."""
    total = _total(machine)
    counts = sorted({count for count, _ in (*machine.costs.early, *machine.costs.late)})
    points = [(count, total(count)) for count in counts]
    floor = total(1)
    rises = {*range(1, DENSE), *range(DENSE, min(counts[-1], MOST_TOKENS), 8), *counts}
    lines = (_through(points, floor, rise) for rise in sorted(rises))
    return min(lines, key=lambda line: sum(_error(line, *point) for point in points))


def _through(points: list[tuple[int, float]], floor: float, rise: int) -> Line:
    """The best slope for this rise."""
    above = [(count - rise, time - floor, time) for count, time in points if count > rise]
    square = sum((tokens / time) ** 2 for tokens, _, time in above)
    product = sum(tokens * more / time**2 for tokens, more, time in above)
    return Line(floor, rise, max(product / square, 0.0) if square else 0.0)


def _error(line: Line, tokens: int, time: float) -> float:
    told = line.floor_ms + line.slope_ms * max(0, tokens - line.rise)
    return (told / time - 1) ** 2


def _total(machine: Machine) -> Callable[[float], float]:
    """The time of a whole pass, by tokens."""
    early, late = Curve(machine.costs.early), Curve(machine.costs.late)
    return lambda tokens: max(early(tokens) + late(tokens), 1e-6)


def costs(machine: Machine, settings: Settings) -> CostTable:
    """The machine's table with the settings' floor, rise, slope, steps and prune layer."""
    early, total = Curve(machine.costs.early), _total(machine)
    line = fit(machine)
    stretch = line.rise / settings.rise
    steeper = settings.slope_ms / line.slope_ms / stretch if line.slope_ms else 0.0
    layers = settings.layer / machine.layer
    share = early(1) / total(1)  # of the floor before the machine's own prune layer
    points_early, points_late = [], []
    for tokens in _counts(machine, settings):
        paid = _stepped(tokens, settings)
        at = 1 + (paid - 1) * stretch  # where the machine's own table is read
        rising, before = steeper * (total(at) - total(1)), steeper * (early(at) - early(1))
        if not line.slope_ms:
            rising = settings.slope_ms * max(0, paid - settings.rise)
            before = rising * share
        whole = settings.floor_ms + rising
        first = min(layers * (settings.floor_ms * share + before), whole)
        points_early.append((tokens, first))
        points_late.append((tokens, whole - first))
    return replace(
        machine.costs,
        early=tuple(points_early),
        late=tuple(points_late),
        draft=_scaled(machine.costs.draft, 1, settings.draft_ms),
        prune=_scaled(machine.costs.prune, LOOK_TOKENS, settings.look_ms),
    )


def _stepped(tokens: int, settings: Settings) -> int:
    """The tokens that are paid for."""
    over = tokens - settings.rise
    return tokens if over <= 0 else settings.rise + math.ceil(over / settings.step) * settings.step


def _counts(machine: Machine, settings: Settings) -> list[int]:
    """Where the table gets its points: close at first, at both sides of every step."""
    counts = {*range(1, DENSE + 1), settings.rise, settings.rise + 1, MOST_TOKENS}
    counts |= {count for count, _ in (*machine.costs.early, *machine.costs.late)}
    tokens = float(DENSE)
    while tokens < MOST_TOKENS:
        tokens *= 1.08
        counts.add(int(tokens))
    if settings.step > 1:
        for edge in range(settings.rise, MOST_TOKENS, settings.step):
            counts |= {edge, edge + 1}
    return sorted(count for count in counts if count <= MOST_TOKENS)


def share_before(machine: Machine, layer: int) -> float:
    """The share of a pass of `LOOK_TOKENS` that lies before this layer."""
    early, late = Curve(machine.costs.early)(LOOK_TOKENS), Curve(machine.costs.late)(LOOK_TOKENS)
    return min(early / max(early + late, 1e-6) * layer / machine.layer, 1.0)


def draft_ms(machine: Machine) -> float:
    """The time of the draft heads, one row."""
    return Curve(machine.costs.draft)(1)


def look_ms(machine: Machine) -> float:
    """The time of the early head, `LOOK_TOKENS` in the pass."""
    return Curve(machine.costs.prune)(LOOK_TOKENS)


def _scaled(points: Points, count: int, milliseconds: float) -> Points:
    """The same curve through this point."""
    now = Curve(points)(count)
    if not now:
        return ((1, milliseconds),)
    return tuple((at, time * milliseconds / now) for at, time in points)
