"""The statistics of a recorded run: how good its guesses were, what pruning left, what steps took.

Only what a trace can tell: a guess that was not drafted is not in it. So a place in the tree counts
in the steps in which it was drafted under the tokens that came true.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import median
from typing import NamedTuple

from propd.core import CostTable, Points, StepEvent
from propd.forecast.basis import MOST_POINTS, Basis
from propd.forecast.early import CUTS, Cut
from propd.forecast.machine import Machine
from propd.forecast.settings import MOST_HEADS, Table
from propd.planning.chances import PRIOR_WEIGHT
from propd.planning.drafts import RANKS

FEWEST_SIZES = 3
SPREAD = 2.0
"""Largest number of tokens in a pass over the smallest: fewer tell nothing of the slope."""
FEWEST_TRUTHS = 20
"""Right guesses that the early head must have seen."""


class Tally(NamedTuple):
    """How often, of how many."""

    hits: int
    tries: int


@dataclass(frozen=True)
class Observed:
    """What the events of a run tell; None where they tell too little."""

    basis: Basis
    steps: int
    tokens_per_pass: float
    guesses: int
    """Places in trees that were counted."""
    taken: tuple[str, ...]
    """Parts that are the run's own: ``acceptance``, ``early``, ``costs``."""


def observe(events: Sequence[StepEvent], otherwise: Basis) -> Observed:
    """The basis that a run gives; what it cannot tell is taken from another one."""
    steps = [event for event in events if event.kind == "decode"]
    basis, taken = otherwise, []
    places = count_places(steps)
    if places:
        basis = replace(basis, acceptance=find_acceptance(steps, otherwise.acceptance))
        taken.append("acceptance")
    layers = otherwise.machine.layers
    layer = next((event.prune_layer for event in steps if event.prune_layer is not None), None)
    cuts = find_cuts(steps, layers)
    if cuts and layer is not None and layer < layers:
        cut = next((event.prune_top_k for event in steps if event.prune_top_k), basis.top_k)
        basis = replace(basis, cuts=cuts, layer=layer, top_k=cut)
        taken.append("early")
    costs = find_costs(steps)
    if costs is not None:
        at = layer if layer is not None and layer < layers else otherwise.machine.layer
        basis = replace(basis, machine=Machine(costs, at, layers))
        taken.append("costs")
    tokens = sum(len(event.token_ids) for event in steps)
    guesses = sum(tally.tries for tally in places.values())
    return Observed(basis, len(steps), tokens / max(len(steps), 1), guesses, tuple(taken))


# --- guesses -----------------------------------------------------------------------------------


def _true_paths(event: StepEvent) -> Iterator[tuple[int, int]]:
    """(node, the token that came after it) for the root and every accepted node."""
    return zip((0, *event.accepted), event.token_ids, strict=False)


def count_places(steps: Iterable[StepEvent]) -> dict[tuple[int, int], Tally]:
    """(depth, rank) -> how often the guess there was right."""
    counts: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    for event in steps:
        for above, truth in _true_paths(event):
            for node in event.nodes[1:]:
                if node.parent == above and node.depth <= MOST_HEADS and node.rank < RANKS:
                    counts[node.depth, node.rank][0] += node.token_id == truth
                    counts[node.depth, node.rank][1] += 1
    return {place: Tally(*count) for place, count in counts.items()}


def find_acceptance(steps: Sequence[StepEvent], otherwise: Table) -> Table:
    """The counts over what was expected before the run, which counts for a few steps."""
    places = count_places(steps)
    told = (event.decision.acceptance_table for event in steps)
    prior = next((table for table in told if table), otherwise)[:MOST_HEADS]
    return tuple(
        _row([places.get((depth, rank)) for rank in range(RANKS)], (*row, *[0.0] * RANKS)[:RANKS])
        for depth, row in enumerate(prior, start=1)
    )


def _row(counts: Sequence[Tally | None], prior: Sequence[float]) -> tuple[float, ...]:
    row = [
        (count.hits + PRIOR_WEIGHT * chance) / (count.tries + PRIOR_WEIGHT) if count else chance
        for count, chance in zip(counts, prior, strict=True)
    ]
    total = sum(row)  # of different steps, so it can pass 1
    return tuple(round(chance / max(total, 1.0), 5) for chance in row)


# --- pruning -----------------------------------------------------------------------------------


