"""Accuracies as three numbers over a measured table."""

from __future__ import annotations

import itertools

import pytest

from propd.forecast.basis import settle
from propd.forecast.guesses import acceptance, fit
from propd.heads.published import acceptance_prior
from propd.planning.drafts import RANKS
from tests.forecast.bases import basis

MEDUSA = acceptance_prior("lmsys/vicuna-7b-v1.3", 4)


def bent(table: tuple[tuple[float, ...], ...], **changes: float) -> tuple[tuple[float, ...], ...]:
    known = basis(acceptance=table)
    return acceptance(table, settle(known, changes))


def test_the_fitted_numbers_give_the_table_back() -> None:
    for row, own in zip(bent(MEDUSA), MEDUSA, strict=True):
        assert row == pytest.approx(own, abs=1e-6)


def test_three_numbers_tell_a_published_table_well() -> None:
    """The k-th guess of a head, the better ones being wrong, is right about 1/k as often."""
    found = fit(MEDUSA)
    assert found.accuracy == MEDUSA[0][0]
    assert found.further_ranks == pytest.approx(1.1, abs=0.1)
    assert found.further_heads == pytest.approx((MEDUSA[3][0] / MEDUSA[0][0]) ** (1 / 3))


def test_perfect_is_perfect_whatever_was_measured() -> None:
    table = bent(MEDUSA, accuracy=1, further_heads=1, heads=6)
    assert table == ((1.0, *[0.0] * (RANKS - 1)),) * 6


def test_accuracy_zero_is_never_right() -> None:
    assert bent(MEDUSA, accuracy=0) == ((0.0,) * RANKS,) * 4


def test_more_heads_go_on_falling() -> None:
    best = [row[0] for row in bent(MEDUSA, heads=7)]
    assert best[:4] == pytest.approx([row[0] for row in MEDUSA])
    assert best == sorted(best, reverse=True)
    assert best[6] < best[3]


def test_nothing_is_right_more_often_than_always() -> None:
    values = itertools.product((0, 0.3, 0.9, 1), (0, 0.7, 1), (0, 1, 5))
    for accuracy, heads, ranks in values:
        table = bent(MEDUSA, accuracy=accuracy, further_heads=heads, further_ranks=ranks)
        assert all(0 <= chance <= 1 for row in table for chance in row)
        assert all(sum(row) <= 1 + 1e-9 for row in table)


@pytest.mark.parametrize("name", ["accuracy", "further_heads"])
def test_better_numbers_never_make_worse_heads(name: str) -> None:
    covered = [sum(map(sum, bent(MEDUSA, **{name: value / 10}))) for value in range(11)]
    assert covered == sorted(covered)


def test_heads_that_were_never_right_have_numbers_too() -> None:
    assert fit(((0.0, 0.0),)).accuracy == 0
    assert fit(()).accuracy == 0
    assert bent(((0.0,) * RANKS,), accuracy=0.5)[0][0] == pytest.approx(0.5)
