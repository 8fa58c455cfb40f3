"""What narrower numbers cost in quality: one setting of the engine against float32, token by token.

The texts are greedy ones of float32; both engines say what comes after each of their tokens, and
their two laws are compared. In a step the tokens stand as nodes, so that the products of a step are
those measured, and not those of a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from propd.engine import Engine
from propd.models.backbone import Backbone

CHUNK = 32
"""Tokens of an answer that stand as nodes of one pass."""


@dataclass(frozen=True)
class Quality:
    """How one setting differs from another over some positions."""

    positions: int
    divergence: float
    """Mean Kullback-Leibler divergence from the reference, in nats."""
    same_choice: float
    """Share of positions with the same most probable token."""

    def sentence(self) -> str:
        """Both figures for people."""
        return (
            f"{self.positions:,} positions: mean KL divergence {self.divergence:.5f} nats, the "
            f"same most probable token at {self.same_choice:.2%}."
        )


def compare_quality(
    reference: Engine,
    engine: Engine,
    prompts: Sequence[str],
    tokens: int,
    report: Callable[[str], None],
) -> Quality:
    """The laws of both engines after each token that the reference wrote."""
    divergences, same = list[Tensor](), list[Tensor]()
    for number, prompt in enumerate(prompts, start=1):
        asked = reference.encode(prompt)
        text = list(
            reference.generate(prompt, method="autoregressive", max_new_tokens=tokens).token_ids
        )
        true, found = (laws(one.backbone, asked, text) for one in (reference, engine))
        divergences.append((true.exp() * (true - found)).sum(-1))
        same.append((true.argmax(-1) == found.argmax(-1)).double())
        report(f"prompt {number}/{len(prompts)}")
    told = torch.cat(divergences)
    return Quality(len(told), float(told.mean()), float(torch.cat(same).mean()))


@torch.inference_mode()
def laws(backbone: Backbone, prompt: Sequence[int], text: Sequence[int]) -> Tensor:
    """(T, V) log probabilities after each of the T tokens of a text, float64."""
    cache = backbone.new_cache(1, len(prompt) + len(text))
    backbone.read(prompt, cache)
    found = []
    for start in range(0, len(text), CHUNK):
        part = text[start : start + CHUNK]
        seen = np.tri(len(part), dtype=bool)
        place = backbone.place([seen], [range(len(part))], cache.lengths)
        hidden = backbone.run_layers(backbone.embed(part), 0, backbone.layer_count, place, cache)
        cache.commit(0, range(len(part)))
        logits = backbone.logits(backbone.final_norm(hidden))
        found.append(logits.double().log_softmax(-1))
    return torch.cat(found)


def quality_json(engine: Engine, tokens: int, prompts: int, quality: Quality) -> dict[str, Any]:
    """The figures with how they were made."""
    return {
        "engine": engine.describe(),
        "reference": "float32, dense",
        "max_new_tokens": tokens,
        "prompts": prompts,
        **vars(quality),
    }
