"""Our own heads: Medusa's, which also see the root token.

Draft heads in the spirit of Medusa (FasterDecoding/Medusa, medusa_model.py): independent of one
another, residual, read off the last accepted hidden state. Ours differ in three named ways: they
also see the embedding of the root token, which is known when they run; they share a trunk; and they
speak a reduced vocabulary (the rows of the model's own LM head for its most frequent tokens), which
makes them several times cheaper.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from propd.heads.dependent import DependentDrafts
from propd.heads.early import Referee
from propd.heads.kernel_draft import EPSILON, Draft, by_kernel
from propd.heads.protocol import HeadsShape, drafts_of, guesses_of, told_drafts
from propd.host import Ids, read, send
from propd.models.backbone import Backbone
from propd.models.grouped import pack_finely, pack_roughly
from propd.planning.drafts import Drafts, Guesses, Path
from propd.planning.phrases import Phrases

FORMAT = "propd-heads/2"


@dataclass(frozen=True)
class HeadsConfig:
    """Shape of the heads and what training measured of them."""

    base_model: str
    hidden_size: int
    vocabulary_size: int
    draft_heads: int
    trunk_width: int
    head_width: int
    early_width: int
    prune_layers: tuple[int, ...]
    """The early heads read the hidden states after so many layers; the recommended one first."""
    prune_top_k: int
    """Recommended k of early pruning."""
    acceptance_table: tuple[tuple[float, ...], ...]
    """Held-out chance that head d's guess of rank k is right; the prior of the estimator."""
    early_recall: dict[str, dict[str, float]]
    """By layer: held-out chance that the next token is in the early head's top-k, by k."""
    training: dict[str, object]
    """Data, steps, command and date, for the model card."""
    dependent: bool = False
    """Whether each head also sees the tokens guessed before it (Hydra)."""
    format: str = FORMAT

    @property
    def shape(self) -> HeadsShape:
        """What the engine needs to know."""
        return HeadsShape(
            self.draft_heads,
            self.prune_layers,
            self.prune_top_k,
            self.acceptance_table,
            draft_kind="dependent" if self.dependent else "rooted",
        )


class ResidualBlock(nn.Module):
    """x + W2 silu(W1 [x; extra]); begins as the identity in x."""

    inner: Callable[[Tensor], Tensor]
    outer: Callable[[Tensor], Tensor]

    def __init__(self, size: int, width: int, extra: int = 0) -> None:
        super().__init__()
        self.inner = nn.Linear(size + extra, width)
        outer = nn.Linear(width, size, bias=False)
        nn.init.zeros_(outer.weight)
        self.outer = outer

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """(..., size) and (..., extra) -> (..., size)."""
        seen = x if extra is None else torch.cat([x, extra], dim=-1)
        return x + self.outer(F.silu(self.inner(seen)))


