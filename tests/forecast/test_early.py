"""What pruning leaves, between the layers and k that were measured."""

from __future__ import annotations

import pytest

from propd.core import TokenTree
from propd.forecast.basis import Basis, cut_at, fixed_tree, settle
from propd.forecast.early import Leaving, between, mean_kept, path_chances
from propd.forecast.guesses import acceptance
from propd.forecast.settings import Settings
from tests.forecast.bases import CUTS, ZEROS, basis


def test_a_measured_cut_is_itself() -> None:
    for cut in CUTS:
        found = between(CUTS, cut.depth, cut.top_k)
        assert found.recall == pytest.approx(cut.recall)
        assert found.stay[0] == pytest.approx(cut.stay[0])


def test_between_cuts_lie_straight_lines() -> None:
    """k 10 lies in the middle of 1 and 100, layer .2 in the middle of .1 and .3."""
    found = between(CUTS, 0.2, 10)
    assert found.recall == pytest.approx((0.6 + 1 + 0.8 + 1) / 4)
    assert found.stay[0] == pytest.approx([(0.5 + 0.9 + 0.7 + 1) / 4, (0.1 + 0.5 + 0.3 + 0.7) / 4])


def test_beyond_the_measured_the_nearest_counts() -> None:
    assert between(CUTS, 0.9, 100_000).recall == 1.0
    assert between(CUTS, 0.01, 1).recall == 0.6


def leaving(known: Basis, settings: Settings) -> tuple[Leaving, TokenTree]:
    tree = fixed_tree(acceptance(known.acceptance, settings))
    return Leaving(cut_at(known, settings), tree, settings), tree


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.6, 0.95, 1.0])
def test_the_share_that_survives_can_be_set(kept: float) -> None:
    known = basis()
    found, tree = leaving(known, settle(known, {"kept": kept, "top_k": 10, "recall": 0.9}))
    chances = found.of(tree)
    assert sum(chances[1:]) / tree.size == pytest.approx(kept)
    assert all(0 <= chance <= 1 for chance in chances)
    survival = found.survival()
    assert survival.of_truths()[:3] == pytest.approx([1, 0.9, 0.81])
    assert all(0 <= survival.of_node(d, r) <= 1 for d in range(1, 13) for r in range(10))


def test_a_node_survives_with_all_above_it() -> None:
    """stay .5 at rank 0 and .1 at rank 1: below rank 1 a tenth of a half is left."""
    tree = TokenTree((-1, 0, 0, 1, 2), (0, 0, 1, 0, 0), (0, 1, 1, 2, 2), (1, 0.5, 0.3, 0.2, 0.1))
    assert path_chances(tree, CUTS[0]) == pytest.approx([1, 0.5, 0.1, 0.25, 0.05])
    assert mean_kept(tree, CUTS[0]) == pytest.approx(0.9 / 4)


def test_the_planner_is_told_by_place_and_likely_paths_count_most() -> None:
    """Place (2, 0) is in two paths: .25 at a value of .2, .05 at .1."""
    known = basis(acceptance=((0.5, 0.3, *ZEROS), (0.4, *ZEROS, 0.0)))
    settings = settle(known, {"top_k": 1})
    found, tree = leaving(known, settings)
    assert tree.values[1:5] == pytest.approx((0.5, 0.3, 0.2, 0.12), abs=0.001)
    weighted = (0.2 * 0.25 + 0.12 * 0.05) / 0.32
    assert found.survival().of_node(1, 0) == pytest.approx(0.5, abs=0.001)
    assert found.survival().of_node(2, 0) == pytest.approx(weighted, rel=0.01)


def test_without_a_wish_the_measured_share_survives() -> None:
    known = basis()
    settings = settle(known, {"top_k": 1})
    tree = fixed_tree(acceptance(known.acceptance, settings))
    assert settings.kept == pytest.approx(mean_kept(tree, CUTS[0]))
    assert settings.recall == pytest.approx(0.6)
