"""The walkthrough's pure functions, and that every chapter finds its step in the shipped runs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from app import settings
from app.recorded import recorded_runs
from app.strings.learn import CHAPTERS, LEARN
from app.tabs.learn import benchmark
from tests.player.node import needs_node, run_script

pytestmark = needs_node


MODULES = {
    "* as P": "learn/pick.js",
    "* as T": "learn/tables.js",
    "* as R": "learn/rich.js",
    "* as F": "learn/figures.js",
    "* as C": "learn/chapters.js",
    "{ bend }": "learn/chapters/size.js",
    "{ tail }": "learn/parts.js",
    "* as attention": "learn/chapters/attention.js",
    "* as tree": "learn/chapters/tree.js",
}


def run(script: str, **values: Any) -> Any:
    """What a script returns that sees the walkthrough's functions and the given values."""
    return run_script(script, MODULES, {"words": LEARN, **values})


def read(path: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def costs() -> dict[str, Any]:
    names = {"1": "costs-1", "4": "costs-4", "16": "costs-16", "w4a8": "costs-1-w4a8"}
    return {key: read(settings.LEARN / f"{name}.json") for key, name in names.items()}


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    """What the page hands to the chapters: all that is shipped."""
    traces = recorded_runs(settings.TRACES)
    return {
        "runs": [{**one, **read(settings.TRACES / f"{one['name']}.json")} for one in traces],
        "recall": read(settings.LEARN / "recall.json"),
        "costs": costs(),
        "batches": [
            {"rows": n, "run": read(settings.LEARN / f"batch-{n}.json")} for n in (1, 4, 16)
        ],
        "bench": benchmark(settings.DOCS),
    }


SMALL = {
    "index": 3,
    "kind": "decode",
    "nodes": {
        "fate": "raxpp",
        "token_id": [1, 2, 3, 4, 5],
        "parent": [-1, 0, 0, 1, 3],
        "depth": [0, 1, 1, 2, 3],
        "rank": [0, 0, 1, 0, 0],
        "value": [1, 0.5, 0.2, 0.3, 0.1],
        "draft_probability": [None, 0.5, 0.2, 0.6, 0.3],
        "early_rank": [None, 0, 3, 72, 7],
        "choice_id": [2, 9, 7, None, None],
        "text": [" a", " b", " c", " d", " e"],
        "choice_text": [" b", " z", " x", "", ""],
    },
    "bonus": {
        "fate": "b", "token_id": [9], "parent": [1], "depth": [2], "rank": [0], "value": [0],
        "text": [" z"],
    },
    "accepted": [1],
    "token_ids": [2, 9],
    "prune_layer": 4,
    "prune_top_k": 50,
    "decision": {"chosen": 4, "reason": "best"},
    "milliseconds": {"late": 5},
}  # fmt: skip
"""The text goes " a" (root) " b" (accepted) " z" (bonus); " d" below " b" was pruned with " e"."""


def test_every_shipped_chapter_finds_its_step(given: dict[str, Any]) -> None:
    """The runs are recorded anew now and then; a chapter without a step would be an empty page."""
    found = run(
        """return C.CHAPTERS.map(({ id, steps, prepare }) => {
          const lesson = prepare(given, words), told = words.chapters[id];
          if (!lesson) return { id, lesson: null };
          const choices = typeof lesson.choices === "number" ? told.ask.choices : lesson.choices;
          const say = (text) => R.filled(text, lesson.facts).map((part) => part.text).join("");
          const texts = [...steps.flatMap((name) => told.steps[name].text),
            told.ask.question, told.ask.reveal, ...choices].map(say);
          return { id, steps, texts, choices: choices.map(say), right: lesson.right };
        });""",
        given=given,
    )
    assert [one["id"] for one in found] == list(CHAPTERS)
    for one in found:
        assert one.get("lesson", True) is not None, f"no recorded step for {one['id']}"
        assert list(CHAPTERS[one["id"]]["steps"]) == one["steps"]
        assert len(set(one["choices"])) == len(one["choices"]) >= 2
        assert 0 <= one["right"] < len(one["choices"])
        for text in one["texts"]:
            assert not re.search(r"\{\w+\}|undefined|NaN|Infinity", text), text


def test_a_chapter_without_its_data_says_so_and_does_not_break() -> None:
    nothing = {"runs": [], "recall": None, "costs": {}, "batches": [], "bench": None}
    found = run("return C.CHAPTERS.map(({ prepare }) => prepare(given, words));", given=nothing)
    assert found == [None] * len(CHAPTERS)


def test_the_steps_show_what_their_chapters_are_about(given: dict[str, Any]) -> None:
    told = run(
        """const { runs } = given, prune = P.stepOfPruning(runs), loss = P.stepOfLoss(runs);
        return {
          branches: P.branchesOf(prune.event), lost: P.lost(prune.event),
          loss: loss.event.nodes.token_id[P.lost(loss.event)], bonus: loss.event.bonus.token_id[0],
          heads: P.headLists(P.stepOfHeads(runs).event).length,
          copied: P.stepOfText(runs).nodes.length,
          toll: P.pruningToll(runs), size: P.stepOfSize(runs).event.nodes.parent.length,
        };""",
        given=given,
    )
    assert sum(branch["survives"] for branch in told["branches"]) == 1 < len(told["branches"])
    assert told["lost"] is None
    assert told["loss"] == told["bonus"]  # the token that pruning lost is written all the same
    assert told["heads"] >= 3 and told["copied"] >= 2 and told["size"] > 30
    assert 0 < told["toll"]["lost"] < told["toll"]["right"] < told["toll"]["drafted"]


def test_what_the_chapters_claim_is_true_of_what_is_shipped(given: dict[str, Any]) -> None:
    """Numbers come from the data; sentences do not, so new data must not make them wrong."""
    facts = run(
        """const told = {};
        for (const { id, prepare } of C.CHAPTERS) told[id] = prepare(given, words).facts;
        return told;""",
        given=given,
    )
    assert float(facts["slow"]["times"]) < 2.5  # "nearly the same for one token as for a few"
    assert int(facts["heads"]["last"][:-1]) < int(facts["heads"]["first"][:-1])
    assert int(facts["heads"]["draft_ms"]) * 5 < int(facts["heads"]["pass_ms"])
    assert int(facts["pruning"]["lens"][:-1]) + 10 < int(facts["pruning"]["recall"][:-1])
    assert int(facts["size"]["dear"]) < int(facts["size"]["best"]) < int(facts["size"]["most"])
    assert facts["step"]["most"] in ("late layers", "early layers")
    assert float(facts["batch"]["large_nodes"]) < 0.8 * float(facts["batch"]["small_nodes"])
    assert float(facts["batch"]["eight_large"]) > float(facts["batch"]["eight_small"])


def test_the_recorded_texts_of_one_prompt_are_the_same(given: dict[str, Any]) -> None:
    """Chapter 9 claims it of the shipped runs."""
    same = run(
        "const { a, b, same } = P.sameText(given.runs); return [a.length, b.length, same];",
        given=given,
    )
    assert same[2] == min(same[0], same[1]) > 100


def test_addresses_lead_to_a_chapter_and_step_and_never_fail() -> None:
    places = [["tree", "grow"], ["3", "2"], [], ["nonsense", "x"], ["99", "99"], ["size", "-1"]]
    found = run("return places.map((parts) => C.placeOf(parts));", places=places)
    names = list(CHAPTERS)
    tree, last, size = names.index("tree"), len(names) - 1, names.index("size")
    assert found == [
        {"chapter": tree, "step": list(CHAPTERS["tree"]["steps"]).index("grow")},
        {"chapter": 2, "step": 1},
        {"chapter": 0, "step": 0},
        {"chapter": 0, "step": 0},
        {"chapter": last, "step": len(CHAPTERS[names[last]]["steps"]) - 1},
        {"chapter": size, "step": 0},
    ]


def test_next_goes_through_everything_once() -> None:
    walked = run(
        """const list = [];
        for (let at = C.placeOf([]); at; at = C.beside(at, 1)) list.push(at);
        const back = [];
        for (let at = list[list.length - 1]; at; at = C.beside(at, -1)) back.unshift(at);
        return [list, back];"""
    )
    assert walked[0] == walked[1]
    assert len(walked[0]) == sum(len(chapter["steps"]) for chapter in CHAPTERS.values())


def test_times_lie_between_the_measured_points() -> None:
    table = {"early": [[1, 1], [4, 2]], "late": [[1, 10], [4, 16], [8, 40]], "draft": [[1, 3]]}
    assert run(
        """return [T.timeAt(table.late, 1), T.timeAt(table.late, 2), T.timeAt(table.late, 10),
          T.timeAt([[1, 7]], 5), T.passTime(table, 4), T.stepTime(table, 0), T.stepTime(table, 3),
          T.passes(table)];""",
        table=table,
    ) == [
        10, 12, 52, 7, 18, 11, 21, [{"tokens": 1, "ms": 11}, {"tokens": 4, "ms": 18}],
    ]  # fmt: skip


def test_the_best_size_follows_the_cost_curve() -> None:
    """Values .5, .3, .2, .1: flat costs take all nodes, steep ones none, those between some."""
    told = run(
        """const worth = T.lengths(event), best = (times) => T.bestSize(worth, times);
        const times = [10, 11, 13, 16, 20];
        return [worth, best([10, 10, 10, 10, 10]), best(times), best(T.bent(times, 1, 5)),
          best(T.bent(times, 3, 1)), T.bent([10, 12], 2, 3), T.byValue(event)];""",
        event=SMALL,
    )
    assert told[0] == pytest.approx([1, 1.5, 1.8, 2.0, 2.1])
    assert told[1:] == [4, 2, 0, 3, [20, 26], [1, 3, 2, 4]]


def test_a_smaller_tree_writes_less_and_its_bonus_is_the_next_word() -> None:
    cut = run("return [0, 1, 2, 4].map((n) => T.cutTo(event, n));", event=SMALL)
    assert [one["nodes"]["fate"] for one in cut] == ["r", "ra", "rap", "raxpp"]
    assert [one["token_ids"] for one in cut] == [[2], [2, 9], [2, 9], [2, 9]]
    assert cut[0]["bonus"]["text"] == [" b"] and cut[0]["bonus"]["parent"] == [0]
    assert cut[2]["nodes"]["parent"] == [-1, 0, 1]
    assert cut[1]["bonus"]["text"] == [" z"]


def test_another_k_cuts_by_the_recorded_ranks() -> None:
    """Early ranks 0, 3, 72, 7: node 3 goes at k = 50 and stays at 100; node 4 goes with node 3."""
    fates = run(
        """const told = ([cut, counts]) => [cut.nodes.fate, counts];
        return [1, 50, 100].map((k) => told(T.cutAt(event, k)));""",
        event=SMALL,
    )
    assert fates == [
        ["rappp", {"kept": 1, "cut": 3, "unknown": 0, "gone": 0}],
        ["raxpp", {"kept": 2, "cut": 2, "unknown": 0, "gone": 0}],
        ["raxdd", {"kept": 4, "cut": 0, "unknown": 2, "gone": 0}],
    ]
    strict = {**SMALL, "nodes": {**SMALL["nodes"], "early_rank": [None, 5, 3, 72, 7]}}
    event, counts = run("return T.cutAt(event, 4);", event=strict)
    assert event["nodes"]["fate"] == "rpxpp" and event["accepted"] == [] and counts["gone"] == 1


def test_a_node_sees_its_path_and_nothing_else() -> None:
    seen = run("return attention.maskOf(event).map((row) => row.map(Number));", event=SMALL)
    assert ["".join(map(str, row)) for row in seen] == [
        "10000", "11000", "10100", "11010", "11011",
    ]  # fmt: skip


def test_the_value_of_a_node_is_told_as_a_product() -> None:
    assert run("return [1, 3, 4].map((i) => tree.product(event, i));", event=SMALL) == [
        "0.50",
        "0.50 × 0.60 = 0.30",
        "0.50 × 0.60 × 0.33 = 0.10",
    ]


def test_the_next_node_is_the_most_valuable_one_that_hangs_on_the_tree() -> None:
    assert run("return [P.frontier(event, 0), P.frontier(event, 1)];", event=SMALL) == [
        [1, 2],
        [3, 2],
    ]


def test_lists_of_heads_are_read_only_where_they_are_lists() -> None:
    """The same token at a depth and rank, whatever the path: so it is with Medusa's heads."""
    lists = run("return P.headLists(event);", event=SMALL)
    assert [[(one["rank"], one["text"]) for one in row] for row in lists] == [
        [(0, " b"), (1, " c")],
        [(0, " d")],
        [(0, " e")],
    ]
    mixed = {**SMALL, "nodes": {**SMALL["nodes"], "source": "hhtbh"}}
    assert run("return P.headLists(event);", event=mixed) is None
    other = {**SMALL, "nodes": {**SMALL["nodes"], "rank": [0, 0, 0, 0, 0]}}
    assert run("return P.headLists(event);", event=other) is None


def test_the_place_of_a_copy_is_found_with_the_words_before_it() -> None:
    head = {"prompt": "say red fox runs", "method": "m"}
    runs = {"header": head, "events": [{"index": 0, "text": "The red fox"}]}
    place = run("return P.earlierPlace(one, { index: 1 }, ' runs');", one=runs)
    assert place["all"][place["at"] :].lstrip().startswith("red fox runs")
    assert place["known"].strip() == "red fox"
    assert run("return P.earlierPlace(one, { index: 1 }, ' flies');", one=runs) is None


def test_a_pointer_on_the_cost_curve_asks_for_floor_or_slope() -> None:
    """Drawn at 100 by 100 pixels; T goes from 10 to 20 over sizes 0 to 10."""
    told = run(
        """const scale = { ms: (y) => 100 - y, size: (x) => x / 10 };
        const times = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
        return [[0, 80], [50, 60], [100, 99]].map(([x, y]) => bend(scale, times, x, y, 1));"""
    )
    assert told == [{"floor": 2}, {"slope": 6}, {"slope": 0}]


def test_glossary_words_in_a_sentence_and_values_stay_plain() -> None:
    parts = run(
        "return R.filled('A [[draft head|head]] says “{word}” of [[token]].', { word });",
        word="[[x]] {word}",
    )
    assert parts == [
        {"text": "A "},
        {"term": "draft head", "text": "head"},
        {"text": " says “[[x]] {word}” of "},
        {"term": "token", "text": "token"},
        {"text": "."},
    ]


def test_a_text_is_cut_at_a_word() -> None:
    assert run("return [tail('short', 9), tail('one two three', 7)];") == ["short", "… three"]


def test_figures_hold_what_the_tables_say(given: dict[str, Any]) -> None:
    """Measured points are drawn as they were measured, and nothing of a figure is markup."""
    drawn = run(
        """const sides = { width: 500, height: 300 }, inks = { ink: "#000", faint: "#777" };
        const options = { ...sides, ...inks, grid: "#eee", blue: "#00f", words };
        const list = T.passes(given.costs["1"]), times = [10, 11, 20];
        const worth = { lengths: [1, 1.5, 1.7], times, measured: times, best: 1 };
        const trade = F.tradeFigure(worth, ["length", "cost", "ratio"], options);
        const lines = trade.data.filter((one) => one.mode === "lines").map((one) => one.y);
        return {
          list, lines,
          pass: F.passFigure(list, 8, { ...options, now: 5 }).data[1],
          lens: F.layerFigure(given.recall, 50, "4", options).data[0].y,
          label: F.promiseFigure([{ label: "<b>", length: 2, got: 1.5 }], options).data[0].x[0],
        };""",
        given=given,
    )
    assert drawn["pass"]["x"] == [one["tokens"] for one in drawn["list"]]
    assert drawn["pass"]["y"] == [one["ms"] for one in drawn["list"]]
    assert len(drawn["lens"]) == given["recall"]["about"]["layers"]
    assert drawn["lens"][-1] == 1.0  # by definition: the texts are greedy
    assert pytest.approx([drawn["lines"][-1][1]]) == [1000 * 1.5 / 11]
    assert drawn["label"] == "&lt;b&gt;"
