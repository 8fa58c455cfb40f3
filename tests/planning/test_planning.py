"""Estimator, calibration, and the choice of size."""

from typing import Any, Literal

import pytest

from propd.core import CostTable, Milliseconds, SizeDecision, TokenTree
from propd.planning.chances import AcceptanceEstimator, Calibration, RunningRatio
from propd.planning.cost import CurveCost, FrozenCost, LineCost, Work
from propd.planning.drafts import NO_DRAFTS, Drafts, Guesses, HeadDrafts
from propd.planning.dynamic import DynamicPlanner
from propd.planning.exploration import Explorer
from propd.planning.feedback import Feedback, RowFeedback
from propd.planning.planner import Outlook
from propd.tree.growth import grow

TABLE = [[0.5, 0.1, 0.05], [0.3, 0.1, 0.05]]


def test_the_estimator_moves_towards_what_it_sees() -> None:
    estimator = AcceptanceEstimator([[0.5, 0.1]], rate=0.5)
    estimator.observe(1, 1)
    assert estimator.table == [[0.25, 0.55]]
    estimator.observe(1, None)
    assert estimator.table == [[0.125, 0.275]]


def test_a_miss_moves_the_belief_by_bayes_rule() -> None:
    estimator = AcceptanceEstimator([[0.4, 0.1]], rate=0.5)
    estimator.observe(1, None)
    belief = (0.98 * 0.5) / (0.98 * 0.5 + 0.02 * 0.98) / 0.98  # of .98 at first
    assert estimator.belief == pytest.approx(belief)
    assert estimator.table == [pytest.approx([belief * 0.2, belief * 0.05])]


def test_the_prior_gives_way_to_the_text() -> None:
    """Heads that are right on their own text and wrong on this one must be found out soon."""
    estimator = AcceptanceEstimator([[0.6, 0.1]])
    for _ in range(20):
        estimator.observe(1, None)
    assert estimator.table[0][0] < 0.6 * 0.52


def test_heads_that_never_hit_are_soon_not_believed() -> None:
    """The means alone would need dozens of misses; a list that holds .75 needs eight."""
    estimator = AcceptanceEstimator([[0.5, 0.25]])
    beliefs = [estimator.belief]
    for _ in range(8):
        estimator.observe(1, None)
        beliefs.append(estimator.belief)
    assert beliefs == sorted(beliefs, reverse=True)
    assert beliefs[0] == 1 and beliefs[-1] < 0.1


def test_two_hits_bring_the_belief_back() -> None:
    """Of .02 after fifty misses; a head that knows nothing hits one time in fifty."""
    estimator = AcceptanceEstimator([[0.5, 0.25], [0.3, 0.1]])
    for _ in range(50):
        estimator.observe(1, None)
    estimator.observe(2, 0)  # deeper guesses say nothing of it
    low = estimator.belief
    estimator.observe(1, 1)
    estimator.observe(1, 0)
    assert low < 0.06 and estimator.belief > 0.5


def test_heads_that_hit_one_time_in_three_stay_believed() -> None:
    """Hard text is not useless heads."""
    estimator = AcceptanceEstimator([[0.5, 0.25]])
    for step in range(60):
        estimator.observe(1, 0 if step % 3 == 2 else None)
        assert estimator.belief > 0.4
    assert estimator.belief == 1


def test_the_estimator_does_not_touch_its_prior() -> None:
    """The prior belongs to the heads, which are shared by all sessions."""
    prior = ((0.5, 0.1),)
    AcceptanceEstimator(prior).observe(1, 0)
    assert prior == ((0.5, 0.1),)


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


def test_a_ratio_is_what_came_true_of_what_was_claimed() -> None:
    trust = RunningRatio()
    trust.observe(1.0, 17.0)  # the first of 16 observations, 15 of them the prior's
    assert trust.value == pytest.approx(1 / 2)
    for _ in range(400):
        trust.observe(1.0, 2.0)
    assert trust.value == pytest.approx(0.5, abs=0.01)


def planner(
    slope: float,
    table: list[list[float]] = TABLE,
    base: float = 10.0,
    prunes: Literal["never", "always", "pays"] = "never",
    **settings: Any,
) -> DynamicPlanner:
    """A step of n nodes takes base + slope * n milliseconds."""
    late = ((1, base), (101, base + 100 * slope))
    cost = FrozenCost(CurveCost(CostTable((), ((1, 0.0),), ((1, 0.5),), late)))
    return DynamicPlanner(
        AcceptanceEstimator(table), cost, settings.pop("max_nodes", 63), prunes=prunes, **settings
    )


