"""What pruning leaves, between the layers and k that were measured."""

from __future__ import annotations

import pytest

from propd.forecast.basis import cut_at, fixed_tree, settle
from propd.forecast.early import between, mean_kept, survival
from propd.forecast.guesses import acceptance
from tests.forecast.bases import CUTS, basis


def test_a_measured_cut_is_itself() -> None:
    for cut in CUTS:
        found = between(CUTS, cut.depth, cut.top_k)
        assert found.recall == pytest.approx(cut.recall)
        assert found.kept[0] == pytest.approx(cut.kept[0])


def test_between_cuts_lie_straight_lines() -> None:
    """k 10 lies in the middle of 1 and 100, layer .2 in the middle of .1 and .3."""
    found = between(CUTS, 0.2, 10)
    assert found.recall == pytest.approx((0.6 + 1 + 0.8 + 1) / 4)
    assert found.kept[0] == pytest.approx([(0.5 + 0.9 + 0.7 + 1) / 4, (0.1 + 0.5 + 0.3 + 0.7) / 4])


def test_beyond_the_measured_the_nearest_counts() -> None:
    assert between(CUTS, 0.9, 100_000).recall == 1.0
    assert between(CUTS, 0.01, 1).recall == 0.6


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.6, 0.95, 1.0])
def test_the_share_that_survives_can_be_set(kept: float) -> None:
    known = basis()
    settings = settle(known, {"kept": kept, "top_k": 10, "recall": 0.9})
    tree = fixed_tree(acceptance(known.acceptance, settings))
    found = survival(cut_at(known, settings), tree, settings)
    places = zip(tree.depths[1:], tree.ranks[1:], strict=True)
    chances = [found.of_node(*place) for place in places]
    assert sum(chances) / len(chances) == pytest.approx(kept)
    assert all(0 <= chance <= 1 for chance in chances)
    assert found.of_truths()[:3] == pytest.approx([1, 0.9, 0.81])


def test_without_a_wish_the_measured_share_survives() -> None:
    known = basis()
    settings = settle(known, {"top_k": 1})
    tree = fixed_tree(acceptance(known.acceptance, settings))
    assert settings.kept == pytest.approx(mean_kept(tree, CUTS[0].kept))
    assert settings.recall == pytest.approx(0.6)
