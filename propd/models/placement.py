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


@dataclass(frozen=True)
class Placement:
    """T nodes of R rows, row after row; N is the most nodes of a row.

    The linear layers see the T nodes in one product. Only attention needs a rectangle, (R, N), in
    which the places beyond a row's own nodes are padding.
    """

    first_row: int
    """Cache rows ``first_row`` to ``first_row + R - 1``."""
    starts: tuple[int, ...]
    """(R + 1,) first node of each row, and T."""
    turns: Tensor
    """(T, 1, head size / 2) complex: how far each pair of a query or key turns."""
    mask: Tensor
    """(R, 1, N, E), added to the scores: 0 where a node may look (its row's past, its ancestors,
    itself), -inf elsewhere. E is the end of the longest row."""
    cache_rows: Tensor
    """(T,)."""
    cache_slots: Tensor
    """(T,): past of the row + place in the row."""
    padded: Tensor | None
    """(R * N,) the node at each place of the rectangle; None when the rectangle has no padding."""
    flat: Tensor | None
    """(T,) the place of each node; None likewise."""
    ends_there: bool = True
    """Whether the last node of the longest row lies at the end of the mask. Not so where the mask
    is rounded up (`place_forest`)."""

    @property
    def rows(self) -> int:
        """R."""
        return len(self.starts) - 1

    def to_rectangle(self, x: Tensor) -> Tensor:
        """(T, ...) -> (R, N, ...); padding repeats node 0."""
        if self.padded is not None:
            x = x.index_select(0, self.padded)
        return x.view(self.rows, -1, *x.shape[1:])

    def to_line(self, x: Tensor) -> Tensor:
        """(R, N, ...) -> (T, ...)."""
        x = x.flatten(0, 1)
        return x if self.flat is None else x.index_select(0, self.flat)

    def at(self, picked: Tensor) -> Placement:
        """The places of some of the nodes, (R, M) of each row, in their own slots."""
        rows, count = picked.shape
        nodes, end = self.mask.shape[2:]
        flat = (picked + nodes * torch.arange(rows, device=picked.device)[:, None]).flatten()
        return replace(
            self,
            starts=tuple(range(0, rows * count + 1, count)),
            turns=self.turns.index_select(0, flat),
            mask=self.mask.view(-1, end).index_select(0, flat).view(rows, 1, count, end),
            cache_rows=self.cache_rows.index_select(0, flat),
            cache_slots=self.cache_slots.index_select(0, flat),
        )


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
    padded, flat = _rectangle(rows, places, counts)
    return Placement(
        first_row=first_row,
        starts=starts,
        turns=turns[send(positions, device)].unsqueeze(1),
        mask=send(_mask(visible, pasts, counts), device),
        cache_rows=send(rows + first_row, device),
        cache_slots=send(past + places, device),
        padded=None if padded is None else send(padded, device),
        flat=None if flat is None else send(flat, device),
    )


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
        mask=mask[:, None],
        cache_rows=torch.arange(rows, device=device)[:, None].expand(rows, nodes).flatten(),
        cache_slots=slots.flatten(),
        padded=None,
        flat=None,
        ends_there=False,
    )


def _rectangle(
    rows: np.ndarray, places: np.ndarray, counts: Sequence[int]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    widest = max(counts)
    if min(counts) == widest:
        return None, None
    flat = rows * widest + places
    padded = np.zeros(len(counts) * widest, dtype=np.int64)
    padded[flat] = np.arange(len(flat))
    return padded, flat


def _mask(
    visible: Sequence[np.ndarray],
    pasts: Sequence[int],
    counts: Sequence[int],
) -> Tensor:
    end = max(past + count for past, count in zip(pasts, counts, strict=True))
    seen = np.zeros((len(counts), 1, max(counts), end), dtype=bool)
    for row, (past, count) in enumerate(zip(pasts, counts, strict=True)):
        seen[row, 0, :count, :past] = True
        seen[row, 0, :count, past : past + count] = visible[row]
        # A row of the mask without a place to look at would give NaN.
        seen[row, 0, count:, 0] = True
    mask = torch.zeros(seen.shape)
    return mask.masked_fill_(~torch.from_numpy(seen), float("-inf"))
