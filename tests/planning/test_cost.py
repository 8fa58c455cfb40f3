"""Curves, the paper's line, and what they are asked."""

import pytest

from propd.core import CostTable, Milliseconds
from propd.planning.cost import CurveCost, FrozenCost, LineCost, Work
from propd.planning.curve import Curve, monotone
from propd.planning.sweep import join_tables, least_of, lowest

TABLE = CostTable(
    draft=((1, 2.0),),
    early=((1, 4.0), (8, 4.0), (16, 8.0)),
    prune=((1, 1.0), (16, 2.5)),
    late=((1, 30.0), (8, 30.0), (16, 50.0)),
    past_row_ms=0.01,
    past_token_ms=0.001,
)


def spent(total: float) -> Milliseconds:
    return Milliseconds(late=total)


def test_neighbours_that_fall_are_pooled() -> None:
    assert monotone([1.0, 3.0, 2.0, 4.0]) == [1.0, 2.5, 2.5, 4.0]
    assert monotone([3.0, 2.0, 1.0]) == [2.0, 2.0, 2.0]


def test_a_curve_is_flat_then_steps_up_and_goes_on() -> None:
    """Verification costs the same for a while; a straight line cannot say so."""
    curve = Curve(((1, 30.0), (8, 30.0), (16, 50.0)))
    assert [curve(n) for n in (0, 1, 5, 8, 12, 16, 24)] == [30, 30, 30, 30, 40, 50, 70]


def test_a_curve_learns_between_its_points() -> None:
    curve = Curve(((0, 10.0), (10, 20.0)))
    curve.learn(5, 25.0, rate=0.5)  # 10 above what it said: half of half of it to each side
    assert curve(5) == pytest.approx(17.5)
    curve.learn(20, 50.0, rate=0.5)
    assert curve(20) == 50.0


def test_pruning_pays_in_the_late_segment() -> None:
    """16 tokens of which 8 survive: the late layers cost what 8 cost, and the early head's time."""
    cost = CurveCost(TABLE)
    assert cost.estimate(Work(1, 16, 16, drafted=True)) == pytest.approx(2 + 8 + 50)
    pruned = Work(1, 16, 8, pruned=True, drafted=True)
    assert cost.estimate(pruned) == pytest.approx(2 + 8 + 2.5 + 30)


def test_plain_decoding_pays_for_no_draft() -> None:
    assert CurveCost(TABLE).estimate(Work(1, 1, 1)) == pytest.approx(4 + 30)


def test_past_and_rows_count() -> None:
    cost = CurveCost(TABLE)
    near = cost.estimate(Work(2, 2, 2))
    assert cost.estimate(Work(2, 2, 2, past=100)) == pytest.approx(near + 100 * (0.02 + 0.002))


def test_a_slower_machine_scales_every_size() -> None:
    """Seeing one size slow down must not make the others look cheap."""
    cost = CurveCost(TABLE)
    works = [Work(1, 1, 1), Work(1, 16, 16)]
    before = [cost.estimate(work) for work in works]
    for _ in range(200):
        cost.observe(works[0], Milliseconds(early=8.0, late=60.0))
    after = [cost.estimate(work) for work in works]
    assert [b / a for a, b in zip(before, after, strict=True)] == pytest.approx([2, 2], rel=0.1)


def test_the_shape_is_learned_too() -> None:
    """Late layers that cost three times as much at 16 tokens as recorded, and the same at 1."""
    cost = CurveCost(TABLE)
    for _ in range(300):
        cost.observe(Work(1, 1, 1), Milliseconds(early=4.0, late=30.0))
        large = Work(1, 16, 16, drafted=True)
        cost.observe(large, Milliseconds(draft=2.0, early=8.0, late=150.0))
    ratio = cost.estimate(large) / cost.estimate(Work(1, 1, 1))
    assert ratio == pytest.approx(160 / 34, rel=0.1)


