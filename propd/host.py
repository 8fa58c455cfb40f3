"""The door between the host and the device.

Python has to wait until a GPU is done before it can see a number, and a list that it sends the
plain way waits as well. So values are read and lists are sent here and nowhere else: `read` takes
several tensors in one wait, `send` does not wait, and a test can stand at the door and count
(tests/test_host_reads.py). On a CPU both do what they must and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Ids = Sequence[int] | Tensor
"""Token ids or indices: a list of the host, or a tensor that lies on the device."""


def read(*tensors: Tensor) -> list[Any]:
    """The values of tensors of one device, each as nested lists, in one wait for the device."""
    if tensors[0].device.type == "cpu":
        return [tensor.tolist() for tensor in tensors]
    return unpacked(packed(tensors).cpu(), tensors)


def packed(tensors: Sequence[Tensor]) -> Tensor:
    """The bytes of tensors, one after another."""
    return torch.cat([tensor.contiguous().view(-1).view(torch.uint8) for tensor in tensors])


def unpacked(arrived: Tensor, tensors: Sequence[Tensor]) -> list[Any]:
    """The values of tensors whose bytes have arrived on the CPU, each as nested lists."""
    pieces = arrived.split([tensor.numel() * tensor.element_size() for tensor in tensors])
    # cloned, because a view in another number format has to begin where such a number may
    return [
        piece.clone().view(tensor.dtype).view(tensor.shape).tolist()
        for piece, tensor in zip(pieces, tensors, strict=True)
    ]


def send(values: Sequence[int] | np.ndarray | Tensor, device: torch.device) -> Tensor:
    """A list, an array or a tensor on the device, without waiting; what is there already stays.

    Lists become int64. From pinned memory a GPU fetches by itself, when it gets there.
    """
    if isinstance(values, np.ndarray):
        sent = torch.from_numpy(values)
    else:
        sent = values if isinstance(values, Tensor) else torch.tensor(values, dtype=torch.int64)
    if sent.device.type == device.type:
        return sent
    if device.type == "cuda" and torch.cuda.is_available():
        sent = sent.pin_memory()
    return sent.to(device, non_blocking=True)
