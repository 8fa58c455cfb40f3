"""Products with weights of 8 or 4 bits through bitsandbytes, which is asked for only here.

int8: a scale for each output of the weight and for each row that is multiplied, sums in whole
numbers: LLM.int8() without its split of large activations, which would let one row's numbers
change its neighbours'. A row's product has the same bits in any company. nf4: 4 bits and a scale
for every 64 numbers (QLoRA); rows are multiplied in the dtype of the model.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from propd.errors import InvalidRequest

NARROW = ("int8", "nf4")
"""Weights that bitsandbytes multiplies with."""
PACKAGE = "bitsandbytes"


def check_installed(weights: str) -> None:
    """Refuse narrow weights without the package that multiplies with them."""
    if find_spec(PACKAGE) is None:
        raise InvalidRequest(
            f"Weights {weights} are multiplied by the package {PACKAGE}, which is not installed; "
            f"run pip install {PACKAGE}, or give weights dense."
        )


class Narrow:
    """y = x W^T + b with a read-only W of 8 or 4 bits, on the device of the weight it is given."""

    def __init__(self, weight: Tensor, bias: Tensor | None, kind: str, dtype: torch.dtype) -> None:
        """weight: (out, in), which is not kept. kind: one of `NARROW`. dtype: of x."""
        self.out_features, self.in_features = weight.shape
        self.bias = None if bias is None else bias.to(dtype)
        make = {"int8": _eight_bits, "nf4": _four_bits}[kind]
        self._multiply, self.nbytes = make(weight.detach().to(dtype).contiguous())

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out), in the dtype of x."""
        y = self._multiply(x.reshape(-1, self.in_features)).to(x.dtype)
        y = y if self.bias is None else y + self.bias
        return y.view(*x.shape[:-1], self.out_features)


Made = tuple[Callable[[Tensor], Tensor], int]
"""(T, in) -> (T, out), and the bytes that it reads of the weight."""


def _eight_bits(weight: Tensor) -> Made:
    bits = _functional()
    # its kernels take and give half precision, whatever the model computes in
    codes, scales, _ = bits.int8_vectorwise_quant(weight.half())

    def multiply(x: Tensor) -> Tensor:
        rows, row_scales, _ = bits.int8_vectorwise_quant(x.half())
        sums = bits.int8_linear_matmul(rows, codes)
        y: Tensor = bits.int8_mm_dequant(sums, row_scales, scales)
        return y

    return multiply, codes.nbytes + scales.nbytes


def _four_bits(weight: Tensor) -> Made:
    import bitsandbytes

    codes, state = _functional().quantize_4bit(weight, quant_type="nf4", compress_statistics=True)

    def multiply(x: Tensor) -> Tensor:
        y: Tensor = bitsandbytes.matmul_4bit(x, codes.t(), quant_state=state)
        return y

    inner = state.state2
    return multiply, codes.nbytes + state.absmax.nbytes + (inner.absmax.nbytes if inner else 0)


def _functional() -> Any:
    import bitsandbytes.functional as functional

    return functional
