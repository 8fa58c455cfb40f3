"""Medusa's heads, as others have trained them. Read-only, shared.

Source: FasterDecoding/Medusa, medusa_model.py. Head i reads the last hidden state after the final
norm, goes through residual blocks x + silu(W x + b) and an LM head, and names the token at depth
i + 1 after the root. Heads do not see the root, nor each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from propd.heads.early import EarlyLook
from propd.heads.protocol import HeadsShape, drafts_of, guesses_of
from propd.host import Ids
from propd.models.backbone import Backbone
from propd.models.blocked import dense_product
from propd.planning.drafts import Drafts
from propd.planning.phrases import Phrases

Block = tuple[Tensor, Tensor | None]
"""Weight (H, H) and bias (H,) of a residual block; not every layout has biases."""


@dataclass(frozen=True)
class MedusaWeights:
    """What a file of Medusa heads holds, whatever its layout."""

    blocks: tuple[tuple[Block, ...], ...]
    """Of each head, its residual blocks in order."""
    outputs: tuple[Tensor, ...] = ()
    """LM heads (V, H): one a head, or one for all, or none where the model's own is shared."""
    token_map: Tensor | None = None
    """(R,) model token id of each word of a reduced vocabulary; None: the whole vocabulary."""
    logit_scale: float = 1.0

    def tensors(self) -> Iterable[Tensor]:
        """Every weight."""
        for head in self.blocks:
            for weight, bias in head:
                yield from (weight,) if bias is None else (weight, bias)
        yield from self.outputs


class MedusaHeads:
    """Medusa's draft heads, and any early look: the two are trained apart."""

    def __init__(
        self,
        weights: MedusaWeights,
        acceptance_table: tuple[tuple[float, ...], ...],
        backbone: Backbone,
        early: EarlyLook,
        phrases: Phrases | None = None,
    ) -> None:
        """Weights that fit the backbone (`propd.heads.layouts.check_weights`); they are copied to
        its device and dtype."""
        self.shape = HeadsShape(
            len(weights.blocks),
            early.layers,
            early.top_k,
            acceptance_table,
            early_kind=early.kind,
            draft_kind="medusa",
            phrases=phrases,
        )
        device, dtype = backbone.device, backbone.dtype
        self._blocks = [
            [
                dense_product(w.to(device, dtype), None if b is None else b.to(device, dtype))
                for w, b in head
            ]
            for head in weights.blocks
        ]
        words = weights.token_map
        self.token_map = None if words is None else words.to(device)
        self._outputs = _outputs(weights, self.token_map, backbone)
        self._scale, self._early = weights.logit_scale, early

    def draft(self, hidden: Tensor, roots: Sequence[int]) -> Sequence[Drafts]:
        """As `DraftHeads`: hidden (B, H) after the final norm; the roots are not looked at."""
        return drafts_of(self.draft_logits(hidden), self.token_map)

    def guess(self, hidden: Tensor, roots: Ids) -> tuple[Tensor, Tensor]:
        """As `AheadHeads`."""
        return guesses_of(self.draft_logits(hidden), self.token_map)

    def draft_logits(self, hidden: Tensor) -> Tensor:
        """(B, H) -> (B, heads, V), or R in place of V with a reduced vocabulary."""
        ready = torch.stack([_through(blocks, hidden) for blocks in self._blocks])
        if len(self._outputs) == 1:  # one product for all heads
            logits = self._outputs[0](ready.flatten(0, 1)).unflatten(0, ready.shape[:2])
        else:
            pairs = zip(self._outputs, ready, strict=True)
            logits = torch.stack([output(one) for output, one in pairs])
        return logits.transpose(0, 1) * self._scale

    def look_early(
        self, layer: int, hidden: Tensor, rows: Ids, token_ids: Ids
    ) -> tuple[Tensor, Tensor]:
        """As `DraftHeads`."""
        return self._early(layer, hidden, rows, token_ids)


def _through(blocks: Sequence[Callable[[Tensor], Tensor]], hidden: Tensor) -> Tensor:
    for block in blocks:
        hidden = hidden + F.silu(block(hidden))
    return hidden


def _outputs(
    weights: MedusaWeights, token_map: Tensor | None, backbone: Backbone
) -> list[Callable[[Tensor], Tensor]]:
    """The LM heads as products, cut to the reduced vocabulary where a file has them whole."""
    if not weights.outputs and token_map is None:
        return [backbone.logits]
    outputs = []
    for weight in weights.outputs or (backbone.lm_head_weight,):
        weight = weight.to(backbone.device, backbone.dtype)
        if token_map is not None and len(weight) > len(token_map):
            weight = weight[token_map]
        outputs.append(dense_product(weight))
    return list(outputs)
