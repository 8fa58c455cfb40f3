"""Keys and values of all layers in two preallocated tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from propd.errors import InvalidRequest
from propd.host import send
from propd.models.placement import Placement

ALL = slice(None)


class Window(NamedTuple):
    """What a pass writes to one layer's cache, and what it looks at there."""

    own: tuple[Tensor, Tensor]
    """K and V (kv heads, T, size) of the nodes themselves, where these lie side by side; else all
    that the layer has, (B, kv heads, capacity, size)."""
    seen: Sequence[tuple[Tensor, Tensor]]
    """For each block K and V (R, kv heads, E, size), E as in its mask."""
    side_by_side: bool

    def write(self, keys: Tensor, values: Tensor, place: Placement) -> None:
        """Put the nodes' K and V, (T, kv heads, size), behind each row's past; where they lie side
        by side, the layer itself does so (`LayerMath.alone`)."""
        for store, news in zip(self.own, (keys, values), strict=True):
            store[place.cache_rows, :, place.cache_slots] = news.to(store.dtype)


class KVCache:
    """K and V for B sequences of at most ``capacity`` tokens, owned by one decoding session.

    ``keys[l]`` has shape (B, kv heads, capacity, head size). Slots ``[0, length)`` of a row hold
    its past; a step writes its N nodes to slots ``[length, length + N)``, in the order of the
    tree, and `commit` keeps the accepted ones. What lies beyond has no weight in attention. It is
    multiplied all the same, so it must be finite: a new text and a moved row clear what another
    text left behind them.
    """

    def __init__(
        self,
        layers: int,
        batch: int,
        heads: int,
        capacity: int,
        head_size: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        shape = (layers, batch, heads, capacity, head_size)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self.lengths = [0] * batch
        self._touched = 0  # slots beyond it are still the zeros they were made of

    def windows(self, layers: range, place: Placement) -> list[Window]:
        """What a pass needs of the cache in each of these layers, cut out once for all of them."""
        here = slice(layers.start, layers.stop)
        self.enter(here, place)
        seen = [self._cut(here, block.rows, slice(block.mask.shape[-1])) for block in place.blocks]
        side_by_side, end = _side_by_side(place), place.end
        slots = slice(end - place.starts[-1], end)
        own = self._cut(here, place.first_row, slots) if side_by_side else self._cut(here)
        return [
            Window(mine, blocks, side_by_side) for mine, *blocks in zip(own, *seen, strict=True)
        ]

    def enter(self, layers: slice, place: Placement) -> None:
        """Make sure that a pass has room here, and that nothing of another text is in its way."""
        end, row = place.end, place.first_row
        if end > self.capacity:
            raise InvalidRequest(
                f"The cache holds {self.capacity} tokens and the step needs {end}; "
                "ask for fewer new tokens or a shorter prompt."
            )
        if _side_by_side(place) and self.lengths[row] == 0:  # a new text
            for store in (self.keys, self.values):
                store[layers, row, :, end : self._touched] = 0
        self.touch(end)

    def _cut(
        self, layers: slice, rows: slice | int = ALL, slots: slice = ALL
    ) -> list[tuple[Tensor, Tensor]]:
        """K and V of each layer, of some rows and slots: views."""
        keys, values = self.keys[layers, rows, :, slots], self.values[layers, rows, :, slots]
        return list(zip(keys.unbind(0), values.unbind(0), strict=True))

    def touch(self, end: int) -> None:
        """Slots before this one are written; a replayed graph writes without saying so."""
        self._touched = max(self._touched, end)

    def keep(self, layers: slice, row: int, nodes: Sequence[int]) -> None:
        """Move the K and V of these nodes (ascending indices of the step) to the front of the step.

        After it, node ``nodes[i]`` lies at slot ``length + i`` in the given layers.
        """
        start = self.lengths[row]
        if list(nodes) == list(range(len(nodes))):
            return
        index = send(nodes, self.keys.device) + start
        for store in (self.keys, self.values):
            store[layers, row, :, start : start + len(nodes)] = store[layers, row].index_select(
                2, index
            )

    def commit(self, row: int, nodes: Sequence[int]) -> None:
        """Make the given nodes of the step, in order, part of the row's past."""
        self.keep(slice(None), row, nodes)
        self.lengths[row] += len(nodes)

    def commit_all(self, nodes: Sequence[Sequence[int]]) -> None:
        """`commit` for rows 0, 1, ... at once: one list is sent, whatever the number of rows."""
        if any(list(row) != list(range(len(row))) for row in nodes):
            longest = range(max(map(len, nodes)))
            # where a row keeps fewer, a slot is copied onto itself
            told = [
                [[slot] * len(longest), [row[i] if i < len(row) else i for i in longest], longest]
                for slot, row in enumerate(nodes)
            ]
            moves = np.asarray(told).transpose(1, 0, 2)
            moves[1:] += np.asarray(self.lengths[: len(nodes)])[:, None]
            rows, sources, targets = send(np.ascontiguousarray(moves), self.keys.device)
            for store in (self.keys, self.values):
                store[:, rows, :, targets] = store[:, rows, :, sources]
        for slot, row in enumerate(nodes):
            self.lengths[slot] += len(row)

    def move(self, row: int, to: int) -> None:
        """Move a row's past into another row, which is forgotten."""
        length = self.lengths[row]
        for store in (self.keys, self.values):
            store[:, to, :, :length] = store[:, row, :, :length]
            store[:, to, :, length : self._touched] = 0
        self.lengths[to], self.lengths[row] = length, 0

    def free(self) -> None:
        """Give the memory back; nothing can be written any more."""
        self.keys, self.values = self.keys[:, :0].clone(), self.values[:, :0].clone()
        self.capacity, self.lengths = 0, []

    def check_integrity(self) -> None:
        """Raise if a row is longer than the cache or its past holds a number that is not finite."""
        for row, length in enumerate(self.lengths):
            if not 0 <= length <= self.capacity:
                raise RuntimeError(f"row {row} claims {length} of {self.capacity} slots")
            for store in (self.keys, self.values):
                if not torch.isfinite(store[:, row, :, :length]).all():
                    raise RuntimeError(f"row {row} of the cache holds a number that is not finite")


def _side_by_side(place: Placement) -> bool:
    """Whether the nodes are of one row, the last of them at the end of what is looked at."""
    return place.rows == 1 and place.ends_there