def find_cuts(steps: Iterable[StepEvent], layers: int) -> tuple[Cut, ...]:
    """What every k would have left, by the early ranks of the drafted nodes, layer by layer."""
    pruned = sorted((e for e in steps if e.prune_layer), key=lambda event: event.prune_layer or 0)
    deepest = max((node.depth for event in pruned for node in event.nodes), default=0)
    cuts: list[Cut] = []
    for layer, group in groupby(pruned, key=lambda event: event.prune_layer or 0):
        cuts += _cuts_of(list(group), layer / layers, min(deepest, MOST_HEADS))
    return tuple(cuts)


def _cuts_of(steps: Sequence[StepEvent], depth: float, deepest: int) -> list[Cut]:
    places: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    truths: list[int] = []
    for event in steps:
        worst = _worst_ranks(event)
        for node in event.nodes[1:]:
            above = worst[node.parent]
            if above is not None and node.early_rank is not None and node.rank < RANKS:
                places[node.depth, node.rank].append((above, node.early_rank))
        truths += _ranks_of_truths(event)
    if len(truths) < FEWEST_TRUTHS:
        return []
    recall = {k: round(sum(rank < k for rank in truths) / len(truths), 4) for k in CUTS}
    return [Cut(depth, k, _stay(places, k, deepest), recall[k]) for k in CUTS]


def _worst_ranks(event: StepEvent) -> list[int | None]:
    """The worst early rank along the path to each node: it survives every k above that."""
    ranks: list[int | None] = []
    for node in event.nodes:
        above = ranks[node.parent] if node.parent >= 0 else -1
        known = node.early_rank if node.parent >= 0 else -1
        ranks.append(max(above, known) if above is not None and known is not None else None)
    return ranks


def _ranks_of_truths(event: StepEvent) -> Iterator[int]:
    """The early ranks of the drafted nodes that came true, or would have without pruning."""
    for above, truth in _true_paths(event):
        for node in event.nodes[1:]:
            if node.parent == above and node.token_id == truth and node.early_rank is not None:
                yield node.early_rank


def _stay(places: dict[tuple[int, int], list[tuple[int, int]]], k: int, deepest: int) -> Table:
    """By place, of the nodes whose parent survives k: the share that does too.

    A place that was never seen so is like the rank before it, or the depth.
    """
    table: list[tuple[float, ...]] = []
    for depth in range(1, deepest + 1):
        row: list[float] = []
        for rank in range(RANKS):
            seen = [own < k for above, own in places.get((depth, rank), ()) if above < k]
            before = row[-1] if row else table[-1][0] if table else 1.0
            row.append(round(sum(seen) / len(seen), 4) if seen else before)
        table.append(tuple(row))
    return tuple(table)


# --- time --------------------------------------------------------------------------------------


def find_costs(steps: Sequence[StepEvent]) -> CostTable | None:
    """The median time of each segment by tokens; None where the sizes are too much alike."""
    draft, early, prune, late = (defaultdict[int, list[float]](list) for _ in range(4))
    for rows in _passes(steps):
        spent = rows[0].milliseconds
        entered = sum(event.drafted + 1 for event in rows)
        early[entered].append(spent.grow + spent.early)
        verified = sum(event.verified + 1 for event in rows)
        late[verified].append(spent.late + spent.verify + spent.commit)
        if spent.draft:
            draft[len(rows)].append(spent.draft)
        if rows[0].prune_layer is not None:
            prune[entered].append(spent.prune)
    if len(early) < FEWEST_SIZES or max(early) < SPREAD * min(early):
        return None
    return CostTable(_points(draft), _points(early), _points(prune), _points(late))


def _passes(steps: Iterable[StepEvent]) -> list[list[StepEvent]]:
    """The rows of a pass: they come one after another, and each carries its whole time."""
    passes: list[list[StepEvent]] = []
    for event in steps:
        last = passes[-1] if passes else []
        others = [one.row for one in last]
        if last and event.milliseconds == last[0].milliseconds and event.row not in others:
            last.append(event)
        else:
            passes.append([event])
    return passes


def _points(seen: dict[int, list[float]]) -> Points:
    """Medians; of many different counts every so many-th, and the last."""
    counts = sorted(seen)
    every = math.ceil(len(counts) / (MOST_POINTS - 1))
    chosen = sorted({*counts[::every], *counts[-1:]}) if counts else []
    return tuple((count, round(median(seen[count]), 4)) for count in chosen)
