"""The nodes of a step on their way through the layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, pairwise
from typing import TypeVar

import numpy as np
from torch import Tensor

from propd.core import Source, TokenTree
from propd.host import send
from propd.models.placement import Placement


@dataclass(frozen=True)
class Nodes:
    """T nodes of R rows: one tree a row, row after row."""

    trees: tuple[TokenTree, ...]
    token_ids: tuple[tuple[int, ...], ...]
    """For each row, the token of each node."""
    sources: tuple[tuple[Source, ...], ...]
    """For each row, who drafted each node; a root's is without meaning."""
    visible: tuple[np.ndarray, ...]
    """For each row, (n, n) bool: node i sees node j."""
    hidden: Tensor
    """(T, H), after the layers that have run."""
    place: Placement

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """(R + 1,) first node of each row, and T."""
        return (0, *accumulate(map(len, self.token_ids)))

    def span(self, slot: int) -> slice:
        """Where the nodes of a row stand in tensors over all nodes, which may have padding."""
        first = self.place.starts[slot]
        return slice(first, first + len(self.token_ids[slot]))

    def parents(self) -> list[int]:
        """(T,) parents over all rows; -1 for roots."""
        return [
            parent + start if parent >= 0 else -1
            for tree, start in zip(self.trees, self.starts, strict=False)
            for parent in tree.parents
        ]

    def depths(self) -> tuple[int, ...]:
        """(T,)."""
        return tuple(chain.from_iterable(tree.depths for tree in self.trees))

    def values(self) -> tuple[float, ...]:
        """(T,) the planner's estimates."""
        return tuple(chain.from_iterable(tree.values for tree in self.trees))

    def all_sources(self) -> tuple[Source, ...]:
        """(T,)."""
        return tuple(chain.from_iterable(self.sources))

    def all_token_ids(self) -> list[int]:
        """(T,)."""
        return list(chain.from_iterable(self.token_ids))


Value = TypeVar("Value")


def at_places(
    rows: Sequence[Sequence[Value]], kept: Sequence[Sequence[int]]
) -> tuple[tuple[Value, ...], ...]:
    """For each row, its values at the kept places."""
    return tuple(
        tuple(values[place] for place in places) for values, places in zip(rows, kept, strict=True)
    )


def kept_places(alive: Sequence[bool], starts: Sequence[int]) -> list[list[int]]:
    """For each row, the places of its living nodes, the root first."""
    return [
        [place for place in range(end - start) if alive[start + place]]
        for start, end in pairwise(starts)
    ]


def survivors(
    nodes: Nodes, kept: Sequence[Sequence[int]], trees: Sequence[TokenTree], place: Placement
) -> Nodes:
    """The kept nodes: hidden states and ancestor masks are sub-sampled, not rebuilt."""
    flat = [start + node for start, row in zip(nodes.starts, kept, strict=False) for node in row]
    return Nodes(
        trees=tuple(trees),
        token_ids=at_places(nodes.token_ids, kept),
        sources=at_places(nodes.sources, kept),
        visible=visible_of(nodes, kept),
        hidden=nodes.hidden.index_select(0, send(flat, nodes.hidden.device)),
        place=place,
    )


def visible_of(nodes: Nodes, kept: Sequence[Sequence[int]]) -> tuple[np.ndarray, ...]:
    """Rows and columns of the kept nodes."""
    return tuple(
        seen[np.ix_(places, places)] for seen, places in zip(nodes.visible, kept, strict=True)
    )
