"""A segmented decoder over the weights of a `transformers` model.

`transformers` runs a model from end to end; a ProPD step stops after a few layers, drops nodes, and
goes on with the rest, over a tree and not a line. So the weights of a Llama-like model are taken
out once, fused, packed, and run here layer by layer. No modelling file is copied; that the result
equals `transformers` is shown by a parity test for every family.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from propd import kernels
from propd.errors import ModelUnavailable
from propd.host import Ids, send
from propd.models.blocked import Blocked, fits
from propd.models.device_map import DeviceMap, one_device
from propd.models.four_bit import reading_dtype, scoring_dtype
from propd.models.grouped import Grouped, bytes_of
from propd.models.kernel_layers import KernelLayers, kernel_pays
from propd.models.kv_cache import KVCache, Window
from propd.models.layer_math import LayerMath, plain
from propd.models.layer_recording import recorded
from propd.models.layers import (
    Layer,
    Product,
    blocked_product,
    four_bit_product,
    grouped_product,
    norm_weight,
    take_layer,
)
from propd.models.linear import Linear
from propd.models.narrow import NARROW, Narrow
from propd.models.placement import Placement, place_forest, place_nodes
from propd.models.shape import Shape
from propd.models.spread import SpreadCache, moved
from propd.tree.forest import Forest

PREFILL_CHUNK = 512
"""Tokens of a prompt that go through the layers together."""

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
ROPE_TYPES = ("default", "linear", "llama3", "yarn")
"""Rotary tables that do not depend on the length of the text, so that they can be made once."""


class Backbone:
    """embed, layers i to j, final norm and LM head of a Llama-family model. Read-only, shared."""

    def __init__(
        self,
        model: Any,
        *,
        dtype: torch.dtype | None = None,
        pack: bool = True,
        invariant: bool = False,
        weights: str = "dense",
        device_map: DeviceMap | None = None,
    ) -> None:
        """Take the weights out of a model.

        dtype: to compute in; None is the model's. invariant: a node's result has the same bits
        alone, in any tree and in any batch. weights: as in `propd.models.loading.WEIGHTS`; with
        int4 a prompt, which is many rows at once, is read with dense ones. device_map: where the
        layers are, if not all in one place; hidden states begin and end on its home.
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
        self.dtype: torch.dtype = dtype or core.embed_tokens.weight.dtype
        self.device: torch.device = core.embed_tokens.weight.device
        self.embedding: Tensor = core.embed_tokens.weight.detach().to(self.dtype)
        self.device_map = device_map or one_device(self.device, self.layer_count)
        int4, w4a8 = weights == "int4", weights == "w4a8"
        blocked = self._takes_blocks(config, weights) and invariant and pack
        by_kernel = w4a8 or blocked
        self.invariant = invariant
        self.hidden_dtype = torch.float32 if invariant else self.dtype
        """Of the hidden states between the layers; what a product takes is in ``dtype``."""
        wide = torch.float64 if invariant else self.dtype
        self.sum_dtype = torch.float32 if by_kernel else wide
        """Of the sums in attention; the kernel's are invariant in float32."""
        self.cache_dtype = torch.float16 if w4a8 else self.sum_dtype
        """Of K and V: that of the sums, so that no step has to convert them; in half precision
        beside weights in groups, which are rounded more than that anyway."""

        reads_in = reading_dtype() if int4 else self.dtype

        def dense(weight: Tensor, bias: Tensor | None) -> Product:
            bias = bias if bias is None else bias.to(reads_in)
            return Linear(weight.to(reads_in), bias, pack=pack, invariant=invariant)

        def narrowed(weight: Tensor, bias: Tensor | None) -> Product:
            return Narrow(weight, bias, weights, self.dtype)

        ours = grouped_product if w4a8 else blocked_product
        packer = ours if by_kernel else narrowed if weights in NARROW else dense
        self.reading = [take_layer(layer, self.head_size, packer) for layer in core.layers]
        """The layers as a prompt runs through them."""
        self.layers = self.reading
        """The layers as a step runs through them."""
        if int4:
            self.layers = [
                take_layer(layer, self.head_size, four_bit_product) for layer in core.layers
            ]
        self._turns = _turns(core.rotary_emb, self.max_positions, self.sum_dtype)
        self._math = LayerMath(
            self.query_heads, self.kv_heads, self.head_size, self.epsilon, self.dtype,
            self.sum_dtype,
        )  # fmt: skip
        # every method reads a prompt alike, so its sums need not be those of a step
        sums_in = torch.float32 if int4 else self.sum_dtype
        self._reading_math = replace(self._math, dtype=reads_in, sum_dtype=sums_in)
        self._by_kernel: KernelLayers | None = None
        if by_kernel:
            self._by_kernel = KernelLayers(self.layers, self.query_heads, self.epsilon)
        self._reading_alone = self._stepping_alone = plain(self._reading_math, self.reading)
        """The straight ways through them, for one row."""
        if not by_kernel and {device.type for device in self.device_map.layers} == {"cpu"}:
            self._stepping_alone = recorded(self._math, self.layers, self._sample())
        self.norm = norm_weight(core.norm)
        head = model.lm_head.weight.detach().to(self.dtype)
        # tied to the embedding in many models: then there is one copy of it
        tied = model.lm_head.weight is core.embed_tokens.weight
        self.lm_head_weight: Tensor = self.embedding if tied else head
        self._scores_in = scoring_dtype() if int4 else self.dtype
        finest = model.lm_head.weight.detach()
        self.lm_head: Product
        if w4a8 and fits(finest):
            self.lm_head = Grouped(bytes_of(finest), bits=8, wide=True)
        elif blocked and fits(finest):
            self.lm_head = Blocked.of(self.lm_head_weight, wide=True)
        else:
            same = self._scores_in is self.dtype
            weight = self.lm_head_weight if same else finest.to(self._scores_in)
            self.lm_head = Linear(weight, pack=pack, invariant=invariant)

    def _takes_blocks(self, config: Any, weights: str) -> bool:
        """Whether our kernel multiplies the dense weights as they are."""
        if weights != "dense" or self.device.type != "cpu" or len(self.device_map.spans) > 1:
            return False
        return kernel_pays(Shape.of(config.to_dict()), self.dtype)

    def _sample(self) -> list[Tensor]:
        """What the straight way through a layer takes, for one token."""
        cache = self.new_cache(1, 1)
        place = self.place([np.ones((1, 1), dtype=bool)], [[0]], [0])
        (window,) = cache.windows(range(1), place)
        mask = self._math.mask(place.blocks[0].mask)
        return [self.embed([0]), place.turns, mask, *window.own, *window.seen[0]]

    @property
    def pass_bytes(self) -> int:
        """What a pass over any number of tokens reads of the weights."""
        products = (
            product.nbytes
            for layer in self.layers
            for product in (layer.qkv, layer.output, layer.gate_up, layer.down)
        )
        return sum(products) + self.lm_head.nbytes

    def new_cache(self, batch: int, capacity: int) -> KVCache:
        """An empty cache of this model's shape."""
        shape = (batch, self.kv_heads, capacity, self.head_size, self.cache_dtype)
        counts = [count for _, count in self.device_map.spans]
        parts = [KVCache(count, *shape, device) for device, count in self.device_map.spans]
        return parts[0] if len(parts) == 1 else SpreadCache(parts, counts)

    def embed(self, token_ids: Ids) -> Tensor:
        """T token ids -> (T, H)."""
        found = F.embedding(send(token_ids, self.device), self.embedding)
        return found.to(self.hidden_dtype)

    def place(
        self,
        visible: Sequence[np.ndarray],
        depths: Sequence[Sequence[int]],
        pasts: Sequence[int],
        first_row: int = 0,
    ) -> Placement:
        """Placement of R trees behind their pasts; see `place_nodes`."""
        return place_nodes(self._turns, visible, depths, pasts, first_row)

    def place_forest(self, forest: Forest, end: int) -> Placement:
        """Placement of the trees of a forest; see `propd.models.placement.place_forest`."""
        return place_forest(self._turns, forest, end)

    def run_layers(
        self,
        hidden: Tensor,
        first: int,
        last: int,
        place: Placement,
        cache: KVCache,
        *,
        reading: bool = False,
    ) -> Tensor:
        """Layers first to last - 1 over T nodes of R rows: (T, H) -> (T, H). Writes K and V.

        reading: the nodes are those of a prompt.
        """
        if self._by_kernel is not None:
            return self._by_kernel(hidden, first, last, place, cache)
        layers = self.reading if reading else self.layers
        alone = self._reading_alone if reading else self._stepping_alone
        math = self._reading_math if reading else self._math
        masks = [math.mask(block.mask) for block in place.blocks]  # once for all layers
        windows = cache.windows(range(first, last), place)
        for number, window in zip(range(first, last), windows, strict=True):
            layer = layers[number]
            if layer.device != hidden.device:  # only the first layer of a device
                hidden, masks = hidden.to(layer.device), [m.to(layer.device) for m in masks]
                place = moved(place, layer.device)
            if window.side_by_side:
                (mask,), (seen,) = masks, window.seen
                hidden = alone[number](hidden, place.turns, mask, *window.own, *seen)
            else:
                hidden = self._run_together(layer, hidden, place, masks, window)
        return hidden.to(self.device)

    def _run_together(
        self,
        layer: Layer,
        hidden: Tensor,
        place: Placement,
        masks: Sequence[Tensor],
        window: Window,
    ) -> Tensor:
        """One layer over the nodes of several rows, which attend block by block."""
        queries, keys, values = self._math.before(layer, hidden, place.turns)
        window.write(keys, values, place)
        mixed = [
            self._math.attend(queries[block.nodes], block, mask, *seen)
            for block, mask, seen in zip(place.blocks, masks, window.seen, strict=True)
        ]
        together = mixed[0] if len(mixed) == 1 else torch.cat(mixed)
        return self._math.after(layer, hidden, together)

    def read(
        self, token_ids: Sequence[int], cache: KVCache, row: int = 0, *, as_prompt: bool = True
    ) -> Tensor:
        """Read a text into a row of the cache; (1, H) hidden state of its last token.

        as_prompt: as prompts are read, which with weights of 4 bits is not as steps compute.
        """
        return self.read_all(token_ids, cache, row, as_prompt=as_prompt)[-1:]

    def read_all(
        self,
        token_ids: Sequence[int],
        cache: KVCache,
        row: int = 0,
        chunk: int = PREFILL_CHUNK,
        *,
        as_prompt: bool = True,
    ) -> Tensor:
        """As `read`, in pieces of ``chunk`` tokens; (T, H) hidden states of all its tokens."""
        parts = [torch.empty(0, self.hidden_size, dtype=self.hidden_dtype, device=self.device)]
        for start in range(0, len(token_ids), chunk):
            part = token_ids[start : start + chunk]
            causal = np.tri(len(part), dtype=bool)
            place = self.place([causal], [range(len(part))], [cache.lengths[row]], first_row=row)
            hidden = self.embed(part)
            run, layers = self.run_layers, self.layer_count
            parts.append(run(hidden, 0, layers, place, cache, reading=as_prompt))
            cache.commit(row, range(len(part)))
        return torch.cat(parts)

    def at_work(self) -> AbstractContextManager[None]:
        """Around passes: what is heavy in them has the processor for itself."""
        return nullcontext() if self._by_kernel is None else kernels.alone()

    def final_norm(self, hidden: Tensor) -> Tensor:
        """(..., H) -> (..., H)."""
        return self._math.rms_norm(hidden, self.norm)

    def logits(self, normed: Tensor) -> Tensor:
        """Final hidden states after `final_norm`, (..., H) -> (..., V)."""
        return self.lm_head(normed.to(self._scores_in))


def _turns(rotary: Any, length: int, dtype: torch.dtype) -> Tensor:
    """(length, head size / 2) complex: the turn of each pair, from the model's rotary module."""
    device = rotary.inv_freq.device
    wide = torch.float64 if dtype is torch.float64 else torch.float32
    probe = torch.empty(1, 1, 1, dtype=wide, device=device)
    with torch.no_grad():
        cos, sin = rotary(probe, torch.arange(length, device=device)[None])
    half = sin.shape[-1] // 2  # the other half says the same
    return torch.complex(cos[0, :, :half], sin[0, :, :half])


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
