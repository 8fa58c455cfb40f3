"""One row's way through a layer, recorded once and replayed without Python.

Python's calls take a tenth of a step with weights of 4 bits (docs/lab-notebook.md). TorchScript's
tracer records `LayerMath.alone` on one layer, with its weights as further inputs, so that all
layers replay the same recording. The replay runs the same operators on the same numbers: the same
bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from propd.models.four_bit import FourBit
from propd.models.layer_math import Alone, LayerMath, plain
from propd.models.layers import Layer
from propd.models.linear import Linear, use_packed

PRODUCTS = ("qkv", "output", "gate_up", "down")
NORMS = ("attention_norm", "mlp_norm", "query_norm", "key_norm")


def recorded(math: LayerMath, layers: Sequence[Layer], samples: Sequence[Tensor]) -> list[Alone]:
    """The straight ways through layers, recorded; as they are where that cannot be: where products
    depend on the number of rows, or this PyTorch does not record them.

    samples: what `Alone` takes, for any T nodes.
    """
    if not all(_recordable(product) for layer in layers for product in _products(layer)):
        return plain(math, layers)
    try:
        made = _record(math, layers[0], samples)
        ways = [_with(made, _weights(layer)) for layer in layers]
        for way in ways[:1] * 2:  # the first two replays take some milliseconds longer
            way(*samples)
    except (AttributeError, RuntimeError):
        return plain(math, layers)
    return ways


def _recordable(product: Any) -> bool:
    if isinstance(product, Linear):
        return product.least_rows == 1
    return isinstance(product, FourBit)


def _products(layer: Layer) -> list[Linear | FourBit]:
    return [getattr(layer, name) for name in PRODUCTS]


def _norms(layer: Layer) -> dict[str, Tensor]:
    """Those that this family has."""
    found = {name: getattr(layer, name) for name in NORMS}
    return {name: norm for name, norm in found.items() if norm is not None}


def _weights(layer: Layer) -> list[Tensor]:
    operands = [tensor for product in _products(layer) for tensor in product.operands]
    return [*operands, *_norms(layer).values()]


def _with(made: Alone, weights: Sequence[Tensor]) -> Alone:
    def way(*tensors: Tensor) -> Tensor:
        return made(*tensors, *weights)

    return way


def _record(math: LayerMath, layer: Layer, samples: Sequence[Tensor]) -> Alone:
    """A recording that takes what `Alone` takes, and then the weights of a layer."""
    products = _products(layer)
    traceable = [tensor for product in products for tensor in product.traceable]

    def with_weights(*tensors: Tensor) -> Tensor:
        left = list(tensors[len(samples) :])
        taken: dict[str, Any] = {}  # of what stands in a layer
        for name, product in zip(PRODUCTS, products, strict=True):
            own, left = left[: len(product.operands)], left[len(product.operands) :]
            taken[name] = product.over(own)
        taken |= zip(_norms(layer), left, strict=True)
        return math.alone(replace(layer, **taken), *tensors[: len(samples)])

    with warnings.catch_warnings():
        # that TorchScript is old, and that the length of a weight is taken for a constant
        warnings.simplefilter("ignore")
        inputs = (*samples, *traceable, *_norms(layer).values())
        made = torch.jit.trace(with_weights, inputs, check_trace=False)
    if any(isinstance(product, Linear) and product.packed for product in products):
        use_packed(made.graph)
    return cast("Alone", made)
