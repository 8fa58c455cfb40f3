"""Passes that a GPU repeats by itself: CUDA graphs of functions from tensors to tensors.

A small model spends most of a step with launching kernels. A graph launches all those of a pass at
once, but it repeats them exactly: same shapes, same addresses. So a function is captured once for
each key that names its shapes, its inputs are copied into buffers that stay, and its outputs lie
where they lay before. Such a function may read nothing but its inputs, and what never moves: the
weights and the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

Function = Callable[..., tuple[Tensor, ...]]
Call = Callable[[], tuple[Tensor, ...]]
Record = Callable[[Call], tuple[Callable[[], None], tuple[Tensor, ...]]]
"""A call -> what repeats it, and its outputs, where every repetition leaves them."""

MOST = 96
"""Graphs at once; each has memory of its own. Beyond it all are forgotten, and captured as met."""
USES = 2
"""A key is captured when it is met so often: capturing takes as long as many plain passes."""


class Eager:
    """Runs functions as they are."""

    def __call__(self, key: Hashable, function: Function, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The function's outputs. key: of the function and its shapes."""
        return function(*inputs)


@dataclass(frozen=True)
class Captured:
    """A function of one key, ready to be repeated."""

    inputs: tuple[Tensor, ...]
    repeat: Callable[[], None]
    outputs: tuple[Tensor, ...]


class Graphs(Eager):
    """Captures functions and repeats them; they belong to one cache, which they write to.

    Outputs hold until the same key is called again.
    """

    def __init__(self, record: Record) -> None:
        """record: how a call is captured."""
        self._record = record
        self._met: dict[Hashable, int] = {}
        self._known: dict[Hashable, Captured] = {}
        self._still: set[int] = set()
        """Where outputs lie. They are inputs of the next function as they are, without a copy."""

    def __call__(self, key: Hashable, function: Function, *inputs: Tensor) -> tuple[Tensor, ...]:
        """As `Eager`, from the second call of a key on without Python."""
        self._met[key] = self._met.get(key, 0) + 1
        if self._met[key] < USES:
            return function(*inputs)
        if key not in self._known:
            self._make_room()
            self._known[key] = self._capture(function, inputs)
        known = self._known[key]
        for still, given in zip(known.inputs, inputs, strict=True):
            if still.data_ptr() != given.data_ptr():
                still.copy_(given)
        known.repeat()
        return known.outputs

    def _make_room(self) -> None:
        # one alone cannot go: its outputs lie where those of others may come to lie
        if len(self._known) >= MOST:
            for known in (self._met, self._known, self._still):
                known.clear()

    def _capture(self, function: Function, inputs: tuple[Tensor, ...]) -> Captured:
        still = tuple(x if x.data_ptr() in self._still else x.clone() for x in inputs)
        repeat, outputs = self._record(lambda: function(*still))
        self._still.update(x.data_ptr() for x in outputs)
        return Captured(still, repeat, outputs)


def record_cuda(device: torch.device, call: Call) -> tuple[Callable[[], None], tuple[Tensor, ...]]:
    """Capture a call on this GPU as a CUDA graph with a memory pool of its own."""
    with torch.cuda.device(device):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries set themselves up in a first call
            call()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # another thread's session may ask for its marks meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            outputs = call()
    return graph.replay, outputs
