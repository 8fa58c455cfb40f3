"""The draft heads' operator, and those that find the largest of many numbers."""

from __future__ import annotations

import pytest
import torch

from propd import kernels
from propd.heads.kernel_draft import by_kernel
from propd.heads.protocol import guesses_of
from propd.heads.rooted import DraftWeights, HeadsConfig, packed
from propd.models.blocked import Blocked
from propd.models.grouped import pack_roughly
from propd.models.linear import Linear
from propd.planning.drafts import RANKS
from propd.tree.sampling import largest

pytestmark = pytest.mark.skipif(not kernels.ready(), reason=kernels.why_not() or "")


def _weights(heads: int = 3) -> DraftWeights:
    torch.manual_seed(0)
    config = HeadsConfig("m", 64, 100, heads, 96, 32, 32, (1,), 5, (), {}, {})
    weights = DraftWeights(config).eval().requires_grad_(False)
    for parameter in weights.parameters():  # the outer products begin as zeros
        parameter.copy_(torch.randn_like(parameter) * 0.2)
    return weights


@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("pack", [pack_roughly, Blocked.of])
def test_the_operator_says_what_the_modules_say(rows: int, pack) -> None:  # type: ignore[no-untyped-def]
    draft = packed(_weights(), pack)
    fused = by_kernel([draft.trunk, *draft.heads])
    assert fused is not None
    hidden, root = torch.randn(rows, 64), torch.randn(rows, 64)
    torch.testing.assert_close(fused(hidden, root), draft(hidden, root), rtol=1e-4, atol=1e-4)


def test_each_row_has_the_same_bits_alone() -> None:
    draft = packed(_weights(), pack_roughly)
    fused = by_kernel([draft.trunk, *draft.heads])
    assert fused is not None
    hidden, root = torch.randn(9, 64), torch.randn(9, 64)
    alone = torch.cat([fused(hidden[i : i + 1], root[i : i + 1]) for i in range(9)])
    assert torch.equal(fused(hidden, root), alone)


def test_other_products_are_not_taken() -> None:
    draft = packed(_weights(), Linear)
    assert by_kernel([draft.trunk, *draft.heads]) is None


@pytest.mark.parametrize("width", [1, 15, 16, 300, 8192, 49152])
def test_the_largest_is_the_first_of_equals(width: int) -> None:
    scores = torch.randn(5, width).round()  # so that many are equal
    assert kernels.take(scores)
    assert largest(scores).tolist() == scores.argmax(-1).tolist()


def test_where_nothing_is_a_number_the_place_exists() -> None:
    assert 0 <= largest(torch.full((1, 20), float("nan")))[0] < 20
    assert largest(torch.full((1, 600), float("-inf")))[0] == 0


@pytest.mark.parametrize("width", [RANKS, 31, 257, 8192])
def test_the_best_come_with_their_chances(width: int) -> None:
    torch.manual_seed(width)
    logits = torch.randn(2, 3, width) * 3
    places, chances = guesses_of(logits)
    wanted = logits.topk(RANKS)
    assert places.tolist() == wanted.indices.tolist()
    torch.testing.assert_close(chances, logits.softmax(-1).gather(-1, wanted.indices))


def test_of_equal_scores_the_first_come_first() -> None:
    places, chances = torch.ops.propd.best(torch.zeros(1, 100), RANKS)
    assert places.tolist() == [list(range(RANKS))]
    torch.testing.assert_close(chances, torch.full((1, RANKS), 0.01))


@pytest.mark.parametrize("count", [0, 5])
def test_more_than_there_are_is_refused(count: int) -> None:
    with pytest.raises(RuntimeError, match=f"propd: {count} of 4 numbers"):
        torch.ops.propd.best(torch.zeros(1, 4), count)


def test_ranks_and_chances_among_the_words_of_a_row() -> None:
    torch.manual_seed(1)
    scores, rows = torch.randn(3, 301) * 2, torch.tensor([0, 2, 2, 1, 0])
    own = torch.cat([scores[rows[:3], torch.tensor([5, 300, 0])], torch.tensor([99.0, -99.0])])
    ranks, chances = torch.ops.propd.ranks(scores, rows, own)
    assert ranks.tolist() == (scores[rows] > own[:, None]).sum(-1).tolist()
    wanted = (own - scores.logsumexp(-1)[rows]).exp().clamp(max=1.0)
    torch.testing.assert_close(chances, wanted)
