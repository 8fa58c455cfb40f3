"""Trace files: what is written can be read, and what cannot be trusted is refused."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import propd
from propd.core import CostTable, DecodingConfig, Milliseconds, Node, SizeDecision, StepEvent
from propd.errors import InvalidRequest, InvalidTrace
from propd.methods import METHODS
from propd.recording import asked
from propd.trace import (
    Header,
    Trace,
    event_from_json,
    event_to_json,
    fingerprint,
    from_json,
    load,
    save,
    trace_to_json,
)
from tests.trace_samples import HEADER, broken, parsed, prefill, run, step

TRACES = Path(__file__).parent.parent / "assets" / "traces"


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))


def test_an_event_survives_the_journey_through_json() -> None:
    event = step()
    back = event_from_json(json.loads(json.dumps(event_to_json(event))))
    rounded = (event.nodes[0], replace(event.nodes[1], draft_probability=0.4123), *event.nodes[2:])
    assert back == replace(event, nodes=rounded)


def test_an_event_at_its_emptiest_survives_too() -> None:
    """A step that did not get far: no bonus, no candidates, no times."""
    root = Node(7, -1, 0, 0, "root", 1.0)
    event = StepEvent(
        0, "prefill", (root,), None, (), (), SizeDecision((), (), (), 0, "fixed"), Milliseconds(),
        0, 0.0,
    )  # fmt: skip
    assert event_from_json(event_to_json(event)) == event


def test_the_row_of_an_event_that_ran_alone_is_kept() -> None:
    """Rows of a batch are prefilled alone, and the file forgot which row each prefill was of."""
    event = replace(prefill(), row=3, rows=1)
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
    trace = from_json(run().to_json())
    save(trace, tmp_path / "run.json")
    assert load(tmp_path / "run.json") == trace
    assert trace.stats.tokens_per_pass == 1.5


def test_every_door_gives_the_same_trace() -> None:
    text = json.dumps(trace_to_json(run()))
    assert from_json(text) == from_json(text.encode()) == from_json(json.loads(text))


@pytest.mark.parametrize("path", sorted(TRACES.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_traces_load_and_are_rewritten_as_they_are(path: Path) -> None:
    """A stricter reader must not refuse what an earlier version recorded."""
    old = json.loads(path.read_text(encoding="utf-8"))
    assert parsed(load(path)) == old


CONFIGS: list[dict[str, Any]] = [
    *({"method": method} for method in METHODS),
    {"temperature": 1.0, "seed": 3, "record_probabilities": True},
    {"temperature": 1.0, "acceptance": "typical", "method": "medusa"},
    {"prune_rule": "threshold", "prune_threshold": 0.02, "values": "contextual"},
    {"prune_rule": "budget", "prune_when": "pays"},
    {"cost_model": "line"},
    {"cost_table": CostTable(((1, 1.0),), ((1, 5.0), (64, 9.0)), ((1, 0.5),), ((1, 9.5),))},
]


@pytest.mark.parametrize("settings", CONFIGS, ids=str)
def test_runs_of_every_kind_can_be_saved(engine: propd.Engine, settings: dict[str, Any]) -> None:
    """A check that the engine's own events do not pass would refuse every recording."""
    config = DecodingConfig(max_new_tokens=20, ignore_eos=True, **settings)
    events = tuple(engine.stream("abc", config))
    trace = Trace(replace(HEADER, config=asked(config)), events)
    again = from_json(parsed(trace))
    assert fingerprint(again) == fingerprint(trace)
    assert again.header == trace.header


def test_a_run_that_was_made_to_begin_so_says_it(engine: propd.Engine) -> None:
    """Without its beginning the text on screen would begin in the middle of a sentence."""
    ids = tuple(engine.tokenizer("ab")["input_ids"])
    events = tuple(engine.stream("abc", max_new_tokens=8, continuing=ids))
    about = replace(HEADER, continuing=ids, continuing_text=engine.text_of(ids))
    again = from_json(trace_to_json(Trace(about, events)))
    assert (again.header.continuing, again.header.continuing_text) == (ids, "ab")
    plain = parsed(Trace(HEADER, events))
    assert "continuing" not in plain["header"]
    assert fingerprint(again) != fingerprint(from_json(plain))


