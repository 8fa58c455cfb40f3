"""How fast this machine reads memory, which bounds plain decoding: it reads all weights a token."""

from __future__ import annotations

from time import perf_counter

import torch

BYTES = 2**28
"""Far more than any cache holds."""
TIMES = 8


def read_bandwidth(device: torch.device, size: int = BYTES, times: int = TIMES) -> float:
    """Bytes a second: the best of some passes over a large tensor, by all threads."""
    numbers = torch.ones(size // 4, device=device)
    best = float("inf")
    for _ in range(times):
        began = perf_counter()
        float(numbers.sum())  # a number on the host: the device is done
        best = min(best, perf_counter() - began)
    return size / best
