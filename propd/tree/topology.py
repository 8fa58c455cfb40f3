"""Shapes of token trees: ancestor masks, children, sub-trees."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from propd.core import TokenTree

ROOT_ONLY = TokenTree(parents=(-1,), ranks=(0,), depths=(0,), values=(1.0,))
"""The tree of plain decoding."""


@lru_cache(maxsize=256)
def ancestor_mask(parents: tuple[int, ...]) -> np.ndarray:
    """(N, N) bool, read-only: element [i, j] is true when j is i or an ancestor of i.

    Kept for later: small trees come in few shapes. Example::

        parents (-1, 0, 0, 1)  ->  1 . . .
                                   1 1 . .
                                   1 . 1 .
                                   1 1 . 1
    """
    mask = np.eye(len(parents), dtype=bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            mask[node] |= mask[parent]
    mask.flags.writeable = False
    return mask


def inner_nodes(parents: Sequence[int]) -> list[int]:
    """Nodes that have children, ascending."""
    return sorted(set(parents) - {-1})


def select(tree: TokenTree, kept: Sequence[int]) -> TokenTree:
    """The tree of the kept nodes (ascending, root first, every parent kept), renumbered.

    Example: keeping (0, 2, 3) of parents (-1, 0, 0, 2) gives parents (-1, 0, 1).
    """
    place = {old: new for new, old in enumerate(kept)}
    return TokenTree(
        parents=tuple(place.get(tree.parents[node], -1) for node in kept),
        ranks=tuple(tree.ranks[node] for node in kept),
        depths=tuple(tree.depths[node] for node in kept),
        values=tuple(tree.values[node] for node in kept),
    )


def limit_depth(tree: TokenTree, deepest: int) -> TokenTree:
    """The tree without nodes below ``deepest``."""
    return select(tree, [node for node, depth in enumerate(tree.depths) if depth <= deepest])
