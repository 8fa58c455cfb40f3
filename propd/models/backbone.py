"""A segmented decoder over the weights of a `transformers` model.

`transformers` runs a model from end to end; a ProPD step stops after a few layers, drops nodes, and
goes on with the rest, over a tree and not a line. So the weights of a Llama-like model are taken
out once, fused, packed, and run here layer by layer. No modelling file is copied; that the result
equals `transformers` is shown by a parity test for every family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from propd.errors import ModelUnavailable
from propd.models.kv_cache import KVCache
from propd.models.linear import Linear
from propd.models.placement import Placement, place_nodes

PREFILL_CHUNK = 512
"""Tokens of a prompt that go through the layers together."""

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
ROPE_TYPES = ("default", "linear", "llama3", "yarn")
"""Rotary tables that do not depend on the length of the text, so that they can be made once."""


@dataclass(frozen=True)
class Layer:
    """The weights of one decoder layer."""

    attention_norm: Tensor
    qkv: Linear
    query_norm: Tensor | None
    key_norm: Tensor | None
    output: Linear
    mlp_norm: Tensor
    gate_up: Linear
    down: Linear


class Backbone:
    """embed, layers i to j, final norm and LM head of a Llama-family model. Read-only, shared."""

    def __init__(self, model: Any, *, pack: bool = True, invariant: bool = False) -> None:
        """Take the weights out of a model.

        invariant: a node's result has the same bits alone, in any tree and in any batch.
        """
        config = model.config
        _check_supported(config)
        self.layer_count: int = config.num_hidden_layers
        self.hidden_size: int = config.hidden_size
        self.vocabulary_size: int = config.vocab_size
        self.query_heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        self.head_size: int = (
            getattr(config, "head_dim", None) or self.hidden_size // self.query_heads
        )
        self.epsilon: float = config.rms_norm_eps
        self.max_positions = _max_positions(config)
        core = model.model
        self.embedding: Tensor = core.embed_tokens.weight.detach()
        self.dtype, self.device = self.embedding.dtype, self.embedding.device
        self.invariant = invariant
        self.sum_dtype = torch.float64 if invariant else self.dtype
        """Of the sums in attention; also of K and V, so that no step has to convert them."""
        self.layers = [_take_layer(layer, pack, invariant) for layer in core.layers]
        self.norm: Tensor = core.norm.weight.detach()
        self.lm_head_weight: Tensor = model.lm_head.weight.detach()
        self.lm_head = Linear(self.lm_head_weight, pack=pack, invariant=invariant)
        self._cos, self._sin = _rotary_table(core.rotary_emb, self.max_positions, self.dtype)

    def new_cache(self, batch: int, capacity: int) -> KVCache:
        """An empty cache of this model's shape."""
        size = (self.layer_count, batch, self.kv_heads, capacity, self.head_size)
        return KVCache(*size, dtype=self.sum_dtype, device=self.device)

    def embed(self, token_ids: Sequence[int]) -> Tensor:
        """T token ids -> (T, H)."""
        return F.embedding(torch.tensor(token_ids, device=self.device), self.embedding)

    def place(
        self,
        visible: Sequence[np.ndarray],
        depths: Sequence[Sequence[int]],
        pasts: Sequence[int],
        first_row: int = 0,
    ) -> Placement:
        """Placement of R trees behind their pasts; see `place_nodes`."""
        return place_nodes((self._cos, self._sin), visible, depths, pasts, first_row)

    def run_layers(
        self, hidden: Tensor, first: int, last: int, place: Placement, cache: KVCache
    ) -> Tensor:
        """Layers first to last - 1 over T nodes of R rows: (T, H) -> (T, H). Writes K and V."""
        group = self.query_heads // self.kv_heads
        mask = place.mask.repeat(1, 1, group, 1).to(self.sum_dtype)  # once for all layers
        for index in range(first, last):
            layer = self.layers[index]
            normed = self._rms_norm(hidden, layer.attention_norm)
            hidden = hidden + self._attend(layer, index, normed, place, mask, cache)
            gate, up = layer.gate_up(self._rms_norm(hidden, layer.mlp_norm)).chunk(2, dim=-1)
            hidden = hidden + layer.down(F.silu(gate).mul_(up))
        return hidden

    def read(
        self, token_ids: Sequence[int], cache: KVCache, row: int = 0, chunk: int = PREFILL_CHUNK
    ) -> Tensor:
        """Read a text into a row of the cache; (1, H) hidden state of its last token."""
        return self.read_all(token_ids, cache, row, chunk)[-1:]

    def read_all(
        self, token_ids: Sequence[int], cache: KVCache, row: int = 0, chunk: int = PREFILL_CHUNK
    ) -> Tensor:
        """As `read`; (T, H) hidden states of all its tokens."""
        parts = [torch.empty(0, self.hidden_size, dtype=self.dtype, device=self.device)]
        for start in range(0, len(token_ids), chunk):
            part = token_ids[start : start + chunk]
            causal = np.tri(len(part), dtype=bool)
            place = self.place([causal], [range(len(part))], [cache.lengths[row]], first_row=row)
            parts.append(self.run_layers(self.embed(part), 0, self.layer_count, place, cache))
            cache.commit(row, range(len(part)))
        return torch.cat(parts)

    def final_norm(self, hidden: Tensor) -> Tensor:
        """(..., H) -> (..., H)."""
        return self._rms_norm(hidden, self.norm)

    def logits(self, normed: Tensor) -> Tensor:
        """Final hidden states after `final_norm`, (..., H) -> (..., V)."""
        return self.lm_head(normed)

    def _attend(
        self,
        layer: Layer,
        index: int,
        normed: Tensor,
        place: Placement,
        mask: Tensor,
        cache: KVCache,
    ) -> Tensor:
        heads = layer.qkv(normed).view(len(normed), -1, self.head_size)
        turning = self.query_heads + self.kv_heads
        queries_keys, values = heads[:, :turning], heads[:, turning:]
        if layer.query_norm is not None and layer.key_norm is not None:
            queries, keys = queries_keys.split([self.query_heads, self.kv_heads], dim=1)
            queries = self._rms_norm(queries, layer.query_norm)
            queries_keys = torch.cat([queries, self._rms_norm(keys, layer.key_norm)], dim=1)
        turned = _rotate(queries_keys, place.cos, place.sin)
        queries, keys = turned[:, : self.query_heads], turned[:, self.query_heads :]
        keys, values = cache.write(index, keys, values, place)
        # The queries that share a K/V head become rows of one product: on a CPU ten times faster
        # than `enable_gqa=True`, which copies K and V out to every query head.
        queries = place.to_rectangle(queries).transpose(1, 2)
        rows, _, widest, size = queries.shape
        queries = _in_order(queries, self.sum_dtype).reshape(rows, self.kv_heads, -1, size)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        # reshape, not view: on a GPU the attention kernel may store its result transposed
        mixed = mixed.reshape(rows, self.query_heads, widest, size).transpose(1, 2)
        mixed = _in_order(mixed, self.dtype).reshape(rows, widest, -1)
        return layer.output(place.to_line(mixed))

    def _rms_norm(self, x: Tensor, weight: Tensor) -> Tensor:
        if x.dtype is torch.float32 and not self.invariant:
            return F.rms_norm(x, weight.shape, weight, self.epsilon)
        # transformers normalises in float32 and multiplies in the model's dtype. In float64 the
        # order of the sum, which may depend on the number of rows, leaves no trace.
        wide = x.double() if self.invariant else x.float()
        scale = wide.square().mean(-1, keepdim=True).add_(self.epsilon).rsqrt_()
        return (wide * scale).to(x.dtype).mul_(weight)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, halves convention: x (T, heads, head size).

    The table's first half of sin is negative: [low, high] turns into
    [low * cos - high * sin, high * cos + low * sin].
    """
    return x * cos + x.roll(x.shape[-1] // 2, dims=-1) * sin


def _in_order(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Contiguous and in this dtype, in one copy and not in two."""
    return x.to(dtype, memory_format=torch.contiguous_format)


