"""The Lab's question to the planner, as the page and as scripts ask it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

import propd
from app import lab, lab_presets, settings
from app.record_lab import measure
from app.runs import EngineRoom
from app.strings.lab import LAB, PRESETS
from app.tabs.lab import static_props
from app.ui import build, launch
from propd.errors import InvalidRequest, InvalidTrace, ProPDError
from propd.forecast import observed
from propd.forecast.basis import basis_from_json
from propd.forecast.early import CUTS
from propd.forecast.settings import LIMITS
from propd.trace import Header, Trace, save, trace_to_json

SHIPPED = [*lab_presets.MEASURED, *lab_presets.SHEETS]


@pytest.fixture(scope="session")
def trace(engine: propd.Engine) -> Trace:
    """A run of the tiny model that a stranger named."""
    events = tuple(engine.stream("abc", method="propd-static", max_new_tokens=60))
    return Trace(Header("<img src=x>", "propd-static", "abc"), events)


@pytest.fixture(scope="session")
def traces(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("traces")
    save(trace, folder / "1-question-propd.json")
    return folder


def chosen(answer: dict[str, Any]) -> dict[str, Any]:
    """What the planner promises."""
    curve = answer["chosen"]
    at = curve["sizes"].index(curve["chosen"])
    return {"size": curve["chosen"], "length": curve["lengths"][at], "ms": curve["ms"][at]}


@pytest.mark.parametrize("preset", SHIPPED)
def test_every_preset_answers(preset: str) -> None:
    answer = lab.plan(preset)
    json.dumps(answer, allow_nan=False)
    best, plain = chosen(answer), answer["plain"]
    assert best["length"] / best["ms"] >= plain["length"] / plain["ms"]
    assert answer["kind"] == ("measured" if preset in lab_presets.MEASURED else "estimated")
    assert len(answer["tree"]["parent"]) - 1 == best["size"]
    assert answer["values"] == answer["own"]


def test_the_batch_shrinks_the_tree_on_every_estimated_device() -> None:
    for preset in lab_presets.SHEETS:
        sizes = [b["chosen"]["size"] / b["rows"] for b in lab.plan(preset)["batches"]]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[-1] < sizes[0] / 4


def test_an_answer_is_small() -> None:
    """It is sent at every move of a slider."""
    assert max(len(json.dumps(lab.plan(preset))) for preset in SHIPPED) < 8_000


def test_the_measured_points_are_those_of_the_file() -> None:
    told = json.loads((settings.LAB / "costs-cpu-1.json").read_text())
    early, late = dict(told["early"]), dict(told["late"])
    points = dict(lab.plan("cpu-1")["measured"])
    assert points[0] == pytest.approx(early[1] + late[1], rel=1e-3)
    assert points[15] == pytest.approx(early[16] + late[16] + told["draft"][0][1], rel=1e-3)


def test_changes_reach_the_planner() -> None:
    answer = lab.plan("a100", {"rows": 16, "prune": "never"})
    assert answer["values"]["rows"] == 16
    assert not answer["chosen"]["prunes"]
    assert answer["own"]["rows"] == 1


@pytest.mark.parametrize("name", ["nowhere", "../heads", "run.", "run.../secret", "", "your-run"])
def test_unknown_presets_are_refused(name: str, traces: Path) -> None:
    with pytest.raises(InvalidRequest):
        lab.plan(name, traces=traces)


def test_a_recorded_run_is_a_preset(traces: Path) -> None:
    answer = lab.plan("run.1-question-propd", traces=traces)
    assert answer["kind"] == "run"
    assert "acceptance" in answer["about"]["taken"]


def test_a_run_of_ones_own_gives_the_same_answer_as_on_the_page(trace: Trace, traces: Path) -> None:
    read = json.loads(json.dumps(lab.read_run(json.dumps(trace_to_json(trace)))))
    assert read["about"]["model"] == "<img src=x>"
    answer = lab.plan(lab.YOUR_RUN, {"rows": 2}, read["run"])
    shipped = lab.plan("run.1-question-propd", {"rows": 2}, traces=traces)
    for name in ("values", "chosen", "tree", "batches"):
        assert answer[name] == shipped[name]


@pytest.mark.parametrize("text", ["", "{}", "[]", "x" * 5_000_001, "[" * 100_000, None, 7, {}])
def test_what_is_no_trace_is_refused(text: Any) -> None:
    with pytest.raises((InvalidTrace, InvalidRequest)):
        lab.read_run(text)


def test_a_page_without_a_server_has_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = {"rows": (1, 8), "accuracy": (None, 0.8), "prune": ("pays", "never")}
    monkeypatch.setattr(lab, "AXES", axes)
    table = lab.table("h100")
    whole = table["answers"][6] | {"kind": table["kind"], "about": table["about"]}
    assert whole == lab.plan("h100", {"rows": 8, "accuracy": 0.8, "prune": "pays"})
    assert len(table["answers"]) == 8
    assert table["answers"][0]["values"] == lab.plan("h100")["values"]


def test_a_page_without_a_server_is_given_a_table_for_each_preset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lab, "AXES", {"rows": (1, 2)})
    files: dict[str, str] = {}

    def share(name: str, text: str) -> str:
        files[name] = text
        return f"there/{name}"

    props = static_props(share)
    assert [preset["name"] for preset in props["presets"]] == SHIPPED
    assert props["axes"] == ["rows"]
    assert set(props["tables"].values()) == {f"there/{name}" for name in files}
    assert json.loads(files["lab/t4.json"]) == json.loads(json.dumps(lab.table("t4")))


def test_what_the_recorder_writes_is_what_the_presets_read(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observed, "FEWEST_TRUTHS", 1)  # random heads are seldom right
    heads = json.loads(json.dumps(measure(engine, ["abc", "b"])))
    assert heads["steps"] > 0
    costs = json.loads((settings.LAB / "costs-cpu-1.json").read_text())
    known = basis_from_json({**heads, "costs": costs, "cost_layer": heads["layer"]})
    assert len(known.acceptance) == engine.heads.shape.draft_heads  # type: ignore[union-attr]
    assert len(known.cuts) % len(CUTS) == 0


# --- the page ----------------------------------------------------------------------------------


def scripts() -> str:
    return "".join(path.read_text() for path in sorted(settings.PLAYER.glob("lab*.js")))


def test_every_sentence_of_the_lab_exists() -> None:
    said = set(re.findall(r"\bwords\.(\w+)", scripts()))
    assert said - {"js"} <= set(LAB)
    assert set(LAB["settings"]) == set(LIMITS)
    assert set(PRESETS) == set(SHIPPED)


@pytest.fixture(scope="module")
def client(engine: propd.Engine, traces: Path) -> Iterator[Client]:
    room = EngineRoom("tiny")
    room.engine = engine
    room.done.set()
    demo = build(room, traces)
    launch(demo, prevent_thread_lock=True, quiet=True)
    yield Client(demo.local_url, verbose=False)
    demo.close()


def test_scripts_can_ask_too(client: Client, traces: Path) -> None:
    answer = client.predict("h100", {"rows": 8}, None, api_name="/plan")
    assert answer == json.loads(json.dumps(lab.plan("h100", {"rows": 8})))
    run = lab.read_run((traces / "1-question-propd.json").read_text())["run"]
    answer = client.predict("your-run", {}, run, api_name="/plan")
    assert answer["kind"] == "run"
    assert client.predict("run.1-question-propd", api_name="/plan")["values"] == answer["values"]


@pytest.mark.parametrize(
    ("preset", "changes"),
    [("nowhere", {}), ("h100", {"rows": 99}), ("h100", {"x": 1}), ("h100", [1])],
)
def test_scripts_get_the_sentence(client: Client, preset: str, changes: Any) -> None:
    with pytest.raises(ProPDError) as refused:
        lab.plan(preset, changes)
    with pytest.raises(AppError, match=re.escape(str(refused.value))):
        client.predict(preset, changes, None, api_name="/plan")