def test_a_run_that_a_stop_string_ends_can_be_saved(engine: propd.Engine) -> None:
    """The step that writes a stop string keeps fewer tokens than it accepted."""
    text = engine.generate("abc", method="medusa", max_new_tokens=30).text
    events = tuple(engine.stream("abc", method="medusa", max_new_tokens=30, stop=(text[9:12],)))
    trace = from_json(parsed(Trace(HEADER, events)))
    assert trace.events[-1].finish_reason == "stop"
    assert "".join(event.text for event in trace.events) == text[: text.index(text[9:12])]


def test_a_batch_whose_rows_come_and_go_can_be_saved(engine: propd.Engine) -> None:
    """Events of rows come in turns: what holds inside a row does not hold from event to event."""
    prompts = ["a", "bcd", "ef", "ghijk"]
    events = tuple(engine.stream_batch(prompts, max_new_tokens=15, max_rows=2))
    trace = from_json(parsed(Trace(HEADER, events)))
    assert [event.row for event in trace.events] == [event.row for event in events]
    one = tuple(event for event in events if event.row == 2)
    assert len(from_json(parsed(Trace(HEADER, one))).events) == len(one)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "propd-trace/2"),
        ("header", None),
        ("header.prompt", 3),
        ("header.prompt", "x" * 100_001),
        ("header.model", "half \ud83d"),
        ("header.versions", {"python": 3}),
        ("header.versions", {str(n): "1" for n in range(513)}),
        ("header.config", {"seed": float("nan")}),
        ("header.config", {"stop": [[[[["x"]]]]]}),
        ("header.config", {"stop": [1] * 513}),
        ("header.config", {"seed": 10**400}),
        ("events", {}),
        ("events", [0] * 5_001),
        ("events.0.index", 2**31),
        ("events.0.kind", "other"),
        ("events.0.kind", ["decode"]),
        ("events.1.nodes.fate", "raz?"),
        ("events.1.nodes.fate", "r" + "d" * 512),
        ("events.1.nodes.parent", [-1, 0, 0]),
        ("events.1.nodes.parent", [-1, 0, 3, 1]),
        ("events.1.nodes.parent", [0, 0, 0, 1]),
        ("events.1.nodes.depth", [0, 1, 1, 7]),
        ("events.1.nodes.value", [1, 1, 1, float("nan")]),
        ("events.1.nodes.value", [1, 1, 1, True]),
        ("events.1.nodes.text", ["x" * 1_001, "", "", ""]),
        ("events.1.nodes.text", ["\udc00", "", "", ""]),
        ("events.1.bonus.parent", [9]),
        ("events.1.bonus.fate", ""),
        ("events.1.accepted", [4]),
        ("events.1.token_ids", [2**40]),
        ("events.1.elapsed_s", float("inf")),
        ("events.1.elapsed_s", 10**400),
        ("events.1.decision.estimated_ms", [1.0]),
        ("events.1.decision.reason", "whim"),
        ("events.1.decision.cost_coefficients", [1e13, 1.0]),
        ("events.1.milliseconds", []),
        ("events.1.milliseconds.late", "20"),
        ("events.1.pieces", [" cat", " ran"]),
        ("events.1.pieces", [" cat sat"]),
        ("events.1.text", " cat" * 25_001),
        ("events.1.row", 0.5),
        ("events.1.finish_reason", "tired"),
    ],
)
def test_a_broken_trace_is_refused_in_one_sentence(path: str, value: Any) -> None:
    """A whole number of 400 digits raised OverflowError, half a character UnicodeEncodeError."""
    with pytest.raises(InvalidTrace) as caught:
        from_json(broken((path, value)))
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_a_tree_deeper_than_64_is_refused() -> None:
    """Showing a tree descends it; a chain of 512 nodes would exhaust Python's stack."""

    def chain(nodes: int) -> Any:
        columns = {
            "fate": "r" + "x" * nodes,
            "token_id": [7] * (nodes + 1),
            "parent": list(range(-1, nodes)),
            "depth": list(range(nodes + 1)),
            "rank": [0] * (nodes + 1),
            "value": [1.0] * (nodes + 1),
        }
        return event_to_json(step()) | {"nodes": columns, "accepted": [], "token_ids": [7, 12]}

    assert event_from_json(chain(64)).nodes[-1].depth == 64
    with pytest.raises(InvalidTrace, match="depth of at most 64"):
        event_from_json(chain(65))


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"[" * 100_000, b'{"schema": NaN}', b" " * 5_000_001, b"[]", b"1" * 9_999]
)
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, raw: bytes) -> None:
    """Deep nesting raised RecursionError, and a huge whole number ValueError."""
    (tmp_path / "bad.json").write_bytes(raw)
    with pytest.raises(InvalidTrace):
        load(tmp_path / "bad.json")
    with pytest.raises(InvalidTrace):
        from_json(raw)
    with pytest.raises(InvalidTrace):
        from_json(raw.decode("latin-1"))


