"""The Lab's pure functions, run by node on real answers of the planner."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app import lab
from app.strings.lab import LAB
from propd.forecast.settings import LIMITS
from tests.player.node import needs_node, run_script

pytestmark = needs_node
INK = {"ink": "#000", "faint": "#777", "grid": "#eee", "blue": "#0072B2"}


MODULES = {
    "* as S": "lab_settings.js",
    "* as W": "lab_words.js",
    "* as F": "lab_figures.js",
    "* as P": "lab_planner.js",
    "{ treeFigure }": "figures.js",
}
ROOM = "const room = { width: 300, height: 200, words, ...ink };"


def run(script: str, **values: Any) -> Any:
    """What a script returns that sees the Lab's functions and the given values."""
    return run_script(script, MODULES, {"words": LAB, "ink": INK, **values}, ROOM)


def test_the_sliders_are_the_planners_settings_within_its_limits() -> None:
    ends = run(
        "return S.SLIDERS.map((s) => "
        "[s.name, S.valueAt(s, 0), S.valueAt(s, S.ticks(s)), s.letter]);"
    )
    assert {name for name, *_ in ends} == set(LIMITS)
    for name, least, most, _ in ends:
        assert LIMITS[name].least <= least < most <= LIMITS[name].most, name
    letters = [letter for *_, letter in ends]
    assert len({*letters, "m"}) == len(letters) + 1


def test_every_position_is_where_its_value_is() -> None:
    """Else a slider jumps when the answer comes back."""
    script = """return S.SLIDERS.flatMap((s) => {
      const wrong = [];
      for (let at = 0; at <= S.ticks(s); at++) {
        const value = S.valueAt(s, at);
        if (S.valueAt(s, S.positionOf(s, value)) !== value) wrong.push([s.name, at, value]);
      }
      return wrong;
    });"""
    assert run(script) == []


def test_changes_survive_the_address() -> None:
    changes = {
        "rows": 8, "past": 64, "floor_ms": 0.00123e3, "rise": 100, "slope_ms": 0, "step": 16,
        "accuracy": 0.57, "further_heads": 1, "further_ranks": 0.05, "heads": 0, "draft_ms": 0.01,
        "layer": 7, "top_k": 200, "kept": 0, "recall": 1, "look_ms": 99.9, "prune": "never",
    }  # fmt: skip
    assert run("return S.decode(S.encode(changes));", changes=changes) == changes
    assert run("return [S.encode({}), S.decode(''), S.decode()];") == ["", {}, {}]


@pytest.mark.parametrize(
    "text",
    [
        "b",
        "bx",
        "b999",
        "b1.5",
        "a2",
        "a-1",
        "mmaybe",
        "zz",
        "f0",
        "fNaN",
        "r1e99",
        "_",
        "<b>",
        "s-1",
    ],
)
def test_nonsense_in_an_address_changes_nothing(text: str) -> None:
    assert run("return S.decode(text + '_a0.5');", text=text) == {"accuracy": 0.5}


def test_every_slider_value_survives_the_address() -> None:
    script = """return S.SLIDERS.flatMap((s) => {
      const values = Array.from({ length: S.ticks(s) + 1 }, (_, at) => S.valueAt(s, at));
      const back = (value) => S.decode(S.encode({ [s.name]: value }))[s.name];
      return values.filter((value) => back(value) !== value).map((value) => [s.name, value]);
    });"""
    assert run(script) == []


def test_arrow_keys_pass_over_positions_that_show_the_same() -> None:
    """Close to 1 a logarithmic slider of whole numbers has ten positions for each."""
    script = """const rise = S.SLIDERS.find((s) => s.name === "rise");
      const up = S.nextPosition(rise, 0, 1), end = S.ticks(rise);
      const down = S.nextPosition(rise, up, -1);
      return [S.valueAt(rise, up), S.valueAt(rise, down), S.nextPosition(rise, end, 1) === end];"""
    assert run(script) == [2, 1, True]


def test_values_are_told_with_their_unit() -> None:
    script = """return S.SLIDERS.map((s) => S.shown(s, S.valueAt(s, S.ticks(s)), words));"""
    told = run(script)
    assert {"4,096 tokens", "100%", "50 ms", "32", "4"} <= set(told)
    assert run("return S.shown(S.SLIDERS.find((s) => s.name === 'rise'), 1, words);") == "1 token"


def test_a_new_layer_takes_its_measured_survivors() -> None:
    moved = run("return S.moved({ kept: 0.1, recall: 0.5, rows: 2 }, 'layer', 8);")
    assert moved == {"rows": 2, "layer": 8}


