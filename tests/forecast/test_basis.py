"""What may be asked, and what a stranger may send."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from propd.errors import InvalidRequest
from propd.forecast.basis import basis_from_json, basis_to_json, settle
from propd.forecast.settings import LIMITS
from tests.forecast.bases import basis


def test_changes_are_taken_and_the_rest_is_the_basis() -> None:
    known = basis()
    own, changed = settle(known, {}), settle(known, {"rows": 4.0, "accuracy": 1, "prune": "never"})
    assert (changed.rows, changed.accuracy, changed.prune) == (4, 1.0, "never")
    assert isinstance(changed.rows, int)
    assert (changed.floor_ms, changed.further_heads) == (own.floor_ms, own.further_heads)


def test_no_prune_layer_is_after_the_last() -> None:
    assert settle(basis(), {"layer": 100}).layer == 9


@pytest.mark.parametrize("name", LIMITS)
def test_every_number_has_its_limits(name: str) -> None:
    least, most, _ = LIMITS[name]
    settle(basis(), {name: least})
    settle(basis(), {name: most})
    for value in (least - 1, most + 1, float("nan"), float("inf"), "3", None, True, [1]):
        with pytest.raises(InvalidRequest, match=name):
            settle(basis(), {name: value})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rows": 1.5}, "rows must be a whole number"),
        ({"prune": "maybe"}, "pays, always, never"),
        ({"prune": ["pays"]}, "pays, always, never"),
        ({"<b>": 1}, "no setting '<b>'"),
        ([1], "object of names"),
    ],
)
def test_what_is_no_setting_is_refused(changes: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        settle(basis(), changes)


def test_a_basis_survives_json() -> None:
    known = basis()
    assert basis_from_json(json.loads(json.dumps(basis_to_json(known)))) == known


BREAKS: dict[str, Any] = {
    "costs": [None, {}, {"format": "propd-costs/1"}, 3],
    "layers": [0, 1e9, "30", None, True],
    "cost_layer": [0, 11, None],
    "layer": [0, 10, 2.5],
    "top_k": [0, -1, "50"],
    "acceptance": [None, [[]], [[2.0]], [["x"]], [[0.1] * 11], [[0.1]] * 9, [[float("nan")]]],
    "cuts": [None, [], [{}], 5, [{"depth": 0.1, "top_k": 1, "stay": [], "recall": 0.5}]],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BREAKS.items() for value in values]
)
def test_a_broken_basis_is_refused(name: str, value: Any) -> None:
    data = basis_to_json(basis())
    with pytest.raises(InvalidRequest):
        basis_from_json(data | {name: value})
    del data[name]
    with pytest.raises(InvalidRequest):
        basis_from_json(data)


def test_a_table_of_very_many_points_is_refused() -> None:
    data = basis_to_json(basis())
    data["costs"]["late"] = [[count, 1.0] for count in range(1, 200)]
    with pytest.raises(InvalidRequest, match="points"):
        basis_from_json(data)


def test_counts_of_any_size_take_no_time() -> None:
    """The fit tried every number of tokens up to the largest count."""
    data = basis_to_json(basis())
    data["costs"]["late"] = [[1, 1.0], [2_000_000_000, 2.0]]
    assert settle(basis_from_json(data), {}).floor_ms == pytest.approx(2.0)


def test_cuts_that_tell_of_different_places_are_refused() -> None:
    data = copy.deepcopy(json.loads(json.dumps(basis_to_json(basis()))))
    data["cuts"][0]["stay"] = [[0.5]]
    with pytest.raises(InvalidRequest, match="different places"):
        basis_from_json(data)


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_what_is_no_object_is_refused(data: Any) -> None:
    with pytest.raises(InvalidRequest):
        basis_from_json(data)
