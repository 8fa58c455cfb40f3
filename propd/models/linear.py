"""Linear layers with weights packed once for the processor.

oneDNN multiplies faster when the weight lies in its own blocked order. PyTorch's inductor packs
weights with two private operators; they are used here, behind one class with a fallback, because
packing makes a tree of 8 nodes cost about what one token costs (docs/lab-notebook.md).

With ``invariant`` a row's result has the same bits however many rows are multiplied with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

PACKED_ROWS = 16
"""Rows the packing is tuned for; the middle of the sizes a step runs."""
PROBED_ROWS = (1, 2, 3, 8, 16, 17, 33, 64, 512)
"""Numbers of rows whose results are compared: one, a tree's, a batch's, a prompt's."""
PROBED_OUTPUTS = 4096
"""Of a larger layer only so many columns: its columns are computed in blocks that are alike."""
MOST_PADDING = 16
"""A product that is stable only from more rows on is computed row by row."""


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
    # .default: looking for the overload takes time, and a step multiplies more than 100 times
    return torch.ops.mkldnn._linear_pointwise.default(x, packed, bias, "none", [], "")


_DENSE = """graph(%x, %weight, %bias):
  %y = aten::linear(%x, %weight, %bias)
  return (%y)"""
_PACKED = """graph(%x, %weight, %bias):
  %attr : str = prim::Constant[value="none"]()
  %scalars : Scalar?[] = prim::ListConstruct()
  %algorithm : str = prim::Constant[value=""]()
  %y = mkldnn::_linear_pointwise(%x, %weight, %bias, %attr, %scalars, %algorithm)
  return (%y)"""


def use_packed(graph: torch.Graph) -> None:
    """Let a recording multiply with packed weights. TorchScript's tracer does not take the operator
    for them, so it records the one for dense weights."""
    torch._C._jit_pass_custom_pattern_based_rewrite_graph(_DENSE, _PACKED, graph)


class Linear:
    """y = x W^T + b with a read-only weight of shape (out, in), packed where that is possible.

    Not an ``nn.Module``: nothing here is trained, moved or saved.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        pack: bool = True,
        invariant: bool = False,
    ) -> None:
        self.out_features, self.in_features = weight.shape
        self.bias = bias
        self.packed = pack and packing_available(weight.dtype, weight.device)
        weight = weight.detach().contiguous()
        self.weight = _pack(weight) if self.packed else weight
        self.least_rows: int | None = 1
        """Fewer rows are filled up to this number; None: every row is multiplied alone."""
        if invariant:
            shape = (min(self.out_features, PROBED_OUTPUTS), self.in_features)
            self.least_rows = least_rows(shape, bias is not None, weight.dtype, self.packed)

    @property
    def nbytes(self) -> int:
        """What a product reads of the weight."""
        return self.out_features * self.in_features * self.weight.dtype.itemsize

    @property
    def operands(self) -> tuple[Tensor, ...]:
        """Weight, as it lies, and bias if there is one."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    @property
    def traceable(self) -> tuple[Tensor, ...]:
        """`operands` for `multiply`, which takes no packed weight: an empty one in its place."""
        if not self.packed:
            return self.operands
        empty = torch.zeros(self.out_features, self.in_features, dtype=self.weight.dtype)
        return (empty, *self.operands[1:])

    def over(self, operands: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """The product over others in the place of `traceable`; see `use_packed`."""
        return lambda x: F.linear(x, *operands)

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out); an invariant layer takes (T, in)."""
        if self.least_rows == 1:
            return self._product(x)
        if self.least_rows is None:
            return torch.cat([self._product(row) for row in x.split(1)])
        if len(x) < self.least_rows:
            filled = torch.cat([x] * -(-self.least_rows // len(x)))  # five times as fast as repeat
            return self._product(filled)[: len(x)]
        return self._product(x)

    def _product(self, x: Tensor) -> Tensor:
        if self.packed:
            return _multiply(x, self.weight, self.bias)
        return F.linear(x, self.weight, self.bias)


@cache
def least_rows(
    shape: tuple[int, int], has_bias: bool, dtype: torch.dtype, pack: bool
) -> int | None:
    """Rows from which on a row's product no longer depends on how many there are; None: not found.

    oneDNN takes the sum over ``in`` in one piece or in several, depending on the number of rows.
    The probe multiplies numbers whose sum is exactly zero, so that nothing is left of it but
    rounding: another order shows in nearly every element, and 16 rows are enough to see it.
    """
    weight, distinct = _vanishing(shape, dtype)
    bias = torch.zeros(shape[0], dtype=dtype) if has_bias else None
    layer = Linear(weight, bias, pack=pack)
    x = distinct.repeat(max(PROBED_ROWS) // len(distinct), 1)
    expected = layer(x)
    if not torch.equal(expected, expected[: len(distinct)].repeat(len(x) // len(distinct), 1)):
        return None  # it even depends on the row's place
    least = max(PROBED_ROWS)
    for rows in reversed(PROBED_ROWS):
        pieces = max(1, len(distinct) // rows) * rows
        found = torch.cat([layer(piece) for piece in x[:pieces].split(rows)])
        if not torch.equal(found, expected[:pieces]):
            break
        least = rows
    return least if least <= MOST_PADDING else None


def _vanishing(shape: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A weight (out, in) and 16 rows (16, in) whose product is zero but for rounding."""
    generator = torch.Generator().manual_seed(0)
    outputs, inputs = shape
    half = torch.randn(outputs + 16, inputs // 2, generator=generator)
    weight, x = half.split([outputs, 16])
    fill = (0, inputs % 2)
    order = torch.randperm(inputs, generator=generator)
    weight = F.pad(torch.cat([weight, -weight], dim=1), fill)[:, order]
    x = F.pad(torch.cat([x, x], dim=1), fill)[:, order]
    return weight.to(dtype), x.to(dtype)
