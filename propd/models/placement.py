"""Where the nodes of a pass stand: rotary angles, cache slots, and who may look at whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from propd.host import send
from propd.tree.forest import Forest

APART = 2000
"""What a further block costs in attention, in all layers, in the unit of `_work_alone`: about 2 ms
with 30 layers; not measured apart."""


@dataclass(frozen=True)
class Block:
    """R rows, side by side in the cache, that attend together; N is the most nodes of a row.

    Attention needs a rectangle, (R, N), in which the places beyond a row's own nodes are padding.
    """

    rows: slice
    """Of the cache."""
    nodes: slice
    """Of the nodes of the pass."""
    mask: Tensor
    """(R, 1, N, E), added to the scores: 0 where a node may look (its row's past, its ancestors,
    itself), -inf elsewhere. E is the end of the longest row."""
    padded: Tensor | None = None
    """(R * N,) the node at each place of the rectangle; None when the rectangle has no padding."""
    flat: Tensor | None = None
    """(T,) the place of each node; None likewise."""
    counts: Tensor | None = None
    """(R,) nodes of each row; None: N."""
    ends: Tensor | None = None
    """(R,) slots of each row, its nodes among them; None: E."""

    def to_rectangle(self, x: Tensor) -> Tensor:
        """(T, ...) -> (R, N, ...); padding repeats the first node."""
        if self.padded is not None:
            x = x.index_select(0, self.padded)
        return x.view(len(self.mask), -1, *x.shape[1:])

    def to_line(self, x: Tensor) -> Tensor:
        """(R, N, ...) -> (T, ...)."""
        x = x.flatten(0, 1)
        return x if self.flat is None else x.index_select(0, self.flat)


@dataclass(frozen=True)
class Placement:
    """T nodes of R rows, row after row.

    The linear layers see the T nodes in one product; attention sees them block by block.
    """

    first_row: int
    """Cache rows ``first_row`` to ``first_row + R - 1``."""
    starts: tuple[int, ...]
    """(R + 1,) first node of each row, and T."""
    turns: Tensor
    """(T, 1, head size / 2) complex: how far each pair of a query or key turns."""
    cache_rows: Tensor
    """(T,)."""
    cache_slots: Tensor
    """(T,): past of the row + place in the row."""
    blocks: tuple[Block, ...]
    ends_there: bool = True
    """Whether the last node of the longest row lies at the end of its mask. Not so where the mask
    is rounded up (`place_forest`)."""

    @property
    def rows(self) -> int:
        """R."""
        return len(self.starts) - 1

    @property
    def end(self) -> int:
        """Slot behind the last one that is looked at."""
        return max(block.mask.shape[-1] for block in self.blocks)

    @property
    def mask(self) -> Tensor:
        """Of the only block."""
        (block,) = self.blocks
        return block.mask

    def at(self, picked: Tensor) -> Placement:
        """The places of some of the nodes, (R, M) of each row, in their own slots; for one block
        without padding."""
        rows, count = picked.shape
        nodes, end = self.mask.shape[2:]
        flat = (picked + nodes * torch.arange(rows, device=picked.device)[:, None]).flatten()
        mask = self.mask.view(-1, end).index_select(0, flat).view(rows, 1, count, end)
        return replace(
            self,
            starts=tuple(range(0, rows * count + 1, count)),
            turns=self.turns.index_select(0, flat),
            cache_rows=self.cache_rows.index_select(0, flat),
            cache_slots=self.cache_slots.index_select(0, flat),
            blocks=(one_block(self.first_row, mask),),
        )


def one_block(first_row: int, mask: Tensor) -> Block:
    """All rows in one rectangle without padding."""
    rows, _, nodes, _ = mask.shape
    return Block(slice(first_row, first_row + rows), slice(0, rows * nodes), mask)


def place_nodes(
    turns: Tensor,
    visible: Sequence[np.ndarray],
    depths: Sequence[Sequence[int]],
    pasts: Sequence[int],
    first_row: int,
) -> Placement:
    """Place R trees behind their pasts.

    turns: (positions, head size / 2) complex. visible[r]: (n, n) bool, node i sees node j.
    depths[r]: distance of each node from its root, which stands at position pasts[r].
    """
    counts = [len(row) for row in depths]
    starts = (0, *accumulate(counts))
    rows = np.repeat(np.arange(len(counts)), counts)
    places = np.arange(starts[-1]) - np.asarray(starts)[rows]
    past = np.asarray(pasts)[rows]
    positions = np.concatenate([np.asarray(row) for row in depths]) + past
    device = turns.device
    together = share_out(pasts, counts) if device.type == "cpu" else [slice(0, len(counts))]
    return Placement(
        first_row=first_row,
        starts=starts,
        turns=turns.index_select(0, send(positions, device)).unsqueeze(1),
        cache_rows=send(rows + first_row, device),
        cache_slots=send(past + places, device),
        blocks=tuple(
            Block(
                slice(first_row + part.start, first_row + part.stop),
                slice(starts[part.start], starts[part.stop]),
                send(_mask(visible[part], pasts[part], counts[part]), device),
                *(x if x is None else send(x, device) for x in _rectangle(counts[part])),
                **_sizes(pasts[part], counts[part], device),
            )
            for part in together
        ),
    )


def share_out(pasts: Sequence[int], counts: Sequence[int]) -> list[slice]:
    """Which rows attend together, on a CPU: in a block all look as far as the longest.

    The least work, `APART` included, over all ways to cut the rows in consecutive blocks.
    """
    rows = len(counts)
    if rows == 1 or _work(pasts, counts) - sum(map(_work_alone, pasts, counts)) <= APART:
        return [slice(0, rows)]
    best = [(0, 0)]  # for the first n rows: (work, where the last block begins)
    for stop in range(1, rows + 1):
        options = (
            (best[first][0] + APART + _work(pasts[first:stop], counts[first:stop]), first)
            for first in range(stop)
        )
        best.append(min(options))
    parts, stop = [], rows
    while stop:
        first = best[stop][1]
        parts.append(slice(first, stop))
        stop = first
    return parts[::-1]


def _work(pasts: Sequence[int], counts: Sequence[int]) -> int:
    return len(pasts) * _work_alone(max(pasts), max(counts))


def _work_alone(past: int, count: int) -> int:
    """In what a token costs that looks at a token: to fetch K and V takes as long as two of it."""
    return past * (count + 2)


def place_forest(turns: Tensor, forest: Forest, end: int) -> Placement:
    """Place the R trees of a forest, N nodes each, behind their pasts; nothing is sent or read.

    end: columns of the mask, at least up to the last node of the longest row.
    """
    rows, nodes = forest.tokens.shape
    device = turns.device
    slots = forest.pasts + torch.arange(nodes, device=device)
    ahead = torch.arange(end, device=device) - forest.pasts[:, :1]  # of the row's past, by slot
    among = ahead.clamp(0, nodes - 1)[:, None].expand(rows, nodes, end)
    inside = ((ahead >= 0) & (ahead < nodes))[:, None] & forest.visible.gather(2, among)
    seen = (ahead < 0)[:, None] | inside
    mask = torch.zeros(seen.shape, device=device).masked_fill_(~seen, float("-inf"))
    return Placement(
        first_row=0,
        starts=tuple(range(0, rows * nodes + 1, nodes)),
        turns=turns[(forest.pasts + forest.depths).flatten()].unsqueeze(1),
        # not a view of one number a row: a graph's buffers must have a place for each number
        cache_rows=torch.arange(rows, device=device)[:, None].repeat(1, nodes).flatten(),
        cache_slots=slots.flatten(),
        blocks=(one_block(0, mask[:, None]),),
        ends_there=False,
    )


def _rectangle(counts: Sequence[int]) -> tuple[np.ndarray | None, np.ndarray | None]:
    widest = max(counts)
    if min(counts) == widest:
        return None, None
    flat = np.concatenate([row * widest + np.arange(count) for row, count in enumerate(counts)])
    padded = np.zeros(len(counts) * widest, dtype=np.int64)
    padded[flat] = np.arange(len(flat))
    return padded, flat


def _sizes(pasts: Sequence[int], counts: Sequence[int], device: torch.device) -> dict[str, Tensor]:
    """Nodes and slots of each row, for attention without rectangles; on a CPU only."""
    if device.type != "cpu":
        return {}
    own = np.asarray(counts)
    return {"counts": send(own, device), "ends": send(own + np.asarray(pasts), device)}


def _mask(
    visible: Sequence[np.ndarray],
    pasts: Sequence[int],
    counts: Sequence[int],
) -> Tensor:
    end = max(past + count for past, count in zip(pasts, counts, strict=True))
    mask = np.full((len(counts), 1, max(counts), end), -np.inf, dtype=np.float32)
    for row, (past, count) in enumerate(zip(pasts, counts, strict=True)):
        mask[row, 0, :count, :past] = 0.0
        mask[row, 0, :count, past : past + count][visible[row]] = 0.0
        # A row of the mask without a place to look at would give NaN.
        mask[row, 0, count:, 0] = 0.0
    return torch.from_numpy(mask)
