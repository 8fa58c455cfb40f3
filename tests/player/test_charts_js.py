"""Charts without plotly, pictures of a benchmark, and the store of runs: pure functions in node."""

from __future__ import annotations

from typing import Any

import pytest

from app import settings
from app.benchmarks import shipped
from app.strings.runs import RUNS
from tests.player.node import needs_node, run_script

pytestmark = needs_node


MODULES = {
    "* as P": "paint.js",
    "* as B": "bench_figures.js",
    "* as T": "bench.js",
    "* as S": "store.js",
    "* as F": "files.js",
}


def run(script: str, **values: Any) -> Any:
    """What a script returns that sees the modules under their letters, and the given values."""
    return run_script(script, MODULES, {"words": RUNS, **values})


# --- charts without plotly ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "most", "found"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (-0.4, 2.9, 4, [0, 1, 2]),
        (0.001, 0.0042, 3, [0.002, 0.004]),
        (7, 7, 4, [7]),
    ],
)
def test_ticks_are_round_numbers_inside(low: float, high: float, most: int, found: list) -> None:  # type: ignore[type-arg]
    assert run("return P.ticks(low, high, most);", low=low, high=high, most=most) == found


def test_values_meet_pixels_on_each_axis() -> None:
    """Two axes one above the other, the first with a range, the second with that of its data."""
    layout = {
        "width": 120,
        "height": 110,
        "margin": {"l": 20, "t": 10},
        "xaxis": {"range": [0, 10]},
        "yaxis": {"domain": [0.6, 1], "range": [0, 4]},
        "yaxis2": {"domain": [0, 0.4]},
    }
    data = [{"x": [1, 2], "y": [5, 9], "yaxis": "y2"}]
    script = """const { axes } = P.axesOf(data, layout);
      const reach = [axes.y2.low, axes.y2.high];
      return [axes.x.place(0), axes.x.place(10), axes.y.place(0), axes.y.place(4), reach];"""
    left, right, low, high, reach = run(script, data=data, layout=layout)
    assert (left, right, low, high) == (20, 120, 50, 10)
    assert reach == [pytest.approx(4.76), pytest.approx(9.24)]


def test_a_tooltip_tells_the_numbers_of_its_point() -> None:
    template = "n = %{x}: %{y:.3~g} (estimated)<extra></extra>"
    told = run(
        "return P.hoverText(template, { x: 16, y: 1.98765 });",
        template=template,
    )
    assert told == "n = 16: 1.99 (estimated)"


# --- the benchmark --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return shipped(settings.DOCS)[0]


def by_name(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {total["name"]: total for total in results["totals"]}


def test_the_speeds_of_the_picture_are_those_of_the_file(results: dict[str, Any]) -> None:
    script = "return B.speedFigure(results, { width: 500, words });"
    figure = run(script, results=results)
    (marks,) = figure["data"]
    totals = by_name(results)
    assert dict(zip(marks["customdata"], marks["x"], strict=True)) == {
        name: total["ratio"] for name, total in totals.items()
    }
    ends = [x + far for x, far in zip(marks["x"], marks["error_x"]["array"], strict=True)]
    highs = [max(totals[name]["high"], totals[name]["ratio"]) for name in marks["customdata"]]
    assert ends == pytest.approx(highs)
    names = figure["layout"]["yaxis"]["ticktext"]
    ratios = [totals[name]["ratio"] for name in names]
    assert ratios == sorted(ratios)  # the fastest on top


def test_several_batch_sizes_have_shapes_and_a_legend(results: dict[str, Any]) -> None:
    """Colour alone would not tell them apart for everybody."""
    again = [{**total, "batch": 4} for total in results["totals"]]
    both = {**results, "totals": results["totals"] + again}
    script = """return B.speedFigure(results, { width: 500, words }).data
      .map((trace) => [trace.name, trace.marker.symbol, trace.marker.color]);"""
    told = run(script, results=both)
    assert [name for name, _, _ in told] == ["batch 1", "batch 4"]
    assert len({symbol for _, symbol, _ in told}) == len({colour for _, _, colour in told}) == 2


def test_phases_add_up_to_the_pass(results: dict[str, Any]) -> None:
    script = """const { data } = B.phasesFigure(results, { width: 500, words });
      const sum = (i) => data.reduce((total, bar) => total + bar.x[i], 0);
      return data[0].customdata.map((name, i) => [name, sum(i)]);"""
    sums = dict(run(script, results=results))
    expected = {phase["name"]: sum(phase["ms"].values()) for phase in results["phases"]}
    assert sums == pytest.approx(expected)


def test_labels_keep_clear_of_each_other() -> None:
    """Two marks 10 pixels apart had their names on top of each other."""
    points = [{"x": 200, "y": 100}, {"x": 206, "y": 104}, {"x": 4, "y": 50}]
    spots = run("return B.labelSpots(points, [6, 6, 10], 400);", points=points)
    assert spots[0] != spots[1]
    assert spots[2] == "middle right"  # the edge is on its left


def test_expected_and_measured_do_not_look_alike(results: dict[str, Any]) -> None:
    script = """return B.promiseFigure(results.promises, "propd", { width: 500, words }).data
      .map((trace) => [trace.name, trace.line.dash, trace.marker.symbol, trace.y]);"""
    curve = next(curve for curve in results["promises"] if curve["name"] == "propd")
    assert run(script, results=results) == [
        ["expected", "dot", "circle-open", curve["tokens_expected"]],
        ["measured", "solid", "circle", curve["tokens"]],
        ["expected", "dot", "circle-open", curve["ms_expected"]],
        ["measured", "solid", "circle", curve["ms"]],
    ]


def test_results_without_groups_have_fewer_pictures(results: dict[str, Any]) -> None:
    old = {**results, "phases": [], "promises": []}
    script = """return [B.phasesFigure(results, { words }),
      B.promiseFigure(results.promises, undefined, { words })];"""
    assert run(script, results=old) == [None, None]


def test_the_table_and_the_sentence_have_the_numbers(results: dict[str, Any]) -> None:
    script = """return [T.table(results.totals, words), T.lead(results, { propd: "ProPD" }, words),
      T.aboutRows(results.about, words)];"""
    table, sentence, about = run(script, results=results)
    best = by_name(results)["propd"]
    assert len(table["rows"]) == len(results["totals"])
    assert all(len(row) == len(table["heads"]) for row in table["rows"])
    assert "batch" not in table["heads"]
    assert f"{best['ratio']:.2f} times" in sentence and "{" not in sentence
    assert ["device", "cpu"] in about and ["threads", "2"] in about


# --- the store, and files -------------------------------------------------------------------------


def test_the_store_keeps_the_newest_and_tells_of_changes() -> None:
    script = """let told = 0;
      const stop = S.onRuns(() => told++);
      for (let i = 0; i < 45; i++) S.keep({ key: `k${i}`, events: [] });
      S.keep({ key: "k44", events: [1] });
      S.forget("k43");
      stop();
      S.forget("k42");
      const keys = S.kept().map((run) => run.key);
      const ends = [keys[0], keys[keys.length - 1]];
      return [told, keys.length, ...ends, S.find("k44").events.length, S.find("k0")];"""
    assert run(script) == [47, 38, "k44", "k5", 1, None]


def test_a_file_name_has_plain_letters_only() -> None:
    """What a run is called comes from a stranger's file."""
    names = [["propd", "../../etc/passwd"], ["<b>", "\u202e"], ["a b", 7], ["x" * 500]]
    assert run("return names.map((parts) => F.fileName(...parts));", names=names) == [
        "propd-etc-passwd",
        "b",
        "a-b-7",
        "x" * 60,
    ]
