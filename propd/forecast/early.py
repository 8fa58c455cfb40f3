"""What early pruning leaves, by prune layer and k."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from propd.core import TokenTree
from propd.forecast.settings import Settings, Table
from propd.planning.chances import Survival
from propd.planning.drafts import RANKS
from propd.planning.guesser import DEEPEST

CUTS = (1, 2, 5, 10, 20, 50, 100, 200)
"""Values of k that are counted."""


@dataclass(frozen=True)
class Cut:
    """What pruning at one layer with one k was seen to leave."""

    depth: float
    """Share of the model's layers before pruning."""
    top_k: int
    kept: Table
    """[depth - 1][rank]: chance that a drafted node survives."""
    recall: float
    """Chance that a right guess survives, if its parent did."""


def between(cuts: Sequence[Cut], depth: float, top_k: int) -> Cut:
    """What lies between the cuts that were seen: straight in layers and in log k."""
    depths = sorted({cut.depth for cut in cuts})
    low, high, share = _neighbours(depths, depth)

    def at(depth: float) -> Cut:
        here = sorted((cut for cut in cuts if cut.depth == depth), key=lambda cut: cut.top_k)
        logs = [math.log(cut.top_k) for cut in here]
        below, above, part = _neighbours(logs, math.log(top_k))
        return _mix(here[logs.index(below)], here[logs.index(above)], part)

    return _mix(at(low), at(high), share)


def _neighbours(values: Sequence[float], wanted: float) -> tuple[float, float, float]:
    """The values on both sides, and how far between them; outside, the nearest one."""
    wanted = min(max(wanted, values[0]), values[-1])
    above = min(bisect_right(values, wanted), len(values) - 1)
    low, high = values[max(above - 1, 0)], values[above]
    return low, high, (wanted - low) / (high - low) if high > low else 0.0


def _mix(one: Cut, other: Cut, share: float) -> Cut:
    kept = tuple(
        tuple(a + share * (b - a) for a, b in zip(row, there, strict=True))
        for row, there in zip(one.kept, other.kept, strict=True)
    )
    return Cut(one.depth, one.top_k, kept, one.recall + share * (other.recall - one.recall))


def mean_kept(tree: TokenTree, kept: Table) -> float:
    """The share of a tree's nodes that survive."""
    places = list(zip(tree.depths[1:], tree.ranks[1:], strict=True))
    return sum(_of(kept, *place) for place in places) / len(places) if places else 1.0


def survival(cut: Cut, tree: TokenTree, settings: Settings) -> Survival:
    """The cut, moved so that the settings' share of this tree survives."""
    bend = _towards(mean_kept(tree, cut.kept), settings.kept)
    chances = [
        [bend(_of(cut.kept, depth, rank)) for rank in range(RANKS)]
        for depth in range(1, DEEPEST + 1)
    ]
    return Survival(DEEPEST, RANKS, chances=chances, recall=[settings.recall] * DEEPEST)


def _of(kept: Table, depth: int, rank: int) -> float:
    """Of deeper nodes and later ranks than were seen, the last that was."""
    row = kept[min(depth, len(kept)) - 1]
    return row[min(rank, len(row) - 1)]


def _towards(mean: float, wanted: float) -> Callable[[float], float]:
    """Moves chances so that their mean is the wanted one, straight, and none leaves 0 to 1."""
    if wanted <= mean:
        return lambda chance: chance * wanted / mean if mean else 0.0
    return lambda chance: 1 - (1 - chance) * (1 - wanted) / (1 - mean)
