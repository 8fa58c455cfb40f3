"""Sequentially dependent heads: a list for every path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from propd.heads.dependent import DependentDrafts
from propd.heads.files import open_heads
from propd.heads.rooted import Heads, HeadWeights
from propd.models.backbone import Backbone
from propd.planning.drafts import Guesses
from propd.training.command import train_heads
from propd.training.plan import TrainingPlan
from tests.conftest import tiny_transformer
from tests.test_decoding import decode, tokens


@pytest.fixture(scope="module")
def dependent(backbone: Backbone, heads: Heads) -> Heads:
    """Random dependent heads of the tiny model."""
    torch.manual_seed(1)
    config = replace(heads.config, dependent=True)
    weights = HeadWeights(config)
    with torch.no_grad():
        for weight in weights.parameters():
            weight.normal_(0, 0.3)
    with torch.inference_mode():
        return Heads(config, weights, heads.token_map, heads.reference, backbone)


def test_a_list_is_what_the_head_of_its_depth_says_of_the_path(
    backbone: Backbone, dependent: Heads
) -> None:
    """Against the formula by hand: trunk, then one block over [trunk; tokens between]."""
    torch.manual_seed(2)
    hidden = torch.randn(2, 32)
    with torch.inference_mode():
        drafts = dependent.draft(hidden, [7, 9])
        path = (11, 3)
        said = drafts[1].after(path)
        draft = dependent.weights.draft
        unit = [F.rms_norm(backbone.embedding[t], (32,), eps=1e-5) for t in (9, 11, 3)]
        seen = torch.cat([hidden[1], unit[0]])
        trunk = hidden[1] + draft.trunk.outer(F.silu(draft.trunk.inner(seen)))
        block = draft.heads[2]
        ready = trunk + block.outer(F.silu(block.inner(torch.cat([trunk, unit[1], unit[2]]))))
        chances = (backbone.lm_head_weight[dependent.token_map] @ ready).softmax(-1)
        best = chances.topk(10)
    assert said is not None
    assert said.token_ids == tuple(dependent.token_map[best.indices].tolist())
    assert said.probabilities == pytest.approx(best.values.tolist(), rel=1e-3)
    assert drafts[1].after((12, 3)) != said  # it depends on the path
    assert drafts[0].after(path) != said  # and on the row
    assert drafts[1].after((1, 2, 3, 4)) is None


def test_likely_lists_of_a_depth_are_computed_together() -> None:
    """Tokens 5 and 6 may follow anything. Asked for (6,), (5,) comes along; asked for (6, 6), the
    three longer paths that are left, the likeliest first; what nobody guessed comes alone."""
    asked: list[list[tuple[int, ...]]] = []

    def say(trunk: torch.Tensor, paths: Sequence[tuple[int, ...]]) -> list[Guesses]:
        asked.append(list(paths))
        return [Guesses((5, 6), (0.6, 0.3))] * len(paths)

    drafts = DependentDrafts(Guesses((5, 6), (0.6, 0.3)), torch.zeros(1), say, depth=3)
    assert drafts.after(()) == drafts.after((6,)) == drafts.after((5,))
    assert asked == [[(6,), (5,)]]
    drafts.after((6, 6))
    assert asked[1:] == [[(6, 6), (5, 5), (6, 5), (5, 6)]]
    drafts.after((9, 9))
    assert asked[2:] == [[(9, 9)]]
    assert drafts.after((5, 5, 5)) is None


@pytest.mark.parametrize("method", ["propd", "propd-paper", "propd-heads", "medusa", "bpd"])
def test_the_text_is_that_of_plain_decoding(
    backbone: Backbone, dependent: Heads, method: str
) -> None:
    plain = tokens(decode(backbone, dependent, [3, 1, 4], "autoregressive", max_new_tokens=60))
    events = decode(backbone, dependent, [3, 1, 4], method, max_new_tokens=60)
    assert tokens(events) == plain
    assert sum(event.drafted for event in events) > 10


def test_they_learn_what_independent_heads_cannot_know(tmp_path: Path) -> None:
    """After token n comes n + 1 or n + 7 by chance, and then the same step again: what the second
    head should say depends on what the first one said."""
    generator = np.random.default_rng(0)
    texts = []
    for _ in range(120):
        text = [int(generator.integers(0, 50))]
        while len(text) < 31:
            step = int(generator.choice([1, 7]))
            text += [(text[-1] + step) % 50, (text[-1] + 2 * step) % 50]
        texts.append(text[:31])
    np.savez(
        tmp_path / "text.npz", tokens=np.concatenate(texts).astype(np.uint16),
        prompt_len=np.full(120, 1, dtype=np.int32), total_len=np.full(120, 31, dtype=np.int32),
    )  # fmt: skip
    with torch.inference_mode():
        backbone = Backbone(tiny_transformer("llama"))
    plan = TrainingPlan(
        epochs=6, batch=64, learning_rate=1e-2, draft_heads=2, trunk_width=48, head_width=48,
        early_width=16, vocabulary=50, reference=30, prune_layers=(2,), soft=0.0,
    )  # fmt: skip
    top = {}
    for dependent in (False, True):
        config = train_heads(
            backbone, "tiny", (), [tmp_path / "text.npz"], tmp_path / f"heads-{dependent}",
            tmp_path / "cache", replace(plan, dependent=dependent), lambda line: None,
        )  # fmt: skip
        top[dependent] = config.acceptance_table[1][0]
    assert top[True] > top[False] + 0.1
    with torch.inference_mode():
        heads = open_heads(tmp_path / "heads-True", backbone)
    assert heads.shape.draft_kind == "dependent"
