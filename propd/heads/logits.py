"""A base for heads of one's own that speak in logits over a vocabulary of their own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from propd.heads.protocol import HeadsShape, drafts_of, guesses_of
from propd.host import Ids, send
from propd.planning.drafts import Drafts


class LogitHeads:
    """Say `draft_logits` and `early_logits`, set ``shape`` and ``token_map``; the rest is here."""

    shape: HeadsShape
    token_map: Tensor
    """(R,) model token id of each logit; R at least the ten guesses of a head."""

    def draft_logits(self, hidden: Tensor, root_ids: Tensor) -> Tensor:
        """(B, H) after the final norm and (B,) -> (B, heads, R)."""
        raise NotImplementedError

    def early_logits(self, hidden: Tensor) -> Tensor:
        """Hidden states after the prune layer, (I, H) -> (I, R)."""
        raise NotImplementedError

    def draft(self, hidden: Tensor, roots: Sequence[int]) -> Sequence[Drafts]:
        """As `DraftHeads`."""
        return drafts_of(self.draft_logits(hidden, send(roots, hidden.device)), self.token_map)

    def guess(self, hidden: Tensor, roots: Tensor) -> tuple[Tensor, Tensor]:
        """As `AheadHeads`."""
        return guesses_of(self.draft_logits(hidden, roots), self.token_map)

    def look_early(
        self, layer: int, hidden: Tensor, rows: Ids, token_ids: Ids
    ) -> tuple[Tensor, Tensor]:
        """As `DraftHeads`; a token outside the vocabulary ranks last and has no chance."""
        logits = self.early_logits(hidden).float()[send(rows, hidden.device)]
        tokens = send(token_ids, hidden.device)
        same = self.token_map[None] == tokens[:, None]
        scores = logits.masked_fill(~same, -torch.inf).amax(-1)
        return (logits > scores[:, None]).sum(-1), (scores - logits.logsumexp(-1)).exp()
