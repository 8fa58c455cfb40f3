"""Heads that know nothing: for measuring what trees cost where a model has no heads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from propd.heads.protocol import HeadsShape
from propd.host import Ids
from propd.planning.drafts import RANKS, Drafts, Guesses, HeadDrafts

DEPTHS = 4
_GUESSES = Guesses(tuple(range(RANKS)), (1 / RANKS,) * RANKS)


class BlankHeads:
    """Guess the first tokens of the vocabulary, at no cost, and never look early."""

    shape = HeadsShape(DEPTHS, (1,), 1, ((0.5, *(0.05,) * (RANKS - 1)),) * DEPTHS)

    def draft(self, hidden: Tensor, roots: Sequence[int]) -> Sequence[Drafts]:
        """As `DraftHeads`."""
        return [HeadDrafts((_GUESSES,) * DEPTHS)] * len(roots)

    def guess(self, hidden: Tensor, roots: Ids) -> tuple[Tensor, Tensor]:
        """As `AheadHeads`."""
        shape = (len(hidden), DEPTHS, RANKS)
        words = torch.arange(RANKS, device=hidden.device)
        return words.expand(shape), hidden.new_full(shape, 1 / RANKS)

    def look_early(
        self, layer: int, hidden: Tensor, rows: Ids, token_ids: Ids
    ) -> tuple[Tensor, Tensor]:
        """As `DraftHeads`: every candidate is the best."""
        return hidden.new_zeros(len(rows)), hidden.new_ones(len(rows))
