"""Results of a stranger: read like ours, or refused with one sentence."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from app.benchmarks import told
from propd.benchmark.result_checks import checked
from propd.benchmark.results import Results, read_results, write_results
from propd.errors import InvalidTrace
from tests.benchmark.benches import two_groups

ABOUT = {
    "model": "tiny",
    "dtype": "float32",
    "device": "cpu",
    "threads": 2,
    "peers": {"other": "other 1"},
    "batch_sizes": [1],
    "cache_bytes": {"1": 5e6},
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("results") / "results.json"
    write_results(path, Results.of(ABOUT, two_groups()))
    return dict(json.loads(path.read_text()))


def test_our_own_results_are_read_as_they_are() -> None:
    path = Path(__file__).parents[2] / "docs" / "benchmark.json"
    ours, theirs = read_results(path), checked(json.loads(path.read_text()))
    assert (theirs.totals, theirs.groups) == (ours.totals, ours.groups)
    assert dict(theirs.categories) == dict(ours.categories)
    assert theirs.about == ours.about


def test_totals_are_counted_and_not_believed(good: dict[str, Any]) -> None:
    boast = deepcopy(good)
    boast["results"][1]["ratio"] = 99.0
    assert checked(boast).totals == Results.of(ABOUT, two_groups()).totals


def test_results_without_groups_have_their_totals(good: dict[str, Any]) -> None:
    old = {name: value for name, value in good.items() if "group" not in name}
    assert [total.name for total in checked(old).totals] == ["autoregressive", "propd"]


def spoil(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    body = deepcopy(body)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = body
    for part in parents:
        place = place[part]
    place[last] = value
    return body


SPOILED = [
    ("groups.0.0", "<img src=x onerror=alert(1)>", "a name in group 0 must be 1 to 80 letters"),
    ("groups.1.0", "${alert(1)}", "a name in group 1 must be"),
    ("groups.1.9", -1.0, "group 1 has a number below 0"),
    ("groups.1.9", 0.0, "group 1 took no time"),
    ("groups.1.7", 9, "more identical texts than prompts"),
    ("groups.1.15", 999, "verified more nodes than it drafted"),
    ("groups.1.16", [1.0], "not a time for each phase"),
    ("groups.1.17", [[4, 0, 1, 1, 1, 1]], "without 6 entries or without a pass"),
    ("groups.1.17", [[4, 1, 1, 1, -1, 1]], "below 0"),
    ("groups.1", [1], "must have 18 entries"),
    ("groups.0.3", 5, "has no group of autoregressive"),
    ("group_fields", [["name", "name"]], "each once"),
    ("command", "x" * 10_001, "command must be text of at most 10000"),
    ("threads", "two", "threads must be a whole number"),
    ("peers", {"a": ["b"]}, "peers must be text"),
    ("peak_bytes", 1e300, "a finite number"),
    ("groups", [[]] * 20_001, "a list of at most 20000"),
]


@pytest.mark.parametrize(("path", "value", "says"), SPOILED, ids=range(len(SPOILED)))
def test_spoiled_results_are_one_sentence(
    good: dict[str, Any], path: str, value: Any, says: str
) -> None:
    with pytest.raises(InvalidTrace, match=says) as caught:
        checked(spoil(good, path, value))
    assert "\n" not in str(caught.value)


STRANGE = [None, True, -1, 0, 10**20, 1.5, "", "<b>", [], {}, [[]], [None], {"a": {}}]


def leaves(value: Any, path: str = "") -> list[str]:
    """The path of every value inside a parsed file."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for name, one in inside:
        here = f"{path}.{name}" if path else str(name)
        found.append(here)
        if isinstance(one, (dict, list)):
            found += leaves(one, here)
    return found


def test_hundreds_of_spoiled_files_are_read_or_refused(good: dict[str, Any]) -> None:
    """Whoever opens a stranger's file must meet a sentence and never a traceback."""
    paths, outcomes = leaves(good), {True: 0, False: 0}
    for seed in range(600):
        chance = random.Random(seed)
        body = spoil(good, chance.choice(paths), chance.choice(STRANGE))
        try:
            results = checked(body)
        except InvalidTrace as error:
            assert "\n" not in str(error)
            outcomes[False] += 1
        else:
            json.dumps(told(results), allow_nan=False)
            outcomes[True] += 1
    assert min(outcomes.values()) > 20, outcomes
