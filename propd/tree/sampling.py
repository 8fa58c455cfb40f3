"""How the model chooses its next token: greedily, or by an exact draw.

Sampling verifies a tree exactly, whatever was drafted or pruned: at each node draw the next token
from the model's final distribution there, and go down only if that token is a child. The drawn
tokens are those of plain sampling, so with the same seed they are the same text.
"""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from propd import kernels
from propd.core import DecodingConfig
from propd.host import read

BLOCKS = (256, 64)
"""Logits of a block in which the largest is sought; the first size that divides the vocabulary."""


class Chooser:
    """Chooses the tokens of one row; owns the row's random numbers."""

    def __init__(self, config: DecodingConfig, seed: int) -> None:
        self.config = config
        self._random = torch.Generator().manual_seed(seed)
        self._peeked = deque[float]()

    @property
    def greedy(self) -> bool:
        """Whether the largest logit is taken."""
        return self.config.temperature == 0

    def draw(self, logits: Tensor) -> int:
        """A token from the distribution that (V,) logits and the settings give.

        One random number a token, through the cumulated distribution: the same numbers give the
        same text whatever tree the logits came from.
        """
        return self.draw_from(self.law(logits))

    def law(self, logits: Tensor) -> Tensor:
        """(V,) chances that (V,) logits and the settings give."""
        return distribution(logits, self.config)

    def draw_from(self, chances: Tensor) -> int:
        """A token from (V,) chances, by the next random number."""
        return int(read(pick(chances.cumsum(-1), self.number()))[0])

    def take(self, token: int) -> int:
        """A token that was drawn with the next random number, somewhere else."""
        self.number()
        return token

    def number(self) -> float:
        """The next random number, in [0, 1)."""
        return self._peeked.popleft() if self._peeked else self._new_number()

    def peek(self, count: int) -> list[float]:
        """The next random numbers, which stay the next."""
        while len(self._peeked) < count:
            self._peeked.append(self._new_number())
        return list(self._peeked)[:count]

    def _new_number(self) -> float:
        return float(torch.rand((), generator=self._random, dtype=torch.float64))


def largest(logits: Tensor) -> Tensor:
    """(T, V) -> (T,) place of the largest of each row, the first of equals, as `argmax` has it.

    On a CPU amax looks at many numbers at once and argmax at one, so amax finds the block first:
    0.1 ms for 8 rows of 49,152 in place of 0.8. Our kernel, where there is one, is faster still.
    """
    if kernels.take(logits):
        places: Tensor = torch.ops.propd.largest_places.default(logits)
        return places
    for size in BLOCKS if logits.device.type == "cpu" else ():
        if logits.shape[-1] % size == 0:
            blocks = logits.unflatten(-1, (-1, size))
            block = blocks.amax(-1).argmax(-1)
            inside = blocks[torch.arange(len(logits)), block].argmax(-1)
            return block * size + inside
    return logits.argmax(-1)


def choose(logits: Tensor, numbers: Tensor, config: DecodingConfig) -> Tensor:
    """(T, V) logits -> (T,) tokens: what a `Chooser` takes of each, without reading it.

    numbers: (T,) the random number of each; not looked at where the largest logit is taken.
    """
    if config.temperature == 0:
        return largest(logits)
    cumulated = distribution(logits, config).cumsum(-1)
    total = cumulated[:, -1:]
    below = torch.nextafter(total, torch.zeros_like(total))
    at = (total * numbers[:, None]).minimum(below)
    return torch.searchsorted(cumulated, at, right=True).squeeze(-1)


def pick(cumulated: Tensor, number: float | Tensor) -> Tensor:
    """The token at which (V,) cumulated chances pass a number in [0, 1) of their total.

    Of many numbers at once, (n,): the token of each.
    """
    # below the total even after rounding, so that the last possible token is the last one picked
    below = torch.nextafter(cumulated[-1], cumulated.new_zeros(()))
    return torch.searchsorted(cumulated, (cumulated[-1] * number).minimum(below), right=True)


def distribution(logits: Tensor, config: DecodingConfig) -> Tensor:
    """(..., V) float64 chances after temperature, top-k, min-p and top-p, in this order.

    Temperature must not be 0. Ties at the top-k and top-p borders stay in.
    """
    wide = logits.double()
    # the largest becomes 0, so that no temperature, however small, makes two infinities of them
    scores = (wide - wide.amax(-1, keepdim=True)) / config.temperature
    if config.top_k and config.top_k < scores.shape[-1]:
        least = scores.topk(config.top_k).values[..., -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    chances = scores.softmax(-1)
    if config.min_p:
        least = config.min_p * chances.amax(-1, keepdim=True)
        chances = chances.masked_fill(chances < least, 0.0)
    if config.top_p < 1:
        least = _least_inside(chances, config.top_p)
        chances = chances.masked_fill(chances < least, 0.0)
    return chances / chances.sum(-1, keepdim=True)


def _least_inside(chances: Tensor, top_p: float) -> Tensor:
    """(..., V) -> (..., 1): the smallest chance that top-p keeps."""
    total = chances.sum(-1, keepdim=True)
    if chances.dim() == 1 and chances.device.type == "cpu":
        chances = _worth_sorting(chances, total, top_p)
    ranked = chances.sort(descending=True).values
    inside = ranked.cumsum(-1) - ranked < top_p * total
    return ranked.masked_fill(~inside, torch.inf).amin(-1, keepdim=True)


def _worth_sorting(chances: Tensor, total: Tensor, top_p: float) -> Tensor:
    """Those of (V,) chances that top-p may keep: to sort all takes longer than a whole step.

    V tokens under (1 - p) / V of the total cannot hold 1 - p of it together, so none of them is
    kept. Not for a GPU: how many are left would have to be read.
    """
    # half of it, so that rounding cannot matter
    return chances[chances > total * (0.5 * (1 - top_p) / len(chances))]
