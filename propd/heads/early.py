"""Early heads: which of the drafted tokens can be right, as far as a few layers can tell.

Only the drafted tokens are scored; their ranks are counted among reference words, a few thousand
common tokens: on the default model 6,144, which decide as the 8,192 that the heads were trained
within do for 99% of the children (docs/lab-notebook.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from propd import kernels
from propd.host import Ids, send
from propd.models.grouped import pack_finely


class Referee:
    """Ranks candidates among reference words, by the rows of the model's LM head.

    words: (V, H) the LM head; reference: (R,) ids of the reference words, or None for all.
    """

    def __init__(self, words: Tensor, reference: Tensor | None) -> None:
        if reference is None:
            reference = torch.arange(len(words), device=words.device)
        self._words = words
        self._crowd = pack_finely(words[reference])
        self._places = torch.full((len(words),), -1, device=words.device)
        self._places[reference] = torch.arange(len(reference), device=words.device)

    def __call__(self, ready: Tensor, rows: Ids, token_ids: Ids) -> tuple[Tensor, Tensor]:
        """Ranks and probabilities (C,) of candidates; ready: (I, H), prepared for the LM head."""
        of, ids = send(rows, ready.device), send(token_ids, ready.device)
        crowd = self._crowd(ready).float()
        own = self._places[ids]
        # two products of one word round differently: a reference word must not rank behind itself
        known = crowd[of, own.clamp_min(0)]
        other = (ready[of] * self._words[ids]).sum(-1, dtype=torch.float32)
        scores = torch.where(own < 0, other, known)
        if kernels.take(crowd):
            found: tuple[Tensor, Tensor] = torch.ops.propd.ranks.default(crowd, of, scores)
            return found
        seen = crowd[of]
        ranks = (seen > scores[:, None]).sum(-1)
        chances = (scores - crowd.logsumexp(-1)[of]).exp().clamp(max=1.0)
        return ranks, chances


class EarlyLook(Protocol):
    """What looks early, apart from the draft heads: the two are trained and kept apart."""

    kind: str
    """As `HeadsShape.early_kind`."""
    layers: tuple[int, ...]
    """As `HeadsShape.prune_layers`."""
    top_k: int
    """As `HeadsShape.prune_top_k`."""

    def __call__(
        self, layer: int, hidden: Tensor, rows: Ids, token_ids: Ids
    ) -> tuple[Tensor, Tensor]:
        """As `DraftHeads.look_early`."""
        ...


class LogitLens:
    """The model's own final norm and LM head, read early: for models whose early head nobody has
    trained yet (nostalgebraist's "logit lens", 2020).

    It can look after any layer. That a quarter of the layers is recommended, an eighth and a half
    are offered too, and k is 50 is our choice, and unmeasured.
    """

    kind = "logit lens"
    top_k = 50

    def __init__(
        self, final_norm: Callable[[Tensor], Tensor], words: Tensor, layer_count: int
    ) -> None:
        """words: (V, H) the LM head."""
        self._norm, self._referee = final_norm, Referee(words, None)
        shares = (layer_count // 4, layer_count // 8, layer_count // 2)
        self.layers = tuple(dict.fromkeys(max(1, share) for share in shares))

    def __call__(
        self, layer: int, hidden: Tensor, rows: Ids, token_ids: Ids
    ) -> tuple[Tensor, Tensor]:
        """As `DraftHeads.look_early`; it is the same after every layer."""
        return self._referee(self._norm(hidden), rows, token_ids)
