"""What a decoder layer computes, as functions of tensors.

The nodes of one row, which is most of what runs, take a straight way through a layer (`alone`). It
knows nothing but tensors, so it can be recorded (`propd.models.layer_recording`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from propd.models.layers import Layer
from propd.models.placement import Block

Alone = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""`LayerMath.alone` of one layer."""


@dataclass(frozen=True)
class LayerMath:
    """What all layers of a model have in common."""

    query_heads: int
    kv_heads: int
    head_size: int
    epsilon: float
    dtype: torch.dtype
    """Of what a product takes."""
    sum_dtype: torch.dtype
    """Of the sums in attention."""

    def alone(
        self,
        layer: Layer,
        hidden: Tensor,
        turns: Tensor,
        mask: Tensor,
        own_keys: Tensor,
        own_values: Tensor,
        keys: Tensor,
        values: Tensor,
    ) -> Tensor:
        """The whole layer for T nodes of one row: (T, H) -> (T, H).

        mask: as `mask` made it. own_keys, own_values: (kv heads, T, size),
        where the nodes' K and V go. keys, values: (1, kv heads, E, size), what is looked at.
        """
        queries, new_keys, new_values = self.before(layer, hidden, turns)
        own_keys.copy_(new_keys.transpose(0, 1))
        own_values.copy_(new_values.transpose(0, 1))
        mixed = self.mix(queries[None], mask, keys, values)
        return self.after(layer, hidden, mixed.flatten(0, 1))

    def before(self, layer: Layer, hidden: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What comes before attention: (T, H) -> queries (T, query heads, size), keys and values
        (T, kv heads, size); queries and keys turned by turns (T, 1, size / 2)."""
        normed = self.rms_norm(hidden, layer.attention_norm)
        turning = self.query_heads + self.kv_heads
        heads = layer.qkv(normed).view(-1, turning + self.kv_heads, self.head_size)
        turned, values = heads.split([turning, self.kv_heads], dim=1)
        if layer.query_norm is not None and layer.key_norm is not None:
            queries, keys = turned.split([self.query_heads, self.kv_heads], dim=1)
            queries = self.rms_norm(queries, layer.query_norm)
            turned = torch.cat([queries, self.rms_norm(keys, layer.key_norm)], dim=1)
        queries, keys = _rotate(turned, turns).split([self.query_heads, self.kv_heads], dim=1)
        return queries, keys, values

    def mix(self, queries: Tensor, mask: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention: (R, N, query heads, size) -> (R, N, query heads * size).

        keys, values: (R, kv heads, E, size), in the dtype of the cache.
        """
        # The queries that share a K/V head become rows of one product: on a CPU ten times faster
        # than `enable_gqa=True`, which copies K and V out to every query head.
        queries = _in_order(queries.transpose(1, 2), self.sum_dtype)
        grouped = queries.unflatten(1, (self.kv_heads, -1)).flatten(2, 3)
        keys, values = as_type(keys, self.sum_dtype), as_type(values, self.sum_dtype)
        mixed = F.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask)
        # reshape, not view: on a GPU the attention kernel may store its result transposed
        mixed = mixed.unflatten(2, (self.query_heads // self.kv_heads, -1)).flatten(1, 2)
        return _in_order(mixed.transpose(1, 2), self.dtype).flatten(2)

    def attend(
        self, queries: Tensor, block: Block, mask: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        """`mix` for the nodes of a block, row after row: (T, query heads, size) -> (T, ...)."""
        return block.to_line(self.mix(block.to_rectangle(queries), mask, keys, values))

    def mask(self, added: Tensor) -> Tensor:
        """What `mix` takes for the mask of a block, (R, 1, N, E); made once for all layers."""
        return added.to(self.sum_dtype).repeat(1, 1, self.query_heads // self.kv_heads, 1)

    def after(self, layer: Layer, hidden: Tensor, mixed: Tensor) -> Tensor:
        """What comes after attention: (T, H) and (T, query heads * size) -> (T, H)."""
        hidden = hidden + layer.output(mixed)
        gate, up = layer.gate_up(self.rms_norm(hidden, layer.mlp_norm)).chunk(2, dim=-1)
        return hidden + layer.down(F.silu(gate).mul_(up))

    def rms_norm(self, x: Tensor, weight: Tensor) -> Tensor:
        """(..., n) -> (..., n), in ``dtype``.

        transformers normalises in float32 too. Each operation is exact to the last bit or sums
        a row by itself, so the number of rows leaves no trace.
        """
        wide = as_type(x, torch.float32)
        size = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        # sqrt(n) of the mean is in the weight, see `propd.models.layers.norm_weight`
        size = size.square_().add_(self.epsilon * len(weight)).sqrt_()
        return as_type(wide.div(size).mul_(weight), self.dtype)


def _rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Rotary position embedding: x (T, heads, head size), turns (T, 1, head size / 2) complex.

    The two numbers of a pair lie side by side (`propd.models.layers`) and turn as a complex number.
    """
    pairs = torch.view_as_complex(as_type(x, turns.real.dtype).unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2)


def as_type(x: Tensor, dtype: torch.dtype) -> Tensor:
    """A conversion that is none is an operation all the same, and a layer would have a dozen."""
    return x if x.dtype is dtype else x.to(dtype)


def _in_order(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Contiguous and in this dtype, in one copy and not in two."""
    return x.to(dtype, memory_format=torch.contiguous_format)


def plain(math: LayerMath, layers: Sequence[Layer]) -> list[Alone]:
    """The straight ways through layers."""
    return [partial(math.alone, layer) for layer in layers]
