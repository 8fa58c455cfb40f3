"""What the engine needs of heads, whoever trained them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard

import torch
from torch import Tensor

from propd import kernels
from propd.errors import ModelUnavailable
from propd.host import read
from propd.models.backbone import Backbone
from propd.planning.drafts import RANKS, Drafts, Guesses, HeadDrafts
from propd.planning.phrases import Phrases


@dataclass(frozen=True)
class HeadsShape:
    """All that the engine must know of heads before they run."""

    draft_heads: int
    """How many depths they guess for."""
    prune_layers: tuple[int, ...]
    """The early heads read the hidden states after so many layers; the recommended one first."""
    prune_top_k: int
    """k of the pruning rule ``topk``, unless a request gives its own."""
    acceptance_table: tuple[tuple[float, ...], ...]
    """Chance that head d's guess of rank k is right, `RANKS` a head; a guess will do."""
    early_kind: str = "trained"
    """What looks early: ``trained``, or ``logit lens`` where the model's own LM head does."""
    draft_kind: str = "own"
    """Whose draft heads: ``rooted`` are this project's, ``dependent`` too, ``medusa`` Medusa's,
    ``own`` yours."""
    phrases: Phrases | None = None
    """What usually follows a few tokens, by which lists of heads are weighed anew; None: they stay
    as they are."""

    @property
    def prune_layer(self) -> int:
        """The recommended layer."""
        return self.prune_layers[0]


class DraftHeads(Protocol):
    """Draft heads and early head. Bring your own: the text stays right whatever they say."""

    @property
    def shape(self) -> HeadsShape:
        """What the engine must know of them; a plain attribute will do."""
        ...

    def draft(self, hidden: Tensor, roots: Sequence[int]) -> Sequence[Drafts]:
        """The best guesses for each of B rows, `RANKS` a list.

        hidden: (B, H) of the last kept tokens, after the final norm; roots: (B,) ids of the tokens
        that follow them.
        """
        ...

    def look_early(
        self, layer: int, hidden: Tensor, rows: Sequence[int], token_ids: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Rank and probability of C candidate tokens, as the early head of a layer sees them.

        hidden: (I, H) after the layer; candidate c may follow ``hidden[rows[c]]``. Returns (C,)
        ranks, 0 is best, and (C,) probabilities.
        """
        ...


class AheadHeads(DraftHeads, Protocol):
    """Heads that can guess before the host knows for which token (`propd.one_read`).

    Their `look_early` takes its rows and token ids as tensors on the device, too.
    """

    def guess(self, hidden: Tensor, roots: Tensor) -> tuple[Tensor, Tensor]:
        """As `draft`, with (B,) roots on the device, and nothing read: see `guesses_of`."""
        ...


def can_guess_ahead(heads: DraftHeads) -> TypeGuard[AheadHeads]:
    """Whether they can. Dependent heads cannot: what they guess depends on the tree."""
    return hasattr(heads, "guess") and heads.shape.draft_kind != "dependent"


def drafts_of(logits: Tensor, token_map: Tensor | None = None) -> list[HeadDrafts]:
    """The best guesses of B rows from the logits of independent heads, (B, heads, V).

    token_map: (V,) model token id of each logit; None: they are the model's own.
    """
    return told_drafts(*read(*guesses_of(logits, token_map)))


def guesses_of(logits: Tensor, token_map: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The same while it is on the device: (B, heads, `RANKS`) token ids, and their chances."""
    rows = logits.float().flatten(0, 1)
    if kernels.take(rows):
        places, chances = torch.ops.propd.best.default(rows, RANKS)
    else:
        scores, places = rows.topk(RANKS, dim=-1)
        chances = (scores - rows.logsumexp(-1, keepdim=True)).exp()
    places, chances = (found.view(*logits.shape[:2], RANKS) for found in (places, chances))
    return places if token_map is None else token_map[places], chances


def told_drafts(
    tokens: Sequence[Sequence[Sequence[int]]], chances: Sequence[Sequence[Sequence[float]]]
) -> list[HeadDrafts]:
    """What `guesses_of` found, read: the drafts of B rows."""
    return [
        HeadDrafts(tuple(Guesses(tuple(i), tuple(p)) for i, p in zip(ids, row, strict=True)))
        for ids, row in zip(tokens, chances, strict=True)
    ]


def check_fit(name: str, shape: HeadsShape, backbone: Backbone) -> None:
    """Refuse heads that would fail inside the loop. name: what the sentence calls them."""
    table = shape.acceptance_table
    checks = [
        ("number of draft heads", shape.draft_heads, 1, 64),
        *(("layer of the early head", n, 1, backbone.layer_count - 1) for n in shape.prune_layers),
        ("number of layers with an early head", len(shape.prune_layers), 1, backbone.layer_count),
        ("number of heads in the table", len(table), shape.draft_heads, shape.draft_heads),
        *(("number of ranks in the table", len(row), RANKS, RANKS) for row in table),
    ]
    check_ranges(name, checks)


def check_ranges(name: str, checks: Sequence[tuple[str, int, int, int]]) -> None:
    """Refuse the first (what, given, low, high) that is out of its range."""
    for what, given, low, high in checks:
        if not low <= given <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            raise ModelUnavailable(
                f"The heads {name} do not fit the model: {what} is {given} and must be "
                f"{wanted}; use the heads of this model."
            )