def test_the_headline_is_the_planners_promise() -> None:
    answer = lab.plan("a100", {"rows": 4})
    curve, plain, fixed = answer["chosen"], answer["plain"], answer["fixed"]
    at = curve["sizes"].index(curve["chosen"])
    length, ms = curve["lengths"][at], curve["ms"][at]
    told = [value for value, *_ in run("return W.headline(answer, words);", answer=answer)]
    assert told[0] == str(curve["chosen"] // 4)
    assert float(told[1]) == pytest.approx(length / 4, abs=0.01)
    assert float(told[2].replace(",", "")) == pytest.approx(1000 * length / ms, rel=0.01)
    for value, other in ((told[3], plain), (told[4], fixed)):
        ratio = (length / ms) / (other["length"] / other["ms"])
        assert float(value.rstrip("×")) == pytest.approx(ratio, abs=0.006)


QUESTIONS = [
    ("cpu-2", {}),
    ("a100", {"rows": 8}),
    ("h100", {"rows": 32, "prune": "always"}),
    ("t4", {"prune": "never"}),
    ("a100", {"accuracy": 0, "draft_ms": 1}),
    ("a100", {"heads": 0}),
    ("a100", {"slope_ms": 0, "accuracy": 1, "further_heads": 1}),
    ("a100", {"rows": 16, "recall": 0, "prune": "always"}),
]


@pytest.mark.parametrize(("preset", "changes"), QUESTIONS)
def test_reasons_figures_and_tree_of_any_answer(preset: str, changes: dict[str, Any]) -> None:
    answer = lab.plan(preset, changes)
    script = """const event = W.treeEvent(answer, words, "node_short");
      const figures = F.CURVES.map((c) => F.curveFigure(answer, c, room));
      for (const which of ["size", "gain"]) figures.push(F.batchFigure(answer, which, room));
      return {
        reasons: W.reasons(answer, words),
        values: figures.flatMap((f) => f.data.flatMap((t) => [...t.x, ...t.y])),
        nodes: treeFigure(event, { ...room, vertical: false }).data.at(-1).x.length,
        facts: event.nodes.depth.map((_, i) => W.nodeFacts(answer, i, words)),
        rows: W.tableRows(answer), batch: F.batchSentence(answer, words),
        sources: W.sources(answer.kind, answer.about, words),
      };"""
    found = run(script, answer=answer)
    assert all(value is not None for value in found["values"])  # NaN and Infinity become null
    assert found["nodes"] == answer["chosen"]["chosen"] // answer["values"]["rows"] + 1
    said = json.dumps([found[name] for name in ("reasons", "facts", "rows", "batch", "sources")])
    for hole in ("{", "undefined", "NaN", "Infinity", "null"):
        assert hole not in said.replace('{"cells"', "")
    assert found["reasons"]
    assert sum(row["chosen"] for row in found["rows"]) == 1


def test_reasons_hold_real_numbers() -> None:
    answer = lab.plan("a100", {"rows": 8, "prune": "never"})
    curve = answer["chosen"]
    at = curve["sizes"].index(curve["chosen"])
    more = 100 * (curve["ms"][at + 1] / curve["ms"][at] - 1)
    told = run("return W.reasons(answer, words);", answer=answer)[0]
    assert f"{curve['lengths'][at] / 8:.2f} tokens" in told
    assert f"{more:.1f}% of time" in told or f"{round(more)}% of time" in told


def test_nodes_that_pruning_probably_drops_look_so() -> None:
    answer = lab.plan("a100", {"rows": 8, "prune": "always", "kept": 0.2})
    event = run("return W.treeEvent(answer, words, 'node');", answer=answer)
    pairs = zip(event["nodes"]["fate"][1:], answer["tree"]["survive"][1:], strict=True)
    assert all((fate == "p") == (chance < 0.5) for fate, chance in pairs)
    assert "p" in event["nodes"]["fate"]
    assert event["nodes"]["text"][1] == "head\u00a01,\u00a0rank\u00a01"


def test_a_label_says_as_much_as_fits() -> None:
    """Long ones were cut in the middle, and all looked alike."""
    answer = lab.plan("a100", {"rows": 8})
    script = """return [120, 140, 240].map((column) => {
      const event = W.treeEvent(answer, words, W.labelFor(column));
      const columns = 1 + Math.max(...answer.tree.depth);
      const wide = { ...room, width: column * columns, vertical: false };
      return treeFigure(event, wide).data.at(-1).text.slice(1);
    });"""
    short, *longer = run(script, answer=answer)
    assert short[0] == "h1\u00a0r1"
    for labels in longer:
        assert labels[0] == f"h1\u00a0r1\u00a0{round(100 * answer['tree']['value'][1])}%"
        assert not any("…" in label for label in labels)


def test_a_page_without_a_server_snaps_to_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = {"rows": (1, 8), "accuracy": (None, 0.4, 0.8), "prune": ("pays", "never")}
    monkeypatch.setattr(lab, "AXES", axes)
    table = json.loads(json.dumps(lab.table("h100")))
    script = """const planner = P.tablePlanner(async () => table, Object.keys(table.axes));
      const ask = async (changes) => {
        const answer = await planner.ask({ preset: "h100", changes });
        return [answer.values, answer.changes, answer.kind];
      };
      return [await ask({}), await ask({ rows: 6, accuracy: 0.7, prune: "never", layer: 9 })];"""
    plain, snapped = run(script, table=table)
    assert plain == [lab.plan("h100")["values"], {}, "estimated"]
    changes = {"rows": 8, "accuracy": 0.8, "prune": "never"}
    assert snapped == [lab.plan("h100", changes)["values"], changes, "estimated"]
