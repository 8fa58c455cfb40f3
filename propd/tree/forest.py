"""The trees of a step as tensors, for a device that finds its way in them without the host.

R trees are filled up to N nodes each: a device likes shapes that it has seen before. Padding sees
itself and no other node, and nobody sees it. All of it is packed on the host into one array of
bytes, sent at once and taken apart by views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from propd.core import SOURCES, Source, TokenTree

PAGES = 8
"""Numbers of 8 bytes for each node, in the order of the fields of `Forest`."""
SMALLEST = 1e-30
"""A chance whose logarithm is finite."""


@dataclass(frozen=True)
class Forest:
    """R trees of N nodes, padding included."""

    tokens: Tensor
    """(R, N) int64; 0 for padding."""
    parents: Tensor
    """(R, N) int64, place in the row; 0 for roots and padding."""
    depths: Tensor
    """(R, N) int64; 0 for padding."""
    real: Tensor
    """(R, N) bool: no padding."""
    pasts: Tensor
    """(R, N) int64: tokens of past of the row, the same along it."""
    numbers: Tensor
    """(R, N) float64: the random number that a draw at this node takes."""
    shares: Tensor
    """(R, N) float64: the drafted chance of a node, given its parent; 1 for roots and padding."""
    sources: Tensor
    """(R, N) int64: who drafted a node, its place in `propd.core.SOURCES`; 0 for the others."""
    visible: Tensor
    """(R, N, N) bool: [r, i, j] is true when j is i or an ancestor of i."""

    def closed(self, fine: Tensor) -> Tensor:
        """(R, N) bool: the nodes that are fine with all their ancestors.

        Example, a chain of three: fine (1, 0, 1) -> (1, 0, 0).
        """
        return (fine[:, None] | ~self.visible).all(-1)

    def walk(self, choices: Tensor, alive: Tensor) -> Tensor:
        """(R,) the deepest node that the model's own choices lead to.

        choices: (R, N) the token after each node; alive: (R, N) bool, whether it was verified. A
        node is right if its parent is and the parent's choice is its token (`accept` says the same
        node by node).
        """
        right = (choices.gather(1, self.parents) == self.tokens) | (self.depths == 0)
        return (self.closed(right & alive) * (self.depths + 1)).argmax(-1)

    def pick(self, keep: Tensor, chances: Tensor, room: int) -> tuple[Tensor, ...]:
        """Which nodes go on where each row has room for some.

        keep: (R, N) bool, what the pruner said; chances: (R, N) of each node, given its parent. Of
        too many the least probable along their path stay behind; too few are filled up with dead
        ones. Returns (R, room) places, the living first, in the order of the tree; (R, N) bool
        alive; and (R,) how many would live if there were room.
        """
        alive = self.closed(keep | self._roots()) & self.real
        wished = alive.sum(-1)
        log = chances.clamp_min(SMALLEST).log()[:, None]
        path = torch.where(self.visible, log, 0.0).sum(-1).masked_fill(~alive, float("-inf"))
        best = path.sort(dim=-1, descending=True, stable=True).indices[:, :room]
        chosen = torch.zeros_like(alive).scatter(1, best, True)
        # sums round: a parent could be left behind for its child, which then is worth nothing
        alive = self.closed(alive & chosen)
        places = torch.arange(alive.shape[1], device=alive.device)
        order = places + len(places) * (2 - alive.long() - chosen.long())
        return order.argsort(-1)[:, :room], alive, wished

    def _roots(self) -> Tensor:
        return self.real & (self.depths == 0)


def pack(
    trees: Sequence[TokenTree],
    tokens: Sequence[Sequence[int]],
    sources: Sequence[Sequence[Source]],
    visible: Sequence[np.ndarray],
    pasts: Sequence[int],
    numbers: Sequence[Sequence[float]],
    shape: tuple[int, int],
) -> np.ndarray:
    """Bytes that `unpack` makes a forest of.

    numbers: for each row one for each depth, or none. shape: (R, N), with room for every tree; rows
    beyond the trees are padding that begins where its past is empty.
    """
    rows, count = shape
    pages = np.zeros((PAGES, rows, count), np.int64)
    draws, shares = pages[5].view(np.float64), pages[6].view(np.float64)
    shares[:] = 1.0
    seen = np.broadcast_to(np.eye(count, dtype=bool), (rows, count, count)).copy()
    for row, (tree, ids) in enumerate(zip(trees, tokens, strict=True)):
        size = len(ids)
        pages[0, row, :size] = ids
        pages[1, row, 1:size] = tree.parents[1:]
        pages[2, row, :size] = tree.depths
        pages[3, row, :size] = 1
        pages[4, row] = pasts[row]
        shares[row, :size] = chances_of(tree.parents, tree.values)
        pages[7, row, :size] = [SOURCES.index(source) for source in sources[row]]
        if numbers[row]:
            draws[row, :size] = np.asarray(numbers[row])[list(tree.depths)]
        seen[row, :size, :size] = visible[row]
    return np.concatenate([pages.reshape(-1).view(np.uint8), seen.reshape(-1).view(np.uint8)])


def chances_of(parents: Sequence[int], values: Sequence[float]) -> list[float]:
    """Of each node given its parent, from the chances of whole paths; 1 for roots (parent -1)."""
    return [
        1.0 if parent < 0 else value / max(values[parent], SMALLEST)
        for parent, value in zip(parents, values, strict=True)
    ]


def unpack(packed: Tensor, shape: tuple[int, int]) -> Forest:
    """The forest of bytes that lie on a device: views, all but one."""
    rows, count = shape
    end = PAGES * rows * count * 8
    pages = packed[:end].view(torch.int64).view(PAGES, rows, count)
    return Forest(
        tokens=pages[0],
        parents=pages[1],
        depths=pages[2],
        real=pages[3] > 0,
        pasts=pages[4],
        numbers=pages[5].view(torch.float64),
        shares=pages[6].view(torch.float64),
        sources=pages[7],
        visible=packed[end:].view(torch.bool).view(rows, count, count),
    )
