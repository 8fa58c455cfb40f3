"""Costs as three numbers over a measured shape."""

from __future__ import annotations

import pytest

from propd.core import CostTable
from propd.forecast.basis import settle
from propd.forecast.datasheet import A100, VICUNA_7B, Roofline
from propd.forecast.machine import Machine, costs, draft_ms, fit, share_before
from propd.planning.curve import Curve
from tests.forecast.bases import basis, flat_then_rising

BUMPY = CostTable(
    draft=((1, 3.0), (8, 6.0)),
    early=((1, 4.0), (2, 4.1), (8, 5.0), (16, 6.5), (64, 12.0)),
    prune=((2, 1.0), (16, 2.0), (64, 4.0)),
    late=((1, 30.0), (2, 31.0), (8, 34.0), (16, 40.0), (64, 95.0)),
)


def total(table: CostTable, tokens: int) -> float:
    return Curve(table.early)(tokens) + Curve(table.late)(tokens)


def test_the_fitted_numbers_give_the_measured_table_back() -> None:
    known = basis(BUMPY)
    table = costs(known.machine, settle(known, {}))
    for points, measured in ((table.early, BUMPY.early), (table.late, BUMPY.late)):
        for tokens, time in measured:
            assert Curve(points)(tokens) == pytest.approx(time)
    assert table.draft == BUMPY.draft
    assert table.prune == BUMPY.prune


def test_a_line_is_found_as_it_was_made() -> None:
    assert fit(basis(flat_then_rising(10, 24, 0.5)).machine) == pytest.approx((10, 24, 0.5))


def test_floor_rise_and_slope_do_what_they_say() -> None:
    known = basis(flat_then_rising(10, 24, 0.5))
    table = costs(known.machine, settle(known, {"floor_ms": 20, "rise": 48, "slope_ms": 1}))
    expected = {1: 20, 40: 20, 148: 120}
    assert {tokens: total(table, tokens) for tokens in expected} == pytest.approx(
        expected, rel=0.03
    )


def test_a_measured_shape_keeps_its_first_token_when_it_is_stretched() -> None:
    """With a rise of 1 the second token stood where the first was, and the floor moved."""
    known = basis(BUMPY)
    for rise in (1, 3, 200):
        table = costs(known.machine, settle(known, {"rise": rise, "floor_ms": 50}))
        assert total(table, 1) == pytest.approx(50)


def test_no_slope_makes_every_tree_as_cheap_as_a_token() -> None:
    known = basis(BUMPY)
    table = costs(known.machine, settle(known, {"slope_ms": 0}))
    assert total(table, 2048) == pytest.approx(total(table, 1))


def test_a_flat_machine_can_be_given_a_slope() -> None:
    flat = CostTable((), ((1, 1.0), (9, 1.0)), (), ((1, 9.0), (9, 9.0)))
    known = basis(flat)
    assert fit(known.machine).slope_ms == 0
    table = costs(known.machine, settle(known, {"slope_ms": 2, "rise": 5}))
    assert (total(table, 5), total(table, 10)) == pytest.approx((10, 20))


def test_steps_are_flat_and_then_jump() -> None:
    known = basis(flat_then_rising(10, 4, 1))
    table = costs(known.machine, settle(known, {"step": 8}))
    times = [total(table, tokens) for tokens in (4, 5, 12, 13, 20, 21)]
    assert times == pytest.approx([10, 18, 18, 26, 26, 34])


def test_a_later_prune_layer_has_more_of_the_time_before_it() -> None:
    known = basis(flat_then_rising(10, 4, 1))
    table = costs(known.machine, settle(known, {"layer": 5}))
    assert Curve(table.early)(64) == pytest.approx(0.5 * total(table, 64))
    assert share_before(known.machine, 5) == pytest.approx(0.5)


def test_times_of_the_heads_can_be_set_even_where_there_were_none() -> None:
    known = basis(BUMPY)
    table = costs(known.machine, settle(known, {"draft_ms": 6, "look_ms": 1}))
    assert table.draft == ((1, 6.0), (8, 12.0))
    assert Curve(table.prune)(16) == pytest.approx(1)
    silent = basis(flat_then_rising(10, 4, 1))
    assert draft_ms(silent.machine) == 0
    table = costs(silent.machine, settle(silent, {"draft_ms": 6, "look_ms": 1}))
    assert (table.draft, table.prune) == (((1, 6.0),), ((1, 1.0),))


def test_a_data_sheet_by_hand() -> None:
    """Vicuna 7B on an A100: 13.48 GB through 80% of 2,039 GB/s; 13.48 GFLOP at half of 312."""
    line = Roofline(A100, VICUNA_7B)
    assert line.floor_ms == pytest.approx(13.48 / (2.039 * 0.8), rel=1e-6)
    assert line.slope_ms == pytest.approx(13.48 / 156, rel=1e-6)
    assert line.rise == 96
    machine = line.machine(4)
    assert fit(machine) == pytest.approx((line.floor_ms, line.rise, line.slope_ms))
    assert draft_ms(machine) == pytest.approx(1.4785 / (2.039 * 0.8), rel=1e-3)
    assert share_before(machine, 32) == pytest.approx(0.96, abs=0.005)


def test_a_machine_of_one_measured_size_has_no_slope() -> None:
    machine = Machine(CostTable((), ((1, 5.0),), (), ((1, 20.0),)), 4, 30)
    assert fit(machine) == (25.0, 1, 0.0)
