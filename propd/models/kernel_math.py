"""What a decoder layer computes where our kernel multiplies: three operators of ours.

Everything between the products (norms, rounding to 8 bits, turning, attention, the gate) is part of
them, in float32. Each of a row's numbers is computed by the same operations in the same order in
any tree and batch, so it has the same bits; attention leaves out what is masked and sums over the
rest slot by slot, so it needs no float64 for that (`propd/kernels/attention.h`). Beside weights in
groups K and V are kept in half precision.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from propd.models.blocked import GROUP, LANES, Blocked, blocks_pay
from propd.models.layer_math import LayerMath
from propd.models.layers import Layer
from propd.models.placement import Block
from propd.models.shape import Shape

HEAD_SIZES = (16, 32, 64, 80, 96, 128)
"""Sizes of a head that attention is written for."""


def fits_kernel(shape: Shape) -> bool:
    """Whether the operators take the layers of such a model."""
    products = all(out % LANES == 0 and into % GROUP == 0 for out, into in shape.matrices)
    return products and shape.head_size in HEAD_SIZES


def kernel_pays(shape: Shape, dtype: torch.dtype) -> bool:
    """Whether dense weights of this dtype run through them, on a CPU and unless told otherwise."""
    return fits_kernel(shape) and blocks_pay(dtype)


class KernelMath(LayerMath):
    """`LayerMath` for layers whose products are all `Blocked`."""

    def before(self, layer: Layer, hidden: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `LayerMath.before`."""
        qkv = cast("Blocked", layer.qkv)
        made: tuple[Tensor, Tensor, Tensor] = torch.ops.propd.before_attention.default(
            hidden, layer.attention_norm, self.epsilon, qkv.blocks, qkv.bias, layer.query_norm,
            layer.key_norm, turns, self.query_heads, self.kv_heads,
        )  # fmt: skip
        return made

    def mask(self, added: Tensor) -> Tensor:
        """As it is: no head is repeated."""
        return added

    def mix(self, queries: Tensor, mask: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """As `LayerMath.mix`."""
        line = queries.flatten(0, 1)
        mixed: Tensor = torch.ops.propd.attention.default(line, mask, keys, values, None, None)
        return mixed.view(*queries.shape[:2], -1)

    def attend(
        self, queries: Tensor, block: Block, mask: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        """As `LayerMath.attend`, without a rectangle: no row pays for another's nodes or past."""
        mixed: Tensor = torch.ops.propd.attention.default(
            queries, mask, keys, values, block.counts, block.ends
        )
        return mixed

    def after(self, layer: Layer, hidden: Tensor, mixed: Tensor) -> Tensor:
        """As `LayerMath.after`."""
        products: list[Any] = []
        for product in (layer.output, layer.gate_up, layer.down):
            products += (cast("Blocked", product).blocks, cast("Blocked", product).bias)
        output, output_bias, gate_up, gate_up_bias, down, down_bias = products
        made: Tensor = torch.ops.propd.after_attention.default(
            hidden, mixed, output, output_bias, layer.mlp_norm, self.epsilon, gate_up, gate_up_bias,
            down, down_bias,
        )  # fmt: skip
        return made
