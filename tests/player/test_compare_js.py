"""Compare's pure functions, run by node: alignments of a race, figures of the table, forests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import propd
from app.batching import Sweep, plan
from app.drawn import drawn
from app.strings.compare import BATCH_WORDS, COMPARE_WORDS
from app.tally import figures
from propd.core import CostTable, StepEvent
from propd.event_json import event_to_json
from tests.player.node import needs_node, run_script

pytestmark = needs_node
MODULES = {
    "* as R": "race.js",
    "* as T": "tally.js",
    "* as F": "batch_figures.js",
    "* as W": "words.js",
    "* as G": "figures.js",
    "* as I": "inbox.js",
}


def run(script: str, **values: Any) -> Any:
    """What a script returns that sees the modules under their letters, and the given values."""
    return run_script(script, MODULES, {"words": COMPARE_WORDS, **values})


def event(index: int, seconds: float, tokens: int) -> dict[str, Any]:
    return {"index": index, "elapsed_s": seconds, "token_ids": [7] * tokens}


CHEAP = CostTable(
    draft=((1, 1.0),), early=((1, 1.0), (64, 1.2)), prune=((1, 0.1),), late=((1, 5.0), (64, 6.0))
)
"""Nodes that cost next to nothing: however busy the machine is, there is a tree to prune."""
PLAIN = [event(i, 0.5 + i, 1) for i in range(5)]
"""Five tokens in 4.5 seconds."""
TREE = [event(0, 0.5, 1), event(1, 2.5, 3), event(2, 4.0, 1)]
"""The same five in two passes and 4 seconds."""
LANES = "const lanes = [R.laneOf('plain', plain), R.laneOf('tree', tree)];"


def race(script: str) -> Any:
    return run(LANES + script, plain=PLAIN, tree=TREE)


@pytest.mark.parametrize(
    ("alignment", "position", "indices"),
    [
        ("clock", 0, [-1, -1]),
        ("clock", 0.5, [0, 0]),
        ("clock", 2.49, [1, 0]),
        ("clock", 2.5, [2, 1]),
        ("clock", 99, [4, 2]),
        ("step", 0, [0, 0]),
        ("step", 1.9, [1, 1]),
        ("step", 3, [3, 2]),  # the one that is done waits at its end
        ("token", 1, [0, 0]),
        ("token", 2, [1, 1]),  # the step that wrote the second token wrote three
        ("token", 4, [3, 1]),
        ("token", 5, [4, 2]),
    ],
)
def test_each_method_stands_at_its_own_event(
    alignment: str, position: float, indices: list[int]
) -> None:
    script = f"return lanes.map((lane) => R.indexAt(lane, '{alignment}', {position}));"
    assert race(script) == indices


def test_a_race_ends_with_the_last_and_begins_before_the_first() -> None:
    script = "return R.ALIGNMENTS.map((a) => [R.startOf(a), R.extentOf(lanes, a)]);"
    assert race(script) == [[0, 4.5], [0, 4], [1, 5]]
    assert run("return R.extentOf([R.laneOf('x', [])], 'clock');") == 0


def test_back_and_on_go_to_the_next_change_of_any_method() -> None:
    """By fixed ticks one would press a button ten times to see one word."""
    script = """return [
      R.changeAfter(lanes, "clock", 1.5, 1), R.changeAfter(lanes, "clock", 2.5, 1),
      R.changeAfter(lanes, "clock", 3.5, -1), R.changeAfter(lanes, "clock", 0.5, -1),
      R.changeAfter(lanes, "clock", 4.5, 1), R.changeAfter(lanes, "token", 2, 1),
      R.changeAfter(lanes, "token", 1, -1)];"""
    assert race(script) == [2.5, 3.5, 2.5, 0, 4.5, 3, 1]


def test_bars_tell_what_is_written_or_the_passes_it_took() -> None:
    script = """const at = (alignment, position) => lanes.map((lane) =>
      R.share(lanes, lane, alignment, R.indexAt(lane, alignment, position)));
      return [at("clock", 2.5), at("step", 1), at("token", 5), at("clock", 0)];"""
    assert race(script) == [[0.6, 0.8], [0.4, 0.8], [1.0, 0.5], [0.0, 0.0]]


def test_another_alignment_keeps_the_moment_of_the_leader() -> None:
    script = """return [
      R.translate(lanes, "clock", "step", 2.6), R.translate(lanes, "clock", "token", 2.6),
      R.translate(lanes, "step", "clock", 1), R.translate(lanes, "clock", "clock", 2.6),
      R.translate(lanes, "clock", "token", 4.5), R.translate(lanes, "clock", "token", 0)];"""
    # after 2.6 s the tree leads with its first pass, whose first token is the second of the text
    assert race(script) == [1, 2, 2.5, 2.6, 5, 1]


def test_a_lane_knows_when_it_is_done() -> None:
    script = "return [R.standing(lanes[1], -1), R.standing(lanes[1], 1), R.standing(lanes[1], 2)];"
    assert race(script) == [
        {"tokens": 0, "passes": 0, "seconds": 0, "done": False},
        {"tokens": 4, "passes": 1, "seconds": 2.5, "done": False},
        {"tokens": 5, "passes": 2, "seconds": 4.0, "done": True},
    ]


# --- the table ---


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))


@pytest.fixture(scope="module")
def events(engine: propd.Engine) -> list[StepEvent]:
    more = {"ignore_eos": True, "prune_when": "always", "cost_table": CHEAP}
    return list(engine.stream("abc", max_new_tokens=30, **more))


def test_page_and_programs_count_alike(events: list[StepEvent]) -> None:
    """The same figures are counted in two languages."""
    told = run("return T.figures(events);", events=[drawn(one) for one in events])
    mine = figures(events)
    pairs = {
        "tokens": "tokens",
        "passes": "tokens_per_pass",
        "size": "mean_tree_size",
        "verified": "verified_per_token",
        "pruned": "pruned_share",
    }
    assert mine["pruned_share"] > 0
    for here, there in pairs.items():
        assert told[here] == pytest.approx(mine[there], abs=1e-4)
    assert told["times"] == pytest.approx(mine["ms_per_token"], rel=1e-2, abs=1e-3)


def test_plain_decoding_has_no_shares_of_nothing() -> None:
    plain = [
        {**event(i, 1 + i, 1), "kind": kind, "nodes": {"fate": "r"}, "milliseconds": {"late": 8}}
        for i, kind in enumerate(["prefill", "decode"])
    ]
    told = run("return T.figures(plain);", plain=plain)
    assert told["pruned"] is None and told["verified"] == 0 and told["passes"] == 1
    assert told["times"] == {"prefill": 4, "late": 4} and told["speed"] == 1
    assert run("return T.figures([]).speed;") is None


RUNS = {
    "medusa": {"events": [], "repeats": [{"tokens": 40, "seconds": s} for s in (4, 2, 4)]},
    "bpd": {"events": [], "repeats": [{"tokens": 40, "seconds": s} for s in (2, 2, 1)]},
}


def test_speed_ups_are_taken_repeat_by_repeat_with_their_spread() -> None:
    script = """return {
      base: T.baselineOf(runs), ups: T.spread(T.speedUps(runs.bpd, runs.medusa)),
      even: T.spread([1, 4]), none: T.spread([]), nothing: T.baselineOf({})};"""
    told = run(script, runs=RUNS)
    assert told["base"] == "medusa"  # plain decoding did not run, so the slowest
    assert told["ups"] == {"median": 2, "low": 1, "high": 4}
    assert told["even"] == {"median": 2.5, "low": 1, "high": 4} and told["none"] is None
    assert told["nothing"] is None
    plain = {**RUNS, "autoregressive": {"events": [], "repeats": [{"tokens": 9, "seconds": 1}]}}
    assert run("return T.baselineOf(runs);", runs=plain) == "autoregressive"


def test_the_table_has_a_row_for_each_method_that_began(events: list[StepEvent]) -> None:
    told = [drawn(one) for one in events]
    runs = {
        "propd": {"events": told, "repeats": []},
        "medusa": {"events": told[:3], "repeats": []},
        "bpd": {"events": [], "repeats": []},
    }
    rows = run("return T.tableOf(runs);", runs=runs)
    assert [row["method"] for row in rows] == ["propd", "medusa"]
    assert [row["baseline"] for row in rows].count(True) == 1
    assert all(row["speeds"]["median"] > 0 for row in rows)


# --- what a drawn event still tells ---


def test_a_drawn_event_tells_why_as_the_whole_one_does(events: list[StepEvent]) -> None:
    """Recorded comparisons keep a part of an event; a teacher asks them the same questions."""
    script = """const told = (event) => ({
        caption: W.caption(event, words), kinds: W.pieces(event),
        why: W.nodesOf(event).map((_, i) => W.why(event, i, words)),
      });
      return [whole.map(told), small.map(told)];"""
    whole, small = run(
        script,
        whole=[event_to_json(one) for one in events],
        small=[drawn(one) for one in events],
    )
    assert whole == small
    assert len({line for one in whole for line in one["why"]}) > 4


# --- small trees ---


def test_a_small_tree_is_seen_whole(engine: propd.Engine) -> None:
    """A tree of 63 nodes must fit beside another one; scrolling would hide the comparison."""
    medusa = list(engine.stream("abc", method="medusa", max_new_tokens=30, ignore_eos=True))
    script = """return events.map((event) => {
      const options = { width: 380, height: 300, small: true, ink: "#000", faint: "#777" };
      const { points, layout } = G.treeFigure(event, options);
      return [points, layout.width, layout.height];
    });"""
    drawings = run(script, events=[drawn(one) for one in medusa])
    assert max(len(points) for points, _, _ in drawings) > 60
    for points, width, height in drawings:
        assert (width, height) == (380, 300)
        assert all(0 < p["x"] < 380 and 0 < p["y"] < 300 for p in points)
        places = [(p["x"], p["y"]) for p in points]
        assert len(set(places)) == len(places)


def test_cells_fill_their_lines() -> None:
    script = (
        "return sizes.map((rows) => [F.gridOf(rows, 620).columns, F.gridOf(rows, 340).columns]);"
    )
    told = run(script, sizes=[1, 2, 3, 4, 6, 8, 12, 16])
    assert told == [[1, 1], [2, 2], [3, 2], [2, 2], [3, 2], [2, 2], [4, 2], [4, 2]]


def test_batches_are_counted_alike(engine: propd.Engine) -> None:
    sweep = Sweep(plan("a\nbc\nd", [1, 3], "propd", 16))
    for _ in sweep.stream(engine):
        pass
    told = run(
        "return Object.values(batches).map(F.batchFigures);", batches=sweep.record()["batches"]
    )
    for here, there in zip(told, sweep.summary()["batches"], strict=True):
        assert (here["rows"], here["passes"]) == (there["rows"], there["passes"])
        assert here["size"] == pytest.approx(there["mean_tree_size"], abs=1e-3)
        assert here["perPass"] == pytest.approx(there["tokens_per_pass"], abs=1e-3)
        assert here["speed"] == pytest.approx(there["tokens_per_second"], abs=1e-3)


def test_the_plots_show_what_was_measured_and_nothing_of_what_was_not() -> None:
    figures = [
        {"rows": 1, "passes": 9, "size": 8, "perPass": 2, "speed": 20},
        {"rows": 4, "passes": 0, "size": None, "perPass": None, "speed": None},
        {"rows": 16, "passes": 9, "size": 2, "perPass": 1.5, "speed": 90},
    ]
    script = """const inks = { ink: "#000", faint: "#777", grid: "#eee" };
      return F.sweepFigure(figures, 16, { width: 280, height: 300, words, ...inks });"""
    told = run(script, figures=figures, words=BATCH_WORDS)
    assert [trace["x"] for trace in told["data"]] == [[1, 16], [1, 16]]
    assert [trace["y"] for trace in told["data"]] == [[8, 2], [20, 90]]
    assert all(trace["marker"]["symbol"] == "square" for trace in told["data"])
    assert told["layout"]["xaxis"]["tickvals"] == [1, 4, 16]


# --- live messages ---


def test_messages_may_be_skipped_and_come_twice() -> None:
    script = """const items = [];
      for (const news of messages) I.append(items, news);
      return items.map((item) => item.index);"""
    messages = [{"1": {"index": 1}, "0": {"index": 0}}, {"3": {"index": 3}}, {}]
    assert run(script, messages=messages) == [0, 1]  # a gap is not closed by what lies behind it
    messages.append({str(i): {"index": i} for i in range(5)})
    assert run(script, messages=messages) == [0, 1, 2, 3, 4]


def test_what_is_being_done_says_how_long() -> None:
    script = "return stages.map((stage) => I.doing(stage, words, (name) => name.toUpperCase()));"
    running = {"stage": "running", "method": "bpd", "repeat": 2, "repeats": 3, "elapsed": 4}
    told = run(
        script,
        stages=[
            {**running, "left": 9},
            {**running, "repeats": 1, "left": None},
            {"stage": "warming", "warming": "bpd"},
            {},
        ],
    )
    assert told == [
        "BPD is running, 2 of 3 · 4 s so far · about 9 s to go (estimated)",
        "BPD is running · 4 s so far",
        "Warming up BPD, not timed",
        "",
    ]
