"""Early heads: candidates against reference words."""

from __future__ import annotations

import pytest
import torch

from propd.heads.early import LogitLens, Referee
from propd.models.backbone import Backbone

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
        lens = LogitLens(backbone.final_norm, backbone.lm_head_weight)
        _, chances = lens(hidden, [0, 1, 2], [5, 6, 7])
        whole = backbone.logits(backbone.final_norm(hidden)).softmax(-1)
    assert chances.tolist() == pytest.approx([whole[i, 5 + i].item() for i in range(3)], rel=1e-3)
