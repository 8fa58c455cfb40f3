"""Early heads: candidates against reference words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from propd.heads.early import LogitLens, Referee
from propd.heads.files import open_heads
from propd.models.backbone import Backbone
from propd.training.command import train_heads
from propd.training.plan import TrainingPlan

WORDS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, -1.0]])
READY = torch.tensor([[1.0, 0.5], [-1.0, 1.0]])
"""Scores of the four words: 1, .5, 2, -.5 and -1, 1, -2, -1."""


def test_ranks_and_chances_are_those_of_the_whole_vocabulary() -> None:
    ranks, chances = Referee(WORDS, None)(READY, [0, 0, 1], [2, 1, 3])
    assert ranks.tolist() == [0, 2, 1]
    whole = (READY @ WORDS.T).softmax(-1).tolist()
    assert chances.tolist() == pytest.approx([whole[0][2], whole[0][1], whole[1][3]])


def test_a_candidate_outside_the_reference_is_ranked_among_it() -> None:
    """Reference words 0 and 3 score 1 and -.5: word 1, with .5, comes between them."""
    ranks, chances = Referee(WORDS, torch.tensor([0, 3]))(READY, [0, 0], [1, 2])
    assert ranks.tolist() == [1, 0]
    assert chances[1] == 1.0  # likelier than all reference words together, and still a chance


def test_a_reference_word_never_ranks_behind_itself() -> None:
    """Its score comes from another product than its place among the reference words."""
    torch.manual_seed(0)
    words, ready = torch.randn(500, 64), torch.randn(40, 64)
    referee = Referee(words, None)
    best = (ready @ words.T).argmax(-1)
    ranks, _ = referee(ready, range(40), best.tolist())
    assert ranks.tolist() == [0] * 40


def test_the_logit_lens_after_the_last_layer_is_the_model(backbone: Backbone) -> None:
    with torch.inference_mode():
        hidden = torch.randn(3, backbone.hidden_size)
        lens = LogitLens(backbone.final_norm, backbone.lm_head_weight, 5)
        _, chances = lens(4, hidden, [0, 1, 2], [5, 6, 7])
        whole = backbone.logits(backbone.final_norm(hidden)).softmax(-1)
    assert chances.tolist() == pytest.approx([whole[i, 5 + i].item() for i in range(3)], rel=1e-3)


def test_early_heads_are_trained_beside_somebody_elses_draft_heads(
    backbone: Backbone, tmp_path: Path
) -> None:
    """The folder keeps its draft heads, and the trained early head takes the place of the lens."""
    torch.manual_seed(0)
    names = {f"{i}.0.linear.{n}": s for i in range(2) for n, s in (("weight", 32), ("bias", 0))}
    tensors = {name: torch.randn(32, size) if size else torch.randn(32) for name, size in
               names.items()}  # fmt: skip
    save_file(tensors, tmp_path / "medusa_lm_head.safetensors")
    (tmp_path / "config.json").write_text('{"version": "2", "medusa_num_layers": 1}')
    generator = np.random.default_rng(0)
    texts = [np.arange(30) + generator.integers(0, 20) for _ in range(40)]
    np.savez(
        tmp_path / "text.npz", tokens=np.concatenate(texts).astype(np.uint16),
        prompt_len=np.full(40, 4, dtype=np.int32), total_len=np.full(40, 30, dtype=np.int32),
    )  # fmt: skip
    with torch.inference_mode():
        before = open_heads(tmp_path, backbone)
    plan = TrainingPlan(
        epochs=8, batch=64, learning_rate=1e-2, draft_heads=0, early_width=32, vocabulary=60,
        reference=40, prune_layers=(2, 3), prune_top_k=7,
    )  # fmt: skip
    config = train_heads(
        backbone, "tiny", (60,), [tmp_path / "text.npz"], tmp_path, tmp_path / "cache", plan,
        lambda line: None,
    )  # fmt: skip
    with torch.inference_mode():
        after = open_heads(tmp_path, backbone)
    assert before.shape.early_kind == "logit lens"
    assert (after.shape.early_kind, after.shape.draft_heads) == ("trained", 2)
    assert (after.shape.prune_layers, after.shape.prune_top_k) == ((2, 3), 7)
    assert config.early_recall["2"]["5"] > 0.6  # chance: 5 of 60
