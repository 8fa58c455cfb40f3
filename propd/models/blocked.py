"""Products by a kernel of ours: weights in blocks of 16 outputs, of whatever kind.

A pass over few tokens is all reading of weights, and PyTorch's products read them at half of what
the processor can on many machines, in an order of sums that depends on the number of rows. Blocks
lie in the order in which they are read, and a row's result has the same bits in any company
(`propd/kernels/product.h`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from propd import kernels
from propd.models.linear import Linear

LANES = 16
"""Outputs of a block."""
GROUP = 32
"""Inputs come in multiples of it."""
DTYPES = (torch.float32, torch.bfloat16)
"""Of dense weights that the kernel takes."""


def fits(weight: Tensor) -> bool:
    """Whether the kernel takes a weight of this shape (out, in)."""
    return len(weight) % LANES == 0 and weight.shape[1] % GROUP == 0


def blocks_pay(dtype: torch.dtype) -> bool:
    """Whether dense weights of this dtype are best multiplied by the kernel on this processor. One
    with a matrix unit for bfloat16 reads prompts several times as fast with PyTorch's product."""
    matrix_unit = getattr(torch.cpu, "_is_amx_tile_supported", bool)()
    by_kernel = dtype is torch.float32 or (dtype is torch.bfloat16 and not matrix_unit)
    return by_kernel and kernels.ready()


def dense_product(weight: Tensor, bias: Tensor | None = None) -> Callable[[Tensor], Tensor]:
    """A product with a weight as it is, by whoever multiplies such a one best here."""
    by_kernel = weight.device.type == "cpu" and fits(weight) and blocks_pay(weight.dtype)
    return Blocked.of(weight, bias) if by_kernel else Linear(weight, bias)


class Blocked:
    """y = x W^T + b, x in bfloat16 or float32. Read-only, like `Linear`."""

    def __init__(
        self, blocks: Tensor, in_features: int, bias: Tensor | None, *, wide: bool = False
    ) -> None:
        """blocks: (out / 16, ...), as the kernel takes them. wide: the result is float32; else it
        is in the dtype of x."""
        self.out_features, self.in_features = len(blocks) * LANES, in_features
        self.blocks, self.wide = blocks, wide
        self.bias = None if bias is None else bias.float().contiguous()

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None = None, *, wide: bool = False) -> Blocked:
        """Of a dense weight (out, in), as it is: blocks (out / 16, in, 16)."""
        blocks = weight.detach().unflatten(0, (-1, LANES)).transpose(1, 2).contiguous()
        return cls(blocks, weight.shape[1], bias, wide=wide)

    @property
    def nbytes(self) -> int:
        """What a product reads of the weight."""
        return self.blocks.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        product = torch.ops.propd.blocked_product.default
        if x.dim() == 2:
            y: Tensor = product(x, self.blocks, self.bias, self.wide)
            return y
        return self(x.reshape(-1, self.in_features)).view(*x.shape[:-1], self.out_features)
