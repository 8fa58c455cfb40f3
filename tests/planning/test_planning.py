"""Estimator, cost model, and the choice of size."""

import pytest

from propd.planning.acceptance import AcceptanceEstimator, Calibration
from propd.planning.cost import CostModel
from propd.planning.planner import NO_DRAFTS, Drafts, DynamicPlanner

TABLE = [[0.5, 0.1, 0.05], [0.3, 0.1, 0.05]]


def test_the_estimator_moves_towards_what_it_sees() -> None:
    estimator = AcceptanceEstimator([[0.5, 0.1]], rate=0.5)
    estimator.observe(1, 1)
    assert estimator.table == [[0.25, 0.55]]
    estimator.observe(1, None)
    assert estimator.table == [[0.125, 0.275]]


def test_the_prior_gives_way_to_the_text() -> None:
    """Heads that are right on their own text and wrong on this one must be found out soon."""
    estimator = AcceptanceEstimator([[0.6, 0.1]])
    for _ in range(20):
        estimator.observe(1, None)
    assert estimator.table[0][0] < 0.6 * 0.52


def test_the_estimator_does_not_touch_its_prior() -> None:
    """The prior belongs to the heads, which are shared by all sessions."""
    prior = ((0.5, 0.1),)
    AcceptanceEstimator(prior).observe(1, 0)
    assert prior == ((0.5, 0.1),)


def test_the_line_goes_through_exact_points() -> None:
    base, slope = CostModel({0: 10.0, 8: 14.0, 16: 18.0}).coefficients()
    assert (base, slope) == pytest.approx((10.0, 0.5))


def test_recent_sizes_weigh_more() -> None:
    """After the machine has slowed down, the sizes seen since then carry the line."""
    cost = CostModel({0: 10.0, 63: 20.0})
    for _ in range(200):
        cost.observe(8, 40.0)
    base, slope = cost.coefficients()
    assert base + 8 * slope == pytest.approx(40, abs=5)


def test_the_slope_is_never_negative() -> None:
    """Noise may make a larger tree look cheaper; believing it would grow trees without end."""
    assert CostModel({0: 20.0, 8: 10.0}).coefficients()[1] == 0.0


def test_boastful_heads_are_corrected() -> None:
    """Heads trained on other text claim too much; trees sized by their word would be too large."""
    calibration = Calibration(2)
    assert calibration.corrected([[0.8, 0.1]]) == [[0.8, 0.1]]
    for step in range(400):
        calibration.observe(1, right=step % 2 == 0, claimed=0.9)
    (row,) = calibration.corrected([[0.9, 0.09]])
    assert row == pytest.approx([0.5, 0.05], abs=0.05)


def test_modest_heads_never_become_certain() -> None:
    calibration = Calibration(1)
    for _ in range(400):
        calibration.observe(1, right=True, claimed=0.3)
    assert calibration.corrected([[0.9, 0.1]])[0][0] == 0.99


def planner(costs: dict[int, float], table: list[list[float]] = TABLE) -> DynamicPlanner:
    return DynamicPlanner(AcceptanceEstimator(table), CostModel(costs), max_nodes=63)


def test_free_nodes_make_large_trees_and_dear_ones_small() -> None:
    sizes = [
        planner({0: 10.0, 10: 10.0 + price}).plan([NO_DRAFTS], [9])[0][0].size
        for price in (0.0, 3.0, 30.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_useless_heads_lead_to_plain_decoding() -> None:
    """Size 0 is a legal choice: trees that are never accepted must not be paid for."""
    [tree], decision = planner({0: 10.0, 10: 12.0}, [[0.001] * 3] * 2).plan([NO_DRAFTS], [9])
    assert tree.size == decision.chosen == 0


def test_the_choice_is_the_best_ratio() -> None:
    _, decision = planner({0: 10.0, 10: 12.0}).plan([NO_DRAFTS], [9])
    ratio = [
        length / time
        for length, time in zip(decision.expected_lengths, decision.estimated_ms, strict=True)
    ]
    assert decision.sizes[ratio.index(max(ratio))] == decision.chosen
    assert decision.expected_lengths[0] == 1.0


def test_expected_length_is_one_plus_the_values() -> None:
    [tree], decision = planner({0: 10.0, 10: 10.0}).plan([NO_DRAFTS], [9])
    assert decision.expected_lengths[-1] == pytest.approx(sum(tree.values))


def test_no_tree_is_deeper_than_the_text_can_grow() -> None:
    for deepest in (0, 1, 2):
        [tree], _ = planner({0: 10.0, 10: 10.0}).plan([NO_DRAFTS], [deepest])
        assert max(tree.depths) <= deepest


def test_contextual_values_follow_the_heads() -> None:
    """The tree of a step in which head 1 is sure differs from one in which it is not."""
    sure = Drafts(((1, 2),), ((1, 2),), ((0.95, 0.01),))
    unsure = Drafts(((1, 2),), ((1, 2),), ((0.2, 0.19),))
    costs = CostModel({0: 10.0, 10: 14.0})
    contextual = DynamicPlanner(AcceptanceEstimator([[0.5, 0.1]]), costs, 63, values="contextual")
    assert contextual.plan([sure], [9])[0][0].size == 1
    assert contextual.plan([unsure], [9])[0][0].size == 2


def test_rows_share_the_budget_by_value() -> None:
    """A row whose heads are unsure yields its nodes to one whose next node is worth more."""
    rich = Drafts(((1, 2, 3),), ((1, 2, 3),), ((0.4, 0.3, 0.2),))
    poor = Drafts(((1, 2, 3),), ((1, 2, 3),), ((0.02, 0.01, 0.01),))
    costs = CostModel({0: 10.0, 10: 14.0})
    contextual = DynamicPlanner(AcceptanceEstimator([[0.5, 0.1]]), costs, 63, values="contextual")
    trees, decision = contextual.plan([rich, poor], [9, 9])
    assert [tree.size for tree in trees] == [3, 1]
    assert decision.chosen == 4
    assert decision.expected_lengths[0] == 2.0  # each row writes at least one token