def test_a_file_over_the_limit_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is there to save the memory that parsing takes."""
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed"))
    with pytest.raises(InvalidTrace, match="larger than 5,000,000 bytes"):
        from_json(" " * 5_000_001)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidTrace, match="cannot be read"):
        load(tmp_path / "none.json")
    with pytest.raises(InvalidTrace, match="cannot be read"):
        load(tmp_path)


def test_a_run_that_load_would_refuse_is_not_saved(tmp_path: Path) -> None:
    long = replace(HEADER, prompt="x" * 100_001)
    for trace in (Trace(long, run().events), Trace(HEADER, ())):
        with pytest.raises(InvalidTrace):
            save(trace, tmp_path / "run.json")
    assert not (tmp_path / "run.json").exists()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be written"):
        save(run(), tmp_path / "no" / "run.json")


def changed(**fields: Any) -> Trace:
    """The run with other values in its middle step."""
    before, middle, after = run().events
    return Trace(HEADER, (before, replace(middle, **fields), after))


SAME = {
    "times": changed(milliseconds=Milliseconds(late=99.0)),
    "elapsed": changed(elapsed_s=0.130),
    "elsewhere": Trace(
        replace(HEADER, machine="a mill", threads=9, versions={}, source="hub", recorded=""),
        run().events,
    ),
}
OTHER = {
    "token": changed(token_ids=(8, 13)),
    "node": changed(nodes=(*step().nodes[:3], replace(step().nodes[3], token_id=10))),
    "fate": changed(nodes=(*step().nodes[:3], replace(step().nodes[3], fate="rejected"))),
    "size": changed(decision=replace(step().decision, chosen=1)),
    "estimate": changed(decision=replace(step().decision, estimated_ms=(30.0, 31.6))),
    "text": changed(text=" cat sit", pieces=(" cat", " sit")),
    "prompt": Trace(replace(HEADER, prompt="Ho"), run().events),
    "setting": Trace(replace(HEADER, config={"max_new_tokens": 5}), run().events),
    "dtype": Trace(replace(HEADER, dtype="bfloat16"), run().events),
    "shorter": Trace(HEADER, run().events[:2]),
}


@pytest.mark.parametrize("name", SAME)
def test_measured_times_and_places_do_not_change_the_fingerprint(name: str) -> None:
    """With one of them in it, no two runs of a deterministic configuration could agree."""
    assert fingerprint(SAME[name]) == fingerprint(run())


@pytest.mark.parametrize("name", OTHER)
def test_anything_else_changes_the_fingerprint(name: str) -> None:
    """A replay that drafted another tree must not pass for the same run."""
    assert fingerprint(OTHER[name]) != fingerprint(run())


def test_a_fingerprint_is_short_and_survives_the_file() -> None:
    """Numbers are rounded on their way to the file; the fingerprint was made before or after."""
    before = fingerprint(run())
    assert len(before) == 16 and int(before, 16) >= 0
    assert fingerprint(from_json(parsed(run()))) == before


def test_settings_at_their_default_are_not_told() -> None:
    """A setting that a later version adds would change the fingerprint of every run."""
    assert asked(DecodingConfig(method="bpd", seed=3)) == {"max_new_tokens": 128, "seed": 3}


SECTIONS: dict[type, str] = {
    Header: "## Header",
    StepEvent: "## Event",
    Milliseconds: "## Event",
    Node: "### `nodes` and `bonus`",
    SizeDecision: "### `decision`",
}


@pytest.mark.parametrize("noun", SECTIONS)
def test_every_field_of_a_trace_is_documented(noun: type) -> None:
    """A new field of an event comes into the file by itself, and its line in the docs does not.

    Only its own section counts: `source` of a node was missing, and the header has one too.
    """
    page = (TRACES.parent.parent / "docs" / "trace-format.md").read_text(encoding="utf-8")
    section = page.split(f"\n{SECTIONS[noun]}\n")[1].split("\n#")[0]
    assert not [item.name for item in fields(noun) if f"`{item.name}`" not in section]