def plan(
    planner: DynamicPlanner, deepest: tuple[int, ...] = (9,), drafts: list[Drafts] | None = None
) -> tuple[list[TokenTree], SizeDecision]:
    outlook = Outlook(deepest)
    wanted = planner.wants_drafts(outlook)
    return planner.plan(outlook, drafts if drafts and wanted else [NO_DRAFTS] * len(deepest))


def test_free_nodes_make_large_trees_and_dear_ones_small() -> None:
    sizes = [plan(planner(price))[0][0].size for price in (0.0, 0.3, 3.0)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_useless_heads_lead_to_plain_decoding_without_drafting() -> None:
    """Size 0 is a legal choice, and then the heads do not even run: neither is to be paid for."""
    useless = planner(0.2, [[0.001] * 3] * 2)
    assert not useless.wants_drafts(Outlook((9,)))
    [tree], decision = useless.plan(Outlook((9,)), [NO_DRAFTS])
    assert tree.size == decision.chosen == 0


def test_the_choice_is_the_best_ratio() -> None:
    _, decision = plan(planner(0.2))
    ratio = [
        length / time
        for length, time in zip(decision.expected_lengths, decision.estimated_ms, strict=True)
    ]
    assert decision.sizes[ratio.index(max(ratio))] == decision.chosen
    assert decision.expected_lengths[0] == 1.0


def test_expected_length_is_one_plus_the_values() -> None:
    [tree], decision = plan(planner(0.0))
    assert decision.expected_lengths[-1] == pytest.approx(sum(tree.values))


@pytest.mark.parametrize(("values", "gain"), [("contextual", 0.5), ("rank", 1.0)])
def test_trees_that_promised_too_much_are_believed_less(
    values: Literal["rank", "contextual"], gain: float
) -> None:
    """The chosen tree is of the guesses that look best; by rank (paper) that is not corrected."""
    boastful, fresh = planner(0.2, values=values), planner(0.2, values=values)
    tree = TokenTree((-1, 0), (0, 0), (0, 1), (1.0, 0.8))
    row = RowFeedback(tree, (True, True), False, (), (True,), ())
    missed = RowFeedback(tree, (True, True), False, (), (None,), ())
    for step in range(400):
        seen = row if step % 5 in (0, 2) else missed
        boastful.learn(Feedback(Work(1, 2, 2), Milliseconds(), (seen,)))
    promised, believed = (plan(one)[1].expected_lengths[1] - 1 for one in (fresh, boastful))
    assert believed == pytest.approx(gain * promised, rel=0.1)


def test_no_tree_is_deeper_than_the_text_can_grow() -> None:
    for deepest in (0, 1, 2):
        [tree], _ = plan(planner(0.0), (deepest,))
        assert max(tree.depths) <= deepest


def one_list(*chances: float) -> HeadDrafts:
    """Tokens 1, 2, ... with these chances at depth 1, nothing deeper."""
    return HeadDrafts((Guesses(tuple(range(1, len(chances) + 1)), chances),))


def contextual(slope: float) -> DynamicPlanner:
    return planner(slope, [[0.5, 0.1, 0.1]], values="contextual")


def test_contextual_values_follow_the_heads() -> None:
    """The tree of a step in which head 1 is sure differs from one in which it is not."""
    sure = one_list(0.95, 0.01, 0.01)
    unsure = one_list(0.3, 0.29, 0.01)
    assert plan(contextual(0.4), drafts=[sure])[0][0].size == 1
    assert plan(contextual(0.4), drafts=[unsure])[0][0].size == 2


def test_rows_share_the_budget_by_value() -> None:
    """A row whose heads are unsure yields its nodes to one whose next node is worth more."""
    rich = one_list(0.4, 0.3, 0.2)
    poor = one_list(0.02, 0.01, 0.01)
    trees, decision = plan(contextual(0.3), (9, 9), [rich, poor])
    assert [tree.size for tree in trees] == [3, 0]
    assert decision.chosen == 3
    assert decision.expected_lengths[0] == 2.0  # each row writes at least one token


def test_the_last_rows_of_a_product_are_candidates() -> None:
    """Where a fifth token costs as much as the next three, a pass of 8 or 12 is the one to take."""
    costs = CostTable(
        (), (), (), ((3, 30.0), (4, 30.0), (5, 40.0), (8, 41.0), (9, 51.0), (12, 52.0))
    )
    made = DynamicPlanner(AcceptanceEstimator(TABLE), FrozenCost(CurveCost(costs)), 63)
    trees, decision = plan(made, (9, 9, 9))
    assert {1, 5, 9, 13} <= set(decision.sizes)  # with three roots 4, 8, 12, 16
    assert decision.chosen == sum(tree.size for tree in trees) == 5


def test_a_tree_that_promises_hardly_more_is_not_drafted() -> None:
    """A node of .5 for half as much time again is nothing gained; for 45% it is 3.4% gained."""
    for price, chosen in ((4.9, 0), (4.5, 1)):
        made = planner(price, [[0.5]])
        [tree], decision = plan(made)
        assert tree.size == decision.chosen == chosen, price


def test_a_row_near_its_end_leaves_its_nodes_to_others() -> None:
    trees, decision = plan(planner(0.1), (0, 9))
    assert trees[0].size == 0
    assert trees[1].size == decision.chosen > 0
    assert decision.reason == "end"


def test_pruning_is_used_where_it_pays() -> None:
    """Dear nodes of which an early head cuts two thirds: prune, and grow more. Free nodes: not."""
    wide = [[0.25, 0.22, 0.2]]
    dear, free = (planner(price, wide, prunes="pays") for price in (2.4, 0.0))
    for one in (dear, free):
        for _ in range(200):
            one.learn(PRUNED)
    assert plan(dear)[1].prunes
    assert not plan(free)[1].prunes
    assert plan(dear)[1].chosen > plan(planner(2.4, wide))[1].chosen


PRUNED = Feedback(
    Work(1, 4, 2, pruned=True),
    Milliseconds(),
    (RowFeedback(grow([[0.25, 0.22, 0.2]], 3), (True, False, True, False), True, (), (True,),
                 (0.9,)),),
)  # fmt: skip
"""Three nodes at depth 1; the early head left one, the true one."""


def test_the_line_of_the_paper_is_told() -> None:
    cost = LineCost({0: 10.0, 10: 12.0})
    dynamic = DynamicPlanner(AcceptanceEstimator(TABLE), cost, 63)
    assert plan(dynamic)[1].cost_coefficients == pytest.approx((10.0, 0.2))
    assert plan(planner(0.2))[1].cost_coefficients == ()


def test_the_largest_tree_asked_for_is_a_candidate() -> None:
    assert plan(planner(0.0, max_nodes=5))[0][0].size == 5


def test_contextual_steps_explore_once() -> None:
    """The allowance is charged for what is run, and what is charged is run."""
    one = contextual(0.4)
    one.explorer = Explorer(share=0.5, stale=3)
    sure = one_list(0.95, 0.01, 0.01)
    explored = 0
    for _ in range(60):
        before = one.explorer.allowance
        [tree], decision = plan(one, drafts=[sure])
        assert (one.explorer.allowance < before) <= (decision.reason == "explore")
        explored += decision.reason == "explore"
        work = Work(1, 1 + tree.size, 1 + tree.size, drafted=True)
        one.explorer.learn(work, 12.0)
    assert explored > 3


def test_coefficients_in_a_batch_count_the_roots() -> None:
    """T(0) of three rows is b0, not the time of one row alone."""
    cost = LineCost({0: 10.0, 10: 12.0})
    dynamic = DynamicPlanner(AcceptanceEstimator(TABLE), cost, 63)
    decision = plan(dynamic, (9, 9, 9))[1]
    assert decision.cost_coefficients[0] == pytest.approx(decision.estimated_ms[0])


@pytest.mark.parametrize("prunes", ["never", "pays"])
def test_many_heads_may_guess_deeper_than_the_text(prunes: Literal["never", "pays"]) -> None:
    """Sixteen heads that are nearly always right, and a node for nothing: a tree of depth 16."""
    flat = CostTable((), ((1, 0.0),), ((1, 0.0),), ((1, 10.0), (64, 10.1)))
    planner = DynamicPlanner(
        AcceptanceEstimator([[0.95] + [0.001] * 9] * 16), CurveCost(flat), 63, prunes=prunes
    )
    outlook = Outlook((60,))
    assert planner.wants_drafts(outlook)
    trees, _ = planner.plan(outlook, [NO_DRAFTS])
    assert max(trees[0].depths) == 16
