"""Early pruning: what the early head knows after a few layers decides which branches go on.

The root always stays, so each step writes at least one token; what is written is decided later, by
the whole model, so pruning can cost tokens per pass and never changes the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from propd.core import Source
from propd.errors import InvalidRequest
from propd.host import read
from propd.tree.forest import Forest
from propd.tree.topology import inner_nodes

Score = Callable[[Sequence[int], Sequence[int]], tuple[Tensor, Tensor]]
"""(C,) places of the parents among `inner_nodes` and (C,) token ids -> (C,) ranks and (C,)
probabilities of these tokens after these parents."""


@dataclass(frozen=True)
class EarlyView:
    """What a pruner sees: T nodes of R rows, row after row, roots included.

    Example, one row, a root with two children, the first of which has one child::

        parents = (-1, 0, 0, 1)   depths = (0, 1, 1, 2)   ranks = (None, 0, 7, 2)
    """

    parents: tuple[int, ...]
    """Index of each node's parent; -1 for roots."""
    depths: tuple[int, ...]
    values: tuple[float, ...]
    """The planner's estimate of the path's chance; 1.0 for roots."""
    ranks: tuple[int | None, ...]
    """Place among the early head's successors of the parent, 0 is best; None for roots."""
    probabilities: tuple[float | None, ...]
    """The early head's probability, given the parent; None for roots."""
    past: int = 0
    """Tokens in the cache, the mean of the rows."""
    sources: tuple[Source, ...] = ()
    """Who drafted each node (a root's is without meaning); () where all are of the heads."""


@dataclass(frozen=True)
class EarlyTensors:
    """The same as a pruner sees it on the device, each row filled up to N nodes with padding."""

    forest: Forest
    ranks: Tensor
    """(R, N); of roots and padding without meaning, as below."""
    chances: Tensor
    """(R, N) float64."""
    rows: int
    """Those with a text; the others are padding."""
    nodes: int
    """Of all rows, padding left out, roots included."""
    past: int = 0


@dataclass(frozen=True)
class Pruning:
    """What pruning decided of T nodes, with the early head's word on each (None for roots)."""

    alive: tuple[bool, ...]
    ranks: tuple[int | None, ...]
    probabilities: tuple[float | None, ...]


def look(
    parents: Sequence[int], token_ids: Sequence[int], score: Score
) -> tuple[tuple[int | None, ...], tuple[float | None, ...]]:
    """The early head's rank and probability of each of T nodes, given its parent; None for roots.

    parents: of the nodes of one tree or of several in a row; -1 for roots. token_ids: of every
    node (a root's is not looked at). score: the early head, asked about all that have a parent.
    """
    row_of = {node: row for row, node in enumerate(inner_nodes(parents))}
    children = [node for node, parent in enumerate(parents) if parent >= 0]
    ranks: list[int | None] = [None] * len(parents)
    probabilities: list[float | None] = [None] * len(parents)
    if children:
        rows = [row_of[parents[node]] for node in children]
        told = read(*score(rows, [token_ids[node] for node in children]))
        for node, place, chance in zip(children, *told, strict=True):
            ranks[node], probabilities[node] = int(place), chance
    return tuple(ranks), tuple(probabilities)


def prune(view: EarlyView, keep: Sequence[bool]) -> Pruning:
    """Drop what is not kept, with its sub-trees; roots stay."""
    if len(keep) != len(view.parents):
        raise InvalidRequest(
            f"The pruner answered for {len(keep)} nodes of {len(view.parents)}; "
            "answer for each, roots included."
        )
    alive: list[bool] = []
    for parent, stays in zip(view.parents, keep, strict=True):
        alive.append(parent < 0 or (alive[parent] and bool(stays)))
    return Pruning(tuple(alive), view.ranks, view.probabilities)
