"""What early pruning leaves, by prune layer and k."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
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
    stay: Table
    """[depth - 1][rank]: chance that a drafted node survives, if its parent did."""
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
    stay = tuple(
        tuple(a + share * (b - a) for a, b in zip(row, there, strict=True))
        for row, there in zip(one.stay, other.stay, strict=True)
    )
    return Cut(one.depth, one.top_k, stay, one.recall + share * (other.recall - one.recall))


class Leaving:
    """What pruning leaves of trees: the cut, moved so that the settings' share survives."""

    def __init__(self, cut: Cut, large: TokenTree, settings: Settings) -> None:
        self._cut, self._large, self._settings = cut, large, settings
        self._bend = _towards(mean_kept(large, cut), settings.kept)

    def of(self, tree: TokenTree) -> list[float]:
        """Chance of each node to survive; 1 for the root."""
        return [1.0, *map(self._bend, path_chances(tree, self._cut)[1:])]

    def survival(self) -> Survival:
        """As the planner keeps it, by depth and rank: the likelier a path, the more it counts.

        A place that the large tree does not have is told by those of its parents' depth.
        """
        found = defaultdict[tuple[int, int], float](float)
        weights = defaultdict[tuple[int, int], float](float)
        above, shares = defaultdict[int, float](float), defaultdict[int, float](float)
        large = self._large
        for node, chance in enumerate(path_chances(large, self._cut)):
            depth, value = large.depths[node], large.values[node]
            found[depth, large.ranks[node]] += value * chance
            weights[depth, large.ranks[node]] += value
            above[depth] += value * chance
            shares[depth] += value

        def of(depth: int, rank: int) -> float:
            if weights[depth, rank]:
                return found[depth, rank] / weights[depth, rank]
            known = above[depth - 1] / shares[depth - 1] if shares[depth - 1] else 1.0
            return known * _stay(self._cut, depth, rank)

        chances = [
            [self._bend(of(depth, rank)) for rank in range(RANKS)]
            for depth in range(1, DEEPEST + 1)
        ]
        return Survival(DEEPEST, RANKS, chances=chances, recall=[self._settings.recall] * DEEPEST)


def path_chances(tree: TokenTree, cut: Cut) -> list[float]:
    """Chance of each node that it and all above it survive."""
    chances: list[float] = []
    for parent, depth, rank in zip(tree.parents, tree.depths, tree.ranks, strict=True):
        chances.append(chances[parent] * _stay(cut, depth, rank) if parent >= 0 else 1.0)
    return chances


def mean_kept(tree: TokenTree, cut: Cut) -> float:
    """The share of a tree's nodes that survive."""
    return sum(path_chances(tree, cut)[1:]) / tree.size if tree.size else 1.0


def _stay(cut: Cut, depth: int, rank: int) -> float:
    """Of deeper nodes and later ranks than were seen, the last that was."""
    row = cut.stay[min(depth, len(cut.stay)) - 1]
    return row[min(rank, len(row) - 1)]


def _towards(mean: float, wanted: float) -> Callable[[float], float]:
    """Moves chances so that their mean is the wanted one, straight, and none leaves 0 to 1."""
    if wanted <= mean:
        return lambda chance: chance * wanted / mean if mean else 0.0
    return lambda chance: 1 - (1 - chance) * (1 - wanted) / (1 - mean)
