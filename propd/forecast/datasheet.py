"""Step times out of data sheets: what a device could do at best, taken down to a usual share.

A pass of few tokens takes as long as reading the weights; one of many, as long as computing with
them. Nothing else is counted: no kernel launches, no small operations, no clock that falls. Real
devices are slower, so all of this is an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

from propd.core import CostTable
from propd.forecast.machine import Machine
from propd.forecast.settings import MOST_TOKENS

BANDWIDTH_USED = 0.8
"""Share of the memory bandwidth that reading large matrices reaches."""
FLOPS_USED = 0.5
"""Share of the arithmetic that products of few rows reach."""


@dataclass(frozen=True)
class Device:
    """Two numbers of a data sheet."""

    name: str
    gigabytes_s: float
    """Memory bandwidth."""
    teraflops: float
    """Dense 16-bit matrix products summed in 32 bits."""


@dataclass(frozen=True)
class Model:
    """A decoder with Medusa heads in 16 bits: one square block and an own LM head each."""

    name: str
    parameters: float
    hidden: int
    inner: int
    """Width of the feed-forward block."""
    vocabulary: int
    layers: int
    heads: int

    @property
    def layer_share(self) -> float:
        """One layer's share of the parameters."""
        return (4 * self.hidden**2 + 3 * self.hidden * self.inner) / self.parameters

    @property
    def head_parameters(self) -> int:
        """Of one draft head, or of an early head built like it."""
        return self.hidden**2 + self.hidden * self.vocabulary


A100 = Device("NVIDIA A100 SXM 80 GB", 2039, 312)
H100 = Device("NVIDIA H100 SXM 80 GB", 3350, 989)
RTX_4090 = Device("NVIDIA RTX 4090", 1008, 165)
T4 = Device("NVIDIA T4", 320, 65)
VICUNA_7B = Model("Vicuna 7B", 6.74e9, 4096, 11008, 32000, 32, 5)


@dataclass(frozen=True)
class Roofline:
    """Times of a model on a device."""

    device: Device
    model: Model

    def reading_ms(self, parameters: float) -> float:
        """Of parameters of two bytes."""
        return 2 * parameters / (self.device.gigabytes_s * 1e6 * BANDWIDTH_USED)

    def computing_ms(self, operations: float) -> float:
        """Of so many operations."""
        return operations / (self.device.teraflops * 1e9 * FLOPS_USED)

    @property
    def floor_ms(self) -> float:
        """Reading all weights."""
        return self.reading_ms(self.model.parameters)

    @property
    def slope_ms(self) -> float:
        """A multiplication and an addition with every parameter, for one token."""
        return self.computing_ms(2 * self.model.parameters)

    @property
    def rise(self) -> int:
        """Tokens whose products take as long as the reading."""
        return max(1, round(self.floor_ms / self.slope_ms))

    def machine(self, layer: int) -> Machine:
        """With so many layers before pruning."""
        model, before = self.model, layer * self.model.layer_share
        over = ((tokens, tokens - self.rise) for tokens in (self.rise + 1, MOST_TOKENS))
        rising = [(tokens, self.floor_ms + self.slope_ms * more) for tokens, more in over]
        line = ((1, self.floor_ms), (self.rise, self.floor_ms), *rising)
        costs = CostTable(
            draft=((1, self.reading_ms(model.heads * model.head_parameters)),),
            early=tuple((tokens, before * time) for tokens, time in line),
            prune=((1, self.reading_ms(model.head_parameters)),),
            late=tuple((tokens, (1 - before) * time) for tokens, time in line),
            # keys and values of a token of past; the scores with it and the sum over it
            past_row_ms=self.reading_ms(2 * model.layers * model.hidden),
            past_token_ms=self.computing_ms(4 * model.layers * model.hidden),
        )
        return Machine(costs, layer, model.layers)
