"""The plan of a training run, and the shape of the heads that it makes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from propd.heads.files import Stored
from propd.heads.rooted import HeadsConfig
from propd.models.backbone import Backbone


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides a run, so that a card can state it."""

    epochs: int = 2
    batch: int = 1024
    """Positions a step, all processes together."""
    learning_rate: float = 3e-3
    warmup: float = 0.03
    weight_decay: float = 0.01
    dependent: bool = False
    """Whether each head also sees the tokens guessed before it (Hydra)."""
    soft: float = 1.0
    """Share of the draft heads' loss against the model's own distribution at the guessed place
    (distillation); the rest is against the token it wrote."""
    draft_heads: int = 4
    """0: early heads alone, for draft heads that somebody else trained."""
    trunk_width: int = 1152
    head_width: int = 576
    early_width: int = 768
    vocabulary: int = 8192
    reference: int = 6144
    """Words that the early heads rank candidates among: those of the reduced vocabulary with the
    lowest ids, which a tokenizer learned first because they are the most common anywhere."""
    prune_layers: tuple[int, ...] = (4, 2, 8)
    """Layers with an early head, the recommended one first."""
    prune_top_k: int = 50
    seed: int = 0


def further(plan: TrainingPlan, start: Stored) -> TrainingPlan:
    """The plan in the shape of the heads that it is to train further."""
    shape = start.config
    return replace(
        plan,
        dependent=shape.dependent,
        draft_heads=shape.draft_heads,
        trunk_width=shape.trunk_width,
        head_width=shape.head_width,
        early_width=shape.early_width,
        vocabulary=len(start.token_map),
        reference=len(start.reference),
    )


def config_of(plan: TrainingPlan, backbone: Backbone, base_model: str) -> HeadsConfig:
    """The heads to be, before anything is measured of them."""
    return HeadsConfig(
        base_model=base_model,
        hidden_size=backbone.hidden_size,
        vocabulary_size=backbone.vocabulary_size,
        draft_heads=plan.draft_heads,
        trunk_width=plan.trunk_width,
        head_width=plan.head_width,
        early_width=plan.early_width,
        prune_layers=plan.prune_layers,
        prune_top_k=plan.prune_top_k,
        acceptance_table=(),
        early_recall={},
        training={"started": time.strftime("%Y-%m-%d")},
        dependent=plan.dependent,
    )
