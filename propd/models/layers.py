"""The weights of decoder layers, taken out of a `transformers` model and fused.

q, k and v become one product and gate and up another: fewer, larger products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from propd.models.blocked import Blocked
from propd.models.four_bit import FourBit, groups_of
from propd.models.grouped import Grouped
from propd.models.linear import Linear
from propd.models.narrow import Narrow

Product = Linear | FourBit | Blocked | Narrow
"""y = x W^T + b: (T, in) -> (T, out)."""
Packer = Callable[[Tensor, "Tensor | None"], Product]
"""Weight (out, in) and bias -> product."""


@dataclass(frozen=True)
class Layer:
    """The weights of one decoder layer."""

    attention_norm: Tensor
    qkv: Product
    query_norm: Tensor | None
    key_norm: Tensor | None
    output: Product
    mlp_norm: Tensor
    gate_up: Product
    down: Product
    device: torch.device
    """Where its weights are, and so its K and V, and where it runs."""


def take_layer(layer: Any, head_size: int, packer: Packer) -> Layer:
    """Fuse q, k, v into one product and gate, up into another: fewer, larger products."""
    attention, mlp = layer.self_attn, layer.mlp
    queries, keys, values, output = (
        _matrix(getattr(attention, name)) for name in ("q_proj", "k_proj", "v_proj", "o_proj")
    )
    gate, up, down = (_matrix(getattr(mlp, name)) for name in ("gate_proj", "up_proj", "down_proj"))
    query_norm, key_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
    return Layer(
        attention_norm=norm_weight(layer.input_layernorm),
        qkv=_fuse(packer, _paired(queries, head_size), _paired(keys, head_size), values),
        query_norm=query_norm and _in_pairs(norm_weight(query_norm), head_size),
        key_norm=key_norm and _in_pairs(norm_weight(key_norm), head_size),
        output=packer(*output),
        mlp_norm=norm_weight(layer.post_attention_layernorm),
        gate_up=_fuse(packer, gate, up),
        down=packer(*down),
        device=layer.mlp.down_proj.weight.device,
    )


Matrix = tuple[Tensor, "Tensor | None"]
"""Weight (out, in) and bias (out,)."""


def _matrix(module: Any) -> Matrix:
    return module.weight.detach(), None if module.bias is None else module.bias.detach()


def _fuse(packer: Packer, *parts: Matrix) -> Product:
    weight, bias = torch.cat([weight for weight, _ in parts]), None
    if any(part is not None for _, part in parts):
        zeros = [weight.new_zeros(len(weight)) for weight, _ in parts]
        biases = [zero if b is None else b for (_, b), zero in zip(parts, zeros, strict=True)]
        bias = torch.cat(biases)
    return packer(weight, bias)


def four_bit_product(weight: Tensor, bias: Tensor | None) -> Product:
    """A product with the groups of 4 bits that a weight lies on."""
    return FourBit(groups_of(weight), bias)


def grouped_product(weight: Tensor, bias: Tensor | None) -> Product:
    """The same with inputs of 8 bits."""
    return Grouped(groups_of(weight), bias)


def blocked_product(weight: Tensor, bias: Tensor | None) -> Product:
    """A product with the weight as it is, by our kernel."""
    return Blocked.of(weight, bias)


def _paired(matrix: Matrix, head_size: int) -> Matrix:
    """Rows of q or k in another order in each head; their products q k stay the same."""
    weight, bias = matrix
    return _in_pairs(weight, head_size), None if bias is None else _in_pairs(bias, head_size)


def _in_pairs(x: Tensor, head_size: int) -> Tensor:
    """Numbers i and i + half of a head, which the rotary embedding turns together, side by side.

    x: (heads * head size, ...). Example, head size 4: rows 0 1 2 3 -> 0 2 1 3.
    """
    halves = x.reshape(-1, 2, head_size // 2, *x.shape[1:])
    return halves.transpose(1, 2).reshape(x.shape)


def norm_weight(module: Any) -> Tensor:
    """Weight of a norm times the root of its length, because the backbone divides by a length."""
    weight = module.weight.detach().float()
    return weight * len(weight) ** 0.5