class DraftWeights(nn.Module):
    """The trained part of the draft heads: all but the LM head rows, which belong to the model."""

    def __init__(self, config: HeadsConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.trunk = ResidualBlock(size, config.trunk_width, extra=size)
        self.heads = nn.ModuleList(
            ResidualBlock(size, config.head_width, extra=size * depth * config.dependent)
            for depth in range(config.draft_heads)
        )
        self.dependent = config.dependent

    def forward(self, hidden: Tensor, root: Tensor, between: Tensor | None = None) -> Tensor:
        """Last accepted hidden state (B, H) and root embedding (B, H) -> (B, heads, H).

        between: (B, heads - 1, H) embeddings of the tokens after the root, for dependent heads.
        """
        if not self.heads:  # early heads are trained alone
            return hidden.new_zeros(len(hidden), 0, hidden.shape[-1])
        trunk = self.look(hidden, root)
        seen = [None if between is None else between[..., :d, :] for d in range(len(self.heads))]
        return torch.stack([self.one(d, trunk, seen[d]) for d in range(len(self.heads))], dim=-2)

    def look(self, hidden: Tensor, root: Tensor) -> Tensor:
        """The trunk: (B, H) and (B, H) -> (B, H)."""
        trunk: Tensor = self.trunk(hidden, _unit(root))
        return trunk

    def one(self, depth: int, trunk: Tensor, between: Tensor | None) -> Tensor:
        """The head of one depth, 0 is the first: (B, H) and (B, depth, H) -> (B, H)."""
        extra = None
        if self.dependent and depth:
            if between is None:
                raise ValueError("dependent heads need the tokens between the root and their guess")
            extra = _unit(between).flatten(-2)
        ready: Tensor = self.heads[depth](trunk, extra)
        return ready


class EarlyWeights(nn.Module):
    """The trained part of one early head."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.block = ResidualBlock(size, width)
        self.norm = nn.Parameter(torch.ones(size))

    def forward(self, hidden: Tensor) -> Tensor:
        """Hidden states after the prune layer (..., H) -> (..., H), ready for the LM head rows."""
        return self.block(_unit(hidden) * self.norm)


class HeadWeights(nn.Module):
    """Everything that is trained."""

    def __init__(self, config: HeadsConfig) -> None:
        super().__init__()
        self.draft = DraftWeights(config)
        self.early = nn.ModuleDict(
            {
                str(layer): EarlyWeights(config.hidden_size, config.early_width)
                for layer in config.prune_layers
            }
        )

    def forward(
        self,
        hidden: Tensor,
        root: Tensor,
        early: Mapping[str, Tensor],
        between: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """All heads at once, for training: (B, heads, H), and (B, H) by layer."""
        return (
            self.draft(hidden, root, between),
            {layer: self.early[layer](states) for layer, states in early.items()},
        )

    def early_of(self, layer: int) -> EarlyWeights:
        """The early head of a layer."""
        return cast(EarlyWeights, self.early[str(layer)])


class Heads:
    """Draft heads and early heads of one model, ready to run. Read-only, shared."""

    def __init__(
        self,
        config: HeadsConfig,
        weights: HeadWeights,
        token_map: Tensor,
        reference: Tensor,
        backbone: Backbone,
        phrases: Phrases | None = None,
    ) -> None:
        """token_map: (R,) model token id of each reduced id; reference: ids of the words that
        candidates are ranked among by the early heads."""
        self.config, self.shape = config, replace(config.shape, phrases=phrases)
        self.weights = weights.to(backbone.device, backbone.dtype).eval().requires_grad_(False)
        self.token_map, self.reference = token_map.to(backbone.device), reference
        self._draft = packed(self.weights.draft, pack_roughly)
        fused = None if config.dependent else by_kernel([self._draft.trunk, *self._draft.heads])
        self._all_heads: Draft = fused or self._draft
        self._early = packed(self.weights.early, pack_finely)
        self._output = pack_roughly(backbone.lm_head_weight[self.token_map])
        self._embedding = backbone.embedding
        self._referee = Referee(backbone.lm_head_weight, reference.to(backbone.device))

    def draft(self, hidden: Tensor, roots: Sequence[int]) -> Sequence[Drafts]:
        """As `DraftHeads`: hidden (B, H) after the final norm."""
        if not self.config.dependent:
            return told_drafts(*read(*self.guess(hidden, roots)))
        trunk = self._draft.look(hidden, self._embed(roots))
        firsts = drafts_of(self._output(self._draft.one(0, trunk, None))[:, None], self.token_map)
        depth = self.config.draft_heads
        return [
            DependentDrafts(first.by_depth[0], row, self._say, depth)
            for first, row in zip(firsts, trunk, strict=True)
        ]

    def guess(self, hidden: Tensor, roots: Ids) -> tuple[Tensor, Tensor]:
        """As `AheadHeads`; not for dependent heads."""
        return guesses_of(self._output(self._all_heads(hidden, self._embed(roots))), self.token_map)

    def _say(self, trunk: Tensor, paths: Sequence[Path]) -> Sequence[Guesses]:
        """What may follow paths of one length, by the head of their depth."""
        between = self._embed([token for path in paths for token in path])
        rows = trunk.expand(len(paths), -1)
        ready = self._draft.one(len(paths[0]), rows, between.view(len(paths), -1, len(trunk)))
        said = drafts_of(self._output(ready)[:, None], self.token_map)
        return [drafts.by_depth[0] for drafts in said]

    def _embed(self, tokens: Ids) -> Tensor:
        return F.embedding(send(tokens, self._embedding.device), self._embedding)

    def look_early(
        self, layer: int, hidden: Tensor, rows: Ids, token_ids: Ids
    ) -> tuple[Tensor, Tensor]:
        """As `DraftHeads`."""
        return self._referee(self._early[str(layer)](hidden), rows, token_ids)


Weights = TypeVar("Weights", bound=nn.Module)


def packed(
    weights: Weights, pack: Callable[[Tensor, Tensor | None], Callable[[Tensor], Tensor]]
) -> Weights:
    """A copy with packed linear layers: faster for few rows, but nothing to train or to save."""
    ready = copy.deepcopy(weights)
    for block in ready.modules():
        if isinstance(block, ResidualBlock):
            for name in ("inner", "outer"):
                layer = getattr(block, name)
                delattr(block, name)  # a module gives its place only to a module
                setattr(block, name, pack(layer.weight, layer.bias))
    return ready


def _unit(x: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], eps=EPSILON)
