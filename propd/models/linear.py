"""Linear layers with weights packed once for the processor.

oneDNN multiplies faster when the weight lies in its own blocked order. PyTorch's inductor packs
weights with two private operators; they are used here, behind one class with a fallback, because
packing makes a tree of 8 nodes cost about what one token costs (docs/lab-notebook.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PACKED_ROWS = 16
"""Rows the packing is tuned for; the middle of the sizes a step runs."""


def packing_available(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether the private packing operators exist and work here for this dtype."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if dtype not in (torch.float32, torch.bfloat16):
        return False
    try:
        _multiply(torch.zeros(1, 16, dtype=dtype), _pack(torch.zeros(16, 16, dtype=dtype)), None)
    except (AttributeError, RuntimeError):  # an operator that is not there is either
        return False
    return True


def _pack(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight, PACKED_ROWS)


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


class Linear:
    """y = x W^T + b with a read-only weight of shape (out, in), packed where that is possible.

    Not an ``nn.Module``: nothing here is trained, moved or saved.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, *, pack: bool = True) -> None:
        self.out_features, self.in_features = weight.shape
        self.bias = bias
        self.packed = pack and packing_available(weight.dtype, weight.device)
        weight = weight.detach().contiguous()
        self.weight = _pack(weight) if self.packed else weight

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        if self.packed:
            return _multiply(x, self.weight, self.bias)
        return F.linear(x, self.weight, self.bias)
