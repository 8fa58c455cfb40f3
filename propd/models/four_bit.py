"""Products with weights in groups of 4 bits.

A GGUF file of type Q4_1 holds a weight as a code of 0 to 15 and, for each 32 of a row, a scale and
a smallest value: w = low + scale * code. What was made of such a file lies on that grid, so its
codes can be found again in the dense weights, exactly. Then a product need not read two or four
bytes a weight but half a byte, and a pass over few tokens is all reading.

The operator is PyTorch's own (``_weight_int4pack_mm_for_cpu``). It takes bfloat16, sums in float32,
and rounds scales and lows to bfloat16, which loses as much as rounding the weights to it. Where
weights do not lie on the grid, the nearest points of it are taken, and that is a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from propd.errors import InvalidRequest

GROUP = 32
ROWS = 16
"""The operator takes multiples of it as outputs."""
TOP = 15  # the largest code
EXACT = 1e-6
"""Largest error, relative to the group's largest weight, of a weight that lies on the grid."""
PROBED = (960, 576)
"""Shape of the weight that the operator is tried with."""
PROBED_ROWS = (1, 2, 3, 4, 5, 8, 16, 17, 33, 64)


@dataclass(frozen=True)
class Groups:
    """A weight (out, in) in groups of 32 along ``in``."""

    codes: Tensor
    """(out, in) uint8, 0 to 15."""
    scale: Tensor
    """(out, in / 32) float32."""
    low: Tensor
    """(out, in / 32) float32."""

    def dense(self) -> Tensor:
        """(out, in) float32."""
        codes = self.codes.unflatten(-1, (-1, GROUP)).float()
        return (codes * self.scale[..., None] + self.low[..., None]).flatten(-2)

    def error(self, weight: Tensor) -> float:
        """Largest distance of a weight from the grid, relative to its group's largest weight."""
        wide = weight.float()
        size = wide.unflatten(-1, (-1, GROUP)).abs().amax(-1, keepdim=True).clamp_min(1e-30)
        distance = (self.dense() - wide).unflatten(-1, (-1, GROUP)).abs()
        return float((distance / size).max().detach())


def groups_of(weight: Tensor) -> Groups:
    """The nearest groups of a weight (out, in): exact where it came from such groups.

    The largest and the smallest weight of a group have the codes 15 and 0, and scales and lows are
    half-precision numbers, as in the file.
    """
    groups = weight.float().unflatten(-1, (-1, GROUP))
    low, high = groups.aminmax(dim=-1)
    scale = ((high - low) / TOP).half().float()
    low = low.half().float()
    steps = (groups - low[..., None]) / scale[..., None].clamp_min(1e-30)
    codes = steps.round_().clamp_(0, TOP).to(torch.uint8).flatten(-2)
    return Groups(codes, scale, low)


def fits(weight: Tensor) -> bool:
    """Whether the operator takes a weight of this shape (out, in)."""
    return len(weight) % ROWS == 0 and weight.shape[1] % GROUP == 0


class FourBit:
    """y = x W^T + b in bfloat16 with W in groups of 4 bits. A row's bits do not depend on others.

    Like `Linear` it is read-only.
    """

    def __init__(self, groups: Groups, bias: Tensor | None = None) -> None:
        self.out_features, self.in_features = groups.codes.shape
        self.bias = None if bias is None else bias.bfloat16()
        pack = torch.ops.aten._convert_weight_to_int4pack_for_cpu
        self._codes = pack(groups.codes.int().contiguous(), 1)
        # the operator counts codes from -8
        middle = groups.low + (TOP + 1) // 2 * groups.scale
        pair = torch.stack([groups.scale.t(), middle.t()], dim=-1)
        self._scale_and_middle = pair.contiguous().bfloat16()

    @property
    def nbytes(self) -> int:
        """What a product reads of the weight."""
        return self._codes.nbytes + self._scale_and_middle.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out), in the dtype of x."""
        if x.dim() != 2:  # what goes through layers is (T, in): 120 times a step
            return self(x.reshape(-1, self.in_features)).view(*x.shape[:-1], self.out_features)
        return self.multiply(x, self._codes, self._scale_and_middle, self.bias)

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """What `multiply` takes beside x."""
        packed = (self._codes, self._scale_and_middle)
        return packed if self.bias is None else (*packed, self.bias)

    traceable = operands
    """The same, where TorchScript's tracer looks."""

    def over(self, operands: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """The product over other operands."""
        return lambda x: self.multiply(x, *operands)

    @staticmethod
    def multiply(
        x: Tensor, codes: Tensor, scale_and_middle: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        """The product as a function of x, (T, in), and `operands`."""
        product = torch._weight_int4pack_mm_for_cpu
        narrow = x if x.dtype is torch.bfloat16 else x.bfloat16()
        y: Tensor = product(narrow, codes, GROUP, scale_and_middle)
        y = y if bias is None else y.add_(bias)
        return y if x.dtype is torch.bfloat16 else y.to(x.dtype)


def reading_dtype() -> torch.dtype:
    """In what a prompt is read where steps multiply with 4 bits: many rows at once are all
    computing, and without a matrix unit bfloat16 takes twice as long as float32
    (docs/lab-notebook.md)."""
    has_matrix_unit = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return torch.bfloat16 if has_matrix_unit() else torch.float32


def scoring_dtype() -> torch.dtype:
    """In what the LM head multiplies where the layers' weights have 4 bits: without instructions
    for bfloat16 a tree of 8 nodes takes twice as long in it as in float32, though that is twice as
    much to read (docs/lab-notebook.md)."""
    has_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    return torch.bfloat16 if has_bfloat16() else torch.float32


def lies_on_grid(model: Any) -> bool:
    """Whether every matrix in the layers of a `transformers` model came from such groups."""
    return all(
        fits(weight) and groups_of(weight).error(weight) <= EXACT for weight in _matrices(model)
    )


def check_fits(model: Any) -> None:
    """Refuse a model with a matrix of a shape that the operator does not take."""
    for weight in _matrices(model):
        if not fits(weight):
            raise InvalidRequest(
                f"Weights of 4 bits need multiples of {GROUP} inputs and {ROWS} outputs and a "
                f"matrix here has {weight.shape[1]} and {len(weight)}; give weights dense."
            )


def _matrices(model: Any) -> Iterator[Tensor]:
    for layer in model.model.layers:
        for module in (*layer.self_attn.children(), *layer.mlp.children()):
            weight = getattr(module, "weight", None)
            if weight is not None and weight.dim() == 2:
                yield weight


@cache
def four_bit_available() -> bool:
    """Whether the operator is here and gives a row the same bits in any company."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(max(PROBED_ROWS), PROBED[1], generator=generator).bfloat16()
    try:
        product = FourBit(groups_of(torch.randn(PROBED, generator=generator)))
        together = product(x)
    except (AttributeError, RuntimeError):  # not in this build of PyTorch
        return False
    parts = (torch.cat([product(part) for part in x.split(rows)]) for rows in PROBED_ROWS)
    return all(torch.equal(part, together) for part in parts)


def four_bit_pays() -> bool:
    """Whether it beats packed weights for a few rows: with the vector instructions it was written
    for (docs/lab-notebook.md). Without any it works and is a hundred times slower."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and four_bit_available()
