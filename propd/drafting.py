"""Drafting: the heads' best guesses for every row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from propd.models.heads import RANKS, DraftHeads
from propd.planning.drafts import Drafts


def draft(heads: DraftHeads, hidden: Tensor, roots: Sequence[int]) -> list[Drafts]:
    """The best guesses of each head. hidden: (B, H) of the last kept tokens; roots: (B,) ids."""
    logits = heads.draft_logits(hidden, torch.tensor(roots, device=hidden.device)).float()
    scores, reduced = logits.topk(RANKS, dim=-1)
    chances = (scores - logits.logsumexp(-1, keepdim=True)).exp()
    tokens = heads.token_map[reduced]
    told = torch.stack([tokens.double(), reduced.double(), chances.double()]).tolist()
    return [
        Drafts(
            tuple(tuple(map(int, head)) for head in ids),
            tuple(tuple(map(int, head)) for head in places),
            tuple(map(tuple, probabilities)),
        )
        for ids, places, probabilities in zip(*told, strict=True)
    ]
