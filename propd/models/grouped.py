"""Products with weights in groups of 4 or 8 bits and inputs rounded to 8 bits, by a kernel of ours.

A processor multiplies whole numbers of 8 bits four times as fast as numbers of 32, and a pass over
few tokens is all reading of weights, so both sides in few bits make both small trees and large ones
cheap. The scheme is llama.cpp's for Q4_1 and Q8_0 with Q8_1 inputs: in every group of 32 along the
inputs, w = low + scale * code and x = s * q. `propd/kernels/grouped.h` says what is summed in
which order; a row's result has the same bits in any company.

Codes lie as the instruction takes them (VPDPBUSD: 16 lanes, four products a lane). A block is what
16 outputs have in one group: first the codes, 64 bytes at a time, byte 4 o + j of output o; of
4-bit codes a byte holds input j in its low half and input j + 4 in its high one, of the next 8
inputs. Behind them 16 scales and 16 lows in half precision.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from propd import kernels
from propd.models.blocked import GROUP, LANES, Blocked, fits
from propd.models.four_bit import FourBit, Groups, four_bit_pays, groups_of
from propd.models.four_bit import fits as fits_four_bit
from propd.models.linear import Linear

MOST = 127
"""The largest code of a signed number of 8 bits here, as in Q8_0."""


def bytes_of(weight: Tensor) -> Groups:
    """The nearest groups of 8 bits: w = scale * (code - 128), exact for a weight of type Q8_0."""
    groups = weight.float().unflatten(-1, (-1, GROUP))
    scale = (groups.abs().amax(-1) / MOST).half().float()
    steps = (groups / scale[..., None].clamp_min(1e-30)).round_().clamp_(-MOST, MOST)
    return Groups((steps + 128).to(torch.uint8).flatten(-2), scale, -128 * scale)


def blocks_of(groups: Groups, bits: int) -> Tensor:
    """(out / 16, in / 32, bytes of a block) uint8, in the kernel's order; see above."""
    outputs, inputs = groups.codes.shape
    count, width = outputs // LANES, inputs // GROUP
    codes = groups.codes.view(count, LANES, width, -1, 8 // bits, 4)
    if bits == 4:
        codes = codes[..., :1, :] | codes[..., 1:, :] << 4
    codes = codes.squeeze(-2).permute(0, 2, 3, 1, 4).reshape(count, width, -1)
    numbers = (
        number.half().view(count, LANES, width).transpose(1, 2).contiguous().view(torch.uint8)
        for number in (groups.scale, groups.low)
    )
    return torch.cat([codes, *numbers], dim=-1).contiguous()


class Grouped(Blocked):
    """y = x W^T + b with a weight in groups."""

    def __init__(
        self, groups: Groups, bias: Tensor | None = None, *, bits: int = 4, wide: bool = False
    ) -> None:
        """wide: as in `Blocked`."""
        super().__init__(blocks_of(groups, bits), groups.codes.shape[1], bias, wide=wide)


Product = Callable[[Tensor], Tensor]


def pack_roughly(weight: Tensor, bias: Tensor | None = None) -> Product:
    """A product for draft heads: guesses may be rough, so any weight goes into groups of 4 bits
    where that pays. On the default model it costs a hundredth of the tokens per pass and saves
    more than half of the drafting (docs/lab-notebook.md)."""
    if weight.device.type == "cpu" and fits(weight) and kernels.ready():
        return Grouped(groups_of(weight), bias)
    if weight.device.type == "cpu" and fits_four_bit(weight) and four_bit_pays():
        return FourBit(groups_of(weight), bias)
    return Linear(weight, bias)


def pack_finely(weight: Tensor, bias: Tensor | None = None, *, wide: bool = False) -> Product:
    """A product in groups of 8 bits, where there is a kernel for it. wide: as in `Grouped`."""
    if weight.device.type == "cpu" and fits(weight) and kernels.ready():
        return Grouped(bytes_of(weight), bias, bits=8, wide=wide)
    return Linear(weight, bias)
