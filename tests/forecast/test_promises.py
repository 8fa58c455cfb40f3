"""What the planner promises, in cases that can be counted by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from propd.core import CostTable
from propd.forecast.promises import BATCHES, promise
from propd.planning.cost import CurveCost, Work
from propd.tree.growth import grow
from tests.forecast.bases import ACCEPTANCE, ask, basis, flat_then_rising


def test_two_free_nodes_are_taken_and_the_third_is_not() -> None:
    """L: 1, 1.5, 1.8, 2.0; T: 10, 10, 10, 20. So 2 nodes: 1.8 tokens in 10 ms."""
    found = ask(prune="never")
    decision = found.decision
    assert decision.sizes[:4] == (0, 1, 2, 3)
    assert decision.expected_lengths[:4] == pytest.approx((1, 1.5, 1.8, 2.0), abs=1e-3)
    assert decision.estimated_ms[:4] == pytest.approx((10, 10, 10, 20))
    assert (decision.chosen, found.tree.ranks, found.tree.depths) == (2, (0, 0, 1), (0, 1, 1))
    assert promise(decision).speed / found.plain.speed == pytest.approx(1.8, abs=1e-3)


def test_perfect_heads_and_free_nodes_give_the_deepest_chain() -> None:
    found = ask(accuracy=1, further_heads=1, slope_ms=0, heads=4)
    assert found.tree.parents == (-1, 0, 1, 2, 3)
    assert promise(found.decision).length == 5
    assert promise(found.decision).speed == pytest.approx(5 * found.plain.speed)


def test_free_nodes_give_the_largest_tree() -> None:
    found = ask(accuracy=0.8, further_heads=0.9, slope_ms=0, heads=4, prune="never")
    assert found.decision.chosen == 63
    assert promise(found.decision).length == pytest.approx(found.fixed.length)


@pytest.mark.parametrize("changes", [{"accuracy": 0}, {"heads": 0}])
def test_useless_heads_give_no_tree(changes: dict[str, float]) -> None:
    found = ask(**changes, draft_ms=1)
    assert found.decision.chosen == 0
    assert found.tree.size == 0
    assert promise(found.decision) == found.plain
    assert all(batch.chosen.size == 0 for batch in found.batches)


@pytest.mark.parametrize("accuracy", [0.2, 0.5, 0.9])
@pytest.mark.parametrize(("rise", "slope"), [(1, 0.05), (16, 0.5), (100, 0.1), (500, 2.0)])
def test_a_row_of_a_larger_batch_never_gets_more(accuracy: float, rise: int, slope: float) -> None:
    """The paper's point. With costs that are flat and then rise, other rows only take away; but
    sizes are tried in steps, and between two steps as good a batch may take the larger."""
    known = basis(flat_then_rising(10, rise, slope))
    for prune in ("never", "pays"):
        found = ask(known, accuracy=accuracy, heads=4, prune=prune)
        sizes = [batch.chosen.size / batch.rows for batch in found.batches]
        assert all(more <= 1.1 * less for less, more in pairwise(sizes)), prune


def test_the_fixed_tree_is_medusas_and_costs_what_its_tokens_cost() -> None:
    """Four rows with all four known guesses each and the 59 that are worth next to nothing."""
    found = ask(rows=4, prune="never")
    assert found.fixed.size == 4 * 63
    assert found.fixed.length == pytest.approx(4 * sum(grow(found.acceptance, 63).values))
    assert found.fixed.milliseconds == pytest.approx(10 + 10 * (4 * 64 - 3))
    assert found.plain.milliseconds == pytest.approx(20)


def test_the_numbers_are_those_of_the_engines_cost_model() -> None:
    table = CostTable(((1, 2.0),), ((1, 1.0), (9, 5.0)), ((1, 0.5),), ((1, 9.0), (9, 45.0)), 0.01)
    found = ask(basis(table), prune="never", past=100)
    cost = CurveCost(table)
    for size, time in zip(found.decision.sizes, found.decision.estimated_ms, strict=True):
        work = Work(1, 1 + size, 1 + size, 100, False, size > 0)
        assert time == pytest.approx(cost.estimate(work), rel=1e-6)


def test_pruning_that_loses_nothing_and_drops_much_pays() -> None:
    found = ask(accuracy=0.6, heads=4, rows=8, recall=1, kept=0.1, layer=1)
    assert found.decision.prunes
    assert promise(found.pruned).speed > promise(found.unpruned).speed
    assert max(found.survive[1:]) < 1


@pytest.mark.parametrize(
    "changes", [{"recall": 0.0}, {"look_ms": 500}, {"layer": 9, "recall": 0.8}]
)
def test_pruning_that_costs_more_than_it_saves_is_left_out(changes: dict[str, float]) -> None:
    known = basis(flat_then_rising(10, 24, 0.5))
    found = ask(known, accuracy=0.6, heads=4, rows=8, kept=0.3, **changes)
    assert not found.decision.prunes
    assert found.decision == found.unpruned
    assert found.survive == (1.0,) * (found.tree.size + 1)
    assert promise(found.pruned).speed < promise(found.unpruned).speed


def test_a_choice_can_be_overruled() -> None:
    known = basis(flat_then_rising(10, 24, 0.5))
    changes = {"accuracy": 0.6, "heads": 4, "rows": 8, "kept": 0.3, "layer": 9, "recall": 0.8}
    always, never = ask(known, prune="always", **changes), ask(known, prune="never", **changes)
    assert always.decision.prunes and always.decision == always.pruned
    assert not never.decision.prunes and never.decision == never.unpruned


def test_batches_hold_the_forecasts_of_their_own_sizes() -> None:
    whole = ask(accuracy=0.6, heads=3)
    assert tuple(batch.rows for batch in whole.batches) == BATCHES
    for batch in whole.batches:
        alone = ask(accuracy=0.6, heads=3, rows=batch.rows)
        assert batch.chosen == promise(alone.decision)
        assert (batch.plain, batch.fixed) == (alone.plain, alone.fixed)


def test_the_acceptance_of_the_basis_is_used_as_it_is() -> None:
    for row, own in zip(ask().acceptance, ACCEPTANCE, strict=True):
        assert row == pytest.approx(own, abs=1e-3)