def test_a_frozen_model_learns_nothing() -> None:
    cost = FrozenCost(CurveCost(TABLE))
    before = cost.estimate(Work(1, 8, 8))
    cost.observe(Work(1, 8, 8), spent(1000.0))
    assert cost.estimate(Work(1, 8, 8)) == before


def test_the_line_goes_through_exact_points() -> None:
    base, slope = LineCost({0: 10.0, 8: 14.0, 16: 18.0}).coefficients()
    assert (base, slope) == pytest.approx((10.0, 0.5))


def test_recent_sizes_weigh_more() -> None:
    """After the machine has slowed down, the sizes seen since then carry the line."""
    cost = LineCost({0: 10.0, 63: 20.0})
    for _ in range(200):
        cost.observe(Work(1, 9, 9), spent(40.0))
    base, slope = cost.coefficients()
    assert base + 8 * slope == pytest.approx(40, abs=5)


def test_the_slope_is_never_negative() -> None:
    """Noise may make a larger tree look cheaper; believing it would grow trees without end."""
    assert LineCost({0: 20.0, 8: 10.0}).coefficients()[1] == 0.0


def test_the_line_begins_with_the_table() -> None:
    line = LineCost.from_table(TABLE, pruned=False)
    assert line.means == {0: 34.0, 7: 36.0, 15: 60.0}


def test_drafts_that_came_to_nothing_are_paid_for() -> None:
    """The heads ran and the tree is a root: their time must not make the layers look slow."""
    cost = CurveCost(TABLE)
    for _ in range(200):
        cost.observe(Work(1, 1, 1, drafted=True), Milliseconds(draft=2.0, early=4.0, late=30.0))
    assert cost.scale == pytest.approx(1.0, abs=0.01)


def test_a_table_of_zeros_gives_some_time() -> None:
    """L(n) / T(n) must not divide by nothing."""
    zeros = CostTable((), ((1, 0.0),), (), ((1, 0.0),))
    assert CurveCost(zeros).estimate(Work(1, 1, 1)) > 0


def test_of_several_sweeps_the_least_counts() -> None:
    """Other work on the machine only ever adds, so the smaller time is nearer to the truth."""
    one = CostTable(((1, 3.0),), ((1, 10.0), (2, 12.0)), ((2, 1.0),), ((1, 50.0),), 0.2, 0.1)
    other = CostTable(((1, 2.0),), ((1, 11.0), (4, 13.0)), (), ((1, 40.0),), 0.1, 0.3)
    assert least_of(one, other) == CostTable(
        ((1, 2.0),), ((1, 10.0), (2, 12.0), (4, 13.0)), ((2, 1.0),), ((1, 40.0),), 0.1, 0.1
    )


def test_more_work_takes_no_less_time() -> None:
    """A point above a later one met other work on the machine: it is brought down, alone."""
    assert lowest({1: 31.0, 3: 54.0, 4: 35.0, 8: 43.0}) == (
        (1, 31.0),
        (3, 35.0),
        (4, 35.0),
        (8, 43.0),
    )
    one = CostTable(((1, 3.0),), ((1, 10.0), (2, 12.0)), (), ((1, 50.0),))
    other = CostTable(((8, 2.0),), ((4, 9.0),), (), ((8, 60.0),))
    joined = join_tables(one, other)
    assert joined.draft == ((1, 2.0), (8, 2.0)) and joined.early == ((1, 9.0), (2, 9.0), (4, 9.0))


def test_a_pass_of_one_row_says_nothing_of_as_many_tokens_of_a_batch() -> None:
    """Twelve tokens of one row took 37 ms and of eight rows 47: mixed, the curve of the batch fell,
    was made flat, and trees looked a fifth cheaper than they were."""
    alone = CostTable((), ((1, 12.0), (4, 17.0), (8, 26.0), (12, 37.0)), (), ())
    batch = CostTable((), ((8, 35.0), (9, 45.0), (16, 53.0)), (), ())
    assert join_tables(alone, batch).early == (
        (1, 12.0), (4, 17.0), (8, 35.0), (9, 45.0), (16, 53.0),
    )  # fmt: skip
