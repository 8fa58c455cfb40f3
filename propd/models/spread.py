"""What layers on several devices need: K and V beside each layer, and a way across the border."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from propd.models.kv_cache import KVCache, Window
from propd.models.placement import Block, Placement


def moved(place: Placement, device: torch.device) -> Placement:
    """The same places with their tensors on another device."""
    blocks = tuple(_moved(block, device) for block in place.blocks)
    return replace(_moved(place, device), blocks=blocks)


Record = TypeVar("Record", Placement, Block)


def _moved(record: Record, device: torch.device) -> Record:
    found = ((item.name, getattr(record, item.name)) for item in fields(record))
    there: dict[str, Any] = {
        name: value.to(device) for name, value in found if isinstance(value, Tensor)
    }
    return replace(record, **there)


class SpreadCache(KVCache):
    """A `KVCache` in parts, each the cache of the layers of one device.

    ``lengths`` are kept here; every part is told them before it works.
    """

    def __init__(self, parts: Sequence[KVCache], layers: Sequence[int]) -> None:
        """layers: how many each part has."""
        self.parts = list(parts)
        self.capacity = parts[0].capacity
        self.lengths = list(parts[0].lengths)
        starts = [sum(layers[:place]) for place in range(len(layers))]
        self._spans = [range(start, start + n) for start, n in zip(starts, layers, strict=True)]

    def _ready(self) -> Iterator[tuple[KVCache, range]]:
        for part, span in zip(self.parts, self._spans, strict=True):
            part.lengths = list(self.lengths)
            yield part, span

    def windows(self, layers: range, place: Placement) -> list[Window]:
        """As `KVCache`."""
        return [
            window
            for part, inside in self._parts_of(layers)
            for window in part.windows(inside, place)
        ]

    def _parts_of(self, layers: range) -> Iterator[tuple[KVCache, range]]:
        """The parts that hold some of these layers, and which of a part's own these are."""
        for part, span in self._ready():
            first, last = max(layers.start, span.start), min(layers.stop, span.stop)
            if first < last:
                yield part, range(first - span.start, last - span.start)

    def keep(self, layers: slice, row: int, nodes: Sequence[int]) -> None:
        """As `KVCache`."""
        for part, inside in self._parts_of(range(self._spans[-1].stop)[layers]):
            part.keep(slice(inside.start, inside.stop), row, nodes)

    def commit(self, row: int, nodes: Sequence[int]) -> None:
        """As `KVCache`."""
        self.keep(slice(None), row, nodes)
        self.lengths[row] += len(nodes)

    def move(self, row: int, to: int) -> None:
        """As `KVCache`."""
        for part, _ in self._ready():
            part.move(row, to)
        self.lengths[to], self.lengths[row] = self.lengths[row], 0

    def free(self) -> None:
        """As `KVCache`."""
        for part in self.parts:
            part.free()
        self.capacity, self.lengths = 0, []

    def check_integrity(self) -> None:
        """As `KVCache`."""
        for part, _ in self._ready():
            part.check_integrity()


def cache_nbytes(cache: KVCache) -> int:
    """What K and V take, on all devices."""
    parts = cache.parts if isinstance(cache, SpreadCache) else [cache]
    return sum(int(part.keys.nbytes + part.values.nbytes) for part in parts)
