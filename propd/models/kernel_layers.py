"""Decoder layers by our kernel: one operator runs any number of them.

Everything but the embedding is part of it: norms, rounding to 8 bits, products, turning, K and V,
attention, the gate, all in float32. Each of a row's numbers is computed by the same operations in
the same order in any tree and batch, so it has the same bits; attention leaves out what is masked
and sums over the rest slot by slot, so it needs no float64 for that (`propd/kernels/attention.h`).
Beside weights in groups K and V are kept in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from propd.models.blocked import GROUP, LANES, Blocked, blocks_pay
from propd.models.kv_cache import KVCache
from propd.models.layers import Layer
from propd.models.placement import Placement
from propd.models.shape import Shape

HEAD_SIZES = (16, 32, 64, 80, 96, 128)
"""Sizes of a head that attention is written for."""


def fits_kernel(shape: Shape) -> bool:
    """Whether the operator takes the layers of such a model."""
    products = all(out % LANES == 0 and into % GROUP == 0 for out, into in shape.matrices)
    return products and shape.head_size in HEAD_SIZES


def kernel_pays(shape: Shape, dtype: torch.dtype) -> bool:
    """Whether dense weights of this dtype run through it, on a CPU and unless told otherwise."""
    return fits_kernel(shape) and blocks_pay(dtype)


class KernelLayers:
    """The layers of a model, whose products are all `Blocked`."""

    def __init__(self, layers: Sequence[Layer], query_heads: int, epsilon: float) -> None:
        self._parts = [_parts(layer) for layer in layers]
        self._query_heads, self._epsilon = query_heads, epsilon

    def __call__(
        self, hidden: Tensor, first: int, last: int, place: Placement, cache: KVCache
    ) -> Tensor:
        """Layers first to last - 1 over T nodes of R rows: (T, H) -> (T, H). Writes K and V."""
        here, blocks = slice(first, last), place.blocks
        if first == last:
            return hidden
        cache.enter(here, place)
        done: Tensor = torch.ops.propd.run_layers.default(
            hidden, place.turns, place.cache_rows, place.cache_slots, cache.keys[here],
            cache.values[here], [block.mask for block in blocks],
            [block.counts for block in blocks], [block.ends for block in blocks],
            [block.rows.start for block in blocks],
            [part for parts in self._parts[here] for part in parts], self._epsilon,
            self._query_heads,
        )  # fmt: skip
        return done


def _parts(layer: Layer) -> tuple[Tensor | None, ...]:
    """In the order of `LayerPart` in `propd/kernels/layers.h`."""
    qkv, output, gate_up, down = (
        cast("Blocked", product) for product in (layer.qkv, layer.output, layer.gate_up, layer.down)
    )
    return (
        layer.attention_norm, qkv.blocks, qkv.bias, layer.query_norm, layer.key_norm,
        output.blocks, output.bias,
        layer.mlp_norm, gate_up.blocks, gate_up.bias, down.blocks, down.bias,
    )  # fmt: skip
