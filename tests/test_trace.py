"""Trace files: what is written can be read, and what cannot be trusted is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from propd.core import Milliseconds, Node, SizeDecision, StepEvent
from propd.errors import InvalidTrace
from propd.trace import (
    Header,
    Trace,
    event_from_json,
    event_to_json,
    load,
    save,
    to_networkx,
    trace_to_json,
    validate,
)

HEADER = Header(model="tiny", method="propd", prompt="Hi </script>", recorded="2026-01-01")


def step(index: int = 1) -> StepEvent:
    """A root with two children, the first accepted with a pruned child, then a bonus."""
    root = Node(7, -1, 0, 0, "root", 1.0, choice_id=8, text=" the", choice_text=" cat")
    kept = Node(8, 0, 1, 0, "accepted", 0.5, 0.412345, 0, 0.31, 0.5, 12, " cat", " sat")
    wrong = Node(9, 0, 1, 1, "rejected", 0.25, 0.125, 3, 0.03, 0.001, 10, " dog", " ran")
    gone = Node(11, 1, 2, 0, "pruned", 0.125, 0.25, 72, 0.0002, text="한")
    return StepEvent(
        index=index,
        kind="decode",
        nodes=(root, kept, wrong, gone),
        bonus=Node(12, 1, 2, 0, "bonus", 0.0, final_probability=0.75, text=" sat"),
        accepted=(1,),
        token_ids=(8, 12),
        decision=SizeDecision(
            (1, 3), (1.5, 1.75), (30.0, 31.5), 3, "best", ((0.5, 0.25),), (29.0, 1.0)
        ),
        milliseconds=Milliseconds(draft=1.5, early=10.25, late=20.5),
        past_length=12,
        elapsed_s=0.125,
        prune_layer=4,
        prune_top_k=50,
        pieces=(" cat", " sat"),
        text=" cat sat",
    )


def parsed(trace: Trace) -> Any:
    return json.loads(json.dumps(trace_to_json(trace)))


def test_an_event_survives_the_journey_through_json() -> None:
    event = step()
    back = event_from_json(json.loads(json.dumps(event_to_json(event))))
    rounded = (event.nodes[0], replace(event.nodes[1], draft_probability=0.4123), *event.nodes[2:])
    assert back == replace(event, nodes=rounded)


def test_an_event_at_its_emptiest_survives_too() -> None:
    """A cancelled prefill: no bonus, no candidates, no times."""
    root = Node(7, -1, 0, 0, "root", 1.0)
    event = StepEvent(
        0, "prefill", (root,), None, (), (), SizeDecision((), (), (), 0, "fixed"), Milliseconds(),
        0, 0.0, "cancelled",
    )  # fmt: skip
    assert event_from_json(event_to_json(event)) == event


def test_an_event_of_32_nodes_stays_under_4_kb() -> None:
    """The app sends ten events a second; fat events made the browser lag."""
    event = step()
    many = tuple(replace(event.nodes[2], rank=rank, token_id=20_000 + rank) for rank in range(29))
    text = json.dumps(
        event_to_json(replace(event, nodes=event.nodes[:3] + many)), separators=(",", ":")
    )
    assert len(text) < 4_000


def test_a_trace_survives_the_journey_through_a_file(tmp_path: Path) -> None:
    trace = Trace(HEADER, tuple(event_from_json(event_to_json(step(index))) for index in range(3)))
    save(trace, tmp_path / "run.json")
    assert load(tmp_path / "run.json") == trace
    assert load(tmp_path / "run.json").stats.tokens_per_pass == 2


def broken(path: str, value: Any) -> Any:
    """A good trace with one value replaced; ``path`` as in ``events.0.nodes.parent``."""
    data = parsed(Trace(HEADER, (step(),)))
    *parents, last = path.split(".")
    place = data
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "propd-trace/2"),
        ("header", None),
        ("header.prompt", 3),
        ("header.prompt", "x" * 100_001),
        ("events", {}),
        ("events", [0] * 5_001),
        ("events.0.kind", "other"),
        ("events.0.kind", ["decode"]),
        ("events.0.nodes.fate", "raz?"),
        ("events.0.nodes.fate", "r" + "d" * 512),
        ("events.0.nodes.parent", [-1, 0, 0]),
        ("events.0.nodes.parent", [-1, 0, 3, 1]),
        ("events.0.nodes.parent", [0, 0, 0, 1]),
        ("events.0.nodes.depth", [0, 1, 1, 7]),
        ("events.0.nodes.value", [1, 1, 1, float("nan")]),
        ("events.0.nodes.value", [1, 1, 1, True]),
        ("events.0.nodes.text", ["x" * 1_001, "", "", ""]),
        ("events.0.bonus.parent", [9]),
        ("events.0.accepted", [4]),
        ("events.0.token_ids", [2**40]),
        ("events.0.elapsed_s", float("inf")),
        ("events.0.decision.estimated_ms", [1.0]),
        ("events.0.milliseconds", []),
        ("events.0.pieces", [" cat", " ran"]),
        ("events.0.pieces", [" cat sat"]),
    ],
)
def test_a_broken_trace_is_refused_in_one_sentence(path: str, value: Any) -> None:
    with pytest.raises(InvalidTrace) as caught:
        validate(broken(path, value))
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"[" * 100_000, b'{"schema": NaN}', b" " * 5_000_001, b"[]", b"1" * 9_999]
)
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, raw: bytes) -> None:
    """Deep nesting raised RecursionError, and a huge whole number ValueError."""
    (tmp_path / "bad.json").write_bytes(raw)
    with pytest.raises(InvalidTrace):
        load(tmp_path / "bad.json")


def test_a_run_that_load_would_refuse_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(InvalidTrace):
        save(Trace(replace(HEADER, prompt="x" * 100_001), ()), tmp_path / "run.json")
    assert not (tmp_path / "run.json").exists()


def test_the_graph_of_a_step_is_a_tree_with_the_bonus_at_its_end() -> None:
    networkx = pytest.importorskip("networkx")
    graph = to_networkx(step())
    assert networkx.is_arborescence(graph)
    assert graph.nodes[4]["fate"] == "bonus" and list(graph.predecessors(4)) == [1]
