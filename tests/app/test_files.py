"""Files of strangers in, files for everybody out."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

import pytest

from app.benchmarks import shipped
from app.files import FORMS, convert, opened, saved
from app.settings import DOCS
from propd.errors import InvalidRequest, InvalidTrace
from propd.trace import MAX_BYTES, fingerprint, from_json, trace_to_json
from propd.trace_graph import graphml
from propd.trace_table import nodes_csv, steps_csv
from tests.trace_samples import broken, parsed, run

GOOD = json.dumps(parsed(run()))


def test_a_run_is_opened_as_it_was_checked() -> None:
    """A field that the checks do not know must not reach the page."""
    body = {**parsed(run()), "surprise": "<img src=x>"}
    body["events"][1]["__proto__"] = {"a": 1}
    answer = opened(json.dumps(body))
    assert answer == {"trace": trace_to_json(run()), "fingerprint": fingerprint(run())}


def test_results_of_a_benchmark_are_opened_as_they_are_shown() -> None:
    (known,) = [one for one in shipped(DOCS) if one["name"] == "benchmark"]
    answer = opened((DOCS / "benchmark.json").read_text(encoding="utf-8"))
    assert {"name": "benchmark", **answer["benchmark"]} == known
    ratios = {total["name"]: total["ratio"] for total in known["totals"]}
    assert ratios["autoregressive"] == 1 and len(ratios) > 5


def deep(levels: int) -> str:
    return '{"schema": ' + "[" * levels + "]" * levels + "}"


BAD = [
    (None, "text of a file"),
    ("", "not JSON"),
    ("[1, 2]", "the file must be an object, not a list of 2 entries"),
    ('{"schema": "propd-trace/2"}', "must be 'propd-trace/1', not 'propd-trace/2'"),
    ('{"format": "propd-bench/9"}', "must be 'propd-bench/1', not 'propd-bench/9'"),
    (GOOD[:-1], "not JSON"),
    (GOOD.replace("0.5", "NaN", 1), "without NaN"),
    (GOOD.replace("0.5", "Infinity", 1), "without NaN or Infinity"),
    (GOOD.replace("0.5", "1e999", 1), "a finite number of at most 1e+12, not inf"),
    (GOOD.replace("0.5", "1" * 5000, 1), "not JSON"),
    (deep(100_000), "not JSON"),
    (deep(900), "schema must be"),
    ("x" * (MAX_BYTES + 1), "larger than 5,000,000 bytes"),
]


@pytest.mark.parametrize(("text", "says"), BAD, ids=range(len(BAD)))
def test_a_bad_file_is_one_sentence(text: Any, says: str) -> None:
    (sentence,) = opened(text).values()
    assert says in sentence and "\n" not in sentence and len(sentence) < 400


SPOILED = [
    ("events.1.nodes.parent", [-1, 2, 1, 1], "come after its parent"),
    ("events.1.nodes.parent", [-1, -2, 0, 1], "a whole number from -1 to 2147483647, not -2"),
    ("events.1.nodes.parent", [-1, 0, 0, 3], "come after its parent"),
    ("events.1.accepted", [-1], "name nodes that are there"),
    ("header.prompt", 7, "header.prompt must be text of at most 100000 characters, not 7"),
    ("header.prompt", "x" * 100_001, "not text of 100001 characters"),
    ("events.0.text", None, "missing or null"),
    ("events.0.index", True, "not true"),
    ("events.0.index", 10**30, "not a larger one"),
    ("events.0.milliseconds", "late", "must be an object, not 'late'"),
    ("header.model", "\ud800", "whole characters"),
    ("header.config", {"a": [[[[[1]]]]]}, "nested no deeper than 4"),
]


@pytest.mark.parametrize(("place", "value", "says"), SPOILED, ids=range(len(SPOILED)))
def test_a_spoiled_run_is_refused_with_what_was_given(place: str, value: Any, says: str) -> None:
    (sentence,) = opened(json.dumps(broken((place, value)))).values()
    assert says in sentence and "\n" not in sentence


def test_every_form_is_that_of_the_command_line() -> None:
    events = from_json(GOOD).events
    assert convert(GOOD, "csv") == steps_csv(events)
    assert convert(GOOD, "nodes") == nodes_csv(events)
    assert convert(GOOD, "graphml") == graphml(events) + "\n"
    assert convert(GOOD, "graphml", 1) == graphml(events[1]) + "\n"
    assert json.loads(convert(GOOD, "json")) == trace_to_json(run())
    assert convert(GOOD, "html").startswith("<!doctype html>")
    assert len(list(csv.reader(StringIO(convert(GOOD, "csv"))))) == 1 + len(events)


def test_what_cannot_be_saved_is_said() -> None:
    with pytest.raises(InvalidRequest, match=r"no step 9; this run has the steps 0 to 2"):
        convert(GOOD, "graphml", 9)
    with pytest.raises(InvalidRequest, match="saved as 'pdf'; choose one of json, csv"):
        convert(GOOD, "pdf")
    with pytest.raises(InvalidTrace):
        convert("{}", "csv")
    assert "error" in saved(None) and "error" in saved({"trace": GOOD, "form": []})
    assert saved({"trace": GOOD, "form": "csv", "more": 1}) == {"text": convert(GOOD, "csv")}


def test_the_page_offers_every_form() -> None:
    from app.strings.runs import RUNS

    assert set(RUNS["forms"]) == set(FORMS)  # type: ignore[call-overload]