def _take_layer(layer: Any, pack: bool, invariant: bool) -> Layer:
    """Fuse q, k, v into one product and gate, up into another: fewer, larger products."""
    attention, mlp = layer.self_attn, layer.mlp
    qkv = (attention.q_proj, attention.k_proj, attention.v_proj)
    gate_up = (mlp.gate_proj, mlp.up_proj)
    query_norm, key_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
    return Layer(
        attention_norm=layer.input_layernorm.weight.detach(),
        qkv=_fuse(qkv, pack, invariant),
        query_norm=None if query_norm is None else query_norm.weight.detach(),
        key_norm=None if key_norm is None else key_norm.weight.detach(),
        output=_fuse((attention.o_proj,), pack, invariant),
        mlp_norm=layer.post_attention_layernorm.weight.detach(),
        gate_up=_fuse(gate_up, pack, invariant),
        down=_fuse((mlp.down_proj,), pack, invariant),
    )


def _fuse(parts: tuple[Any, ...], pack: bool, invariant: bool) -> Linear:
    weight = torch.cat([part.weight.detach() for part in parts])
    bias = None
    if any(part.bias is not None for part in parts):
        empty = [part.weight.new_zeros(part.out_features) for part in parts]
        biases = [zero if p.bias is None else p.bias for p, zero in zip(parts, empty, strict=True)]
        bias = torch.cat(biases).detach()
    return Linear(weight, bias, pack=pack, invariant=invariant)


def _rotary_table(rotary: Any, length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """cos and signed sin for positions 0 to length - 1, from the model's own rotary module."""
    device = rotary.inv_freq.device
    probe = torch.empty(1, 1, 1, dtype=dtype, device=device)
    with torch.no_grad():
        cos, sin = rotary(probe, torch.arange(length, device=device)[None])
    half = sin.shape[-1] // 2
    sign = torch.ones_like(sin[0, 0])
    sign[:half] = -1
    return cos[0], sin[0] * sign


def _max_positions(config: Any) -> int:
    """Longest text: positions the model knows, and a sliding window it never has to slide."""
    limit: int = config.max_position_embeddings
    window = getattr(config, "sliding_window", None)
    if window and getattr(config, "use_sliding_window", True):
        return min(limit, window)
    return limit


def _check_supported(config: Any) -> None:
    family = getattr(config, "model_type", "unknown")
    if family not in FAMILIES:
        raise ModelUnavailable(
            f"The model family '{family}' is not supported; use one of {', '.join(FAMILIES)}."
        )
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if rope not in ROPE_TYPES:
        raise ModelUnavailable(
            f"The rotary type '{rope}' is not supported; use a model with "
            f"one of {', '.join(ROPE_TYPES)}."
        )
    activation = getattr(config, "hidden_act", "silu")
    if activation != "silu":
        raise ModelUnavailable(
            f"The activation '{activation}' is not supported; use a model with silu."
        )
