"""`python -m propd trace`: figures, tables, graphs and trees of a file, also of a nasty one."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from propd import trace_graph
from propd.cli import main
from propd.core import StepEvent
from propd.errors import InvalidRequest
from propd.terminal import caption, render_tree
from propd.trace import Trace, fingerprint, load, save, to_networkx
from propd.trace_table import NODE_COLUMNS, STEP_COLUMNS, steps_csv
from tests.trace_samples import HEADER, broken, last_step, prefill, run, step

networkx = pytest.importorskip("networkx")
NASTY = "\x1b[31m\x00\r\u202e<b>&\ufffe"
"""A command to the terminal, what XML forbids, a switch of the writing direction, and markup."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(run(), tmp_path / "run.json")
    return tmp_path / "run.json"


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    """A run whose every text is nasty."""
    events = []
    for event in run().events:
        nodes = tuple(replace(node, text=NASTY, choice_text=NASTY) for node in event.nodes)
        bonus = event.bonus and replace(event.bonus, text=NASTY)
        pieces = (NASTY,) * len(event.token_ids)
        events.append(replace(event, nodes=nodes, bonus=bonus, pieces=pieces, text="".join(pieces)))
    header = replace(HEADER, model=NASTY, method=f"a\nb{NASTY}", prompt=f"\n{NASTY}\nerror: x")
    save(Trace(header, tuple(events)), tmp_path / "nasty.json")
    return tmp_path / "nasty.json"


def tell(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["trace", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_a_good_file_is_one_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(capsys, "validate", path) == (
        "valid: propd-trace/1, tiny, propd, 3 events, 4 tokens, 1.50 tokens per pass, "
        f"fingerprint {fingerprint(load(path))}\n"
    )


@pytest.mark.parametrize("action", ["validate", "csv", "graphml", "show"])
def test_a_doctored_file_is_one_sentence_and_code_2(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(broken(("events.1.accepted", []))))
    assert main(["trace", action, str(tmp_path / "bad.json")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "error: The trace contradicts itself: accepted and the fates of event 1 disagree.\n"
    )


@pytest.mark.parametrize("action", ["validate", "csv", "graphml", "show"])
def test_a_missing_file_is_one_sentence_and_code_2(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", action, str(tmp_path / "none.json")]) == 2
    assert "none.json cannot be read" in capsys.readouterr().err


def test_the_commands_start_without_torch(path: Path) -> None:
    """A trace is text: nobody should wait seconds for a library that it does not need."""
    code = (
        "import sys; from propd.cli import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    )
    for action in ("validate", "csv", "show"):
        done = subprocess.run(
            [sys.executable, "-c", code, "trace", action, str(path)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "False"


def test_a_reader_that_has_seen_enough_is_no_error(path: Path) -> None:
    """`trace csv FILE | head` ended in a traceback."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "propd", "trace", "csv", str(path)],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


# --- csv --------------------------------------------------------------------------------------


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_row_for_each_step(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = rows(tell(capsys, "csv", path))
    assert list(second) == STEP_COLUMNS
    known = {
        "index": "1", "row": "0", "kind": "decode", "past_length": "12", "drafted": "3",
        "pruned": "1", "verified": "2", "accepted": "1", "new_tokens": "2", "chosen_size": "3",
        "expected_length": "1.75", "estimated_ms": "31.5", "draft_ms": "1.5", "early_ms": "10.25",
        "late_ms": "20.5", "total_ms": "32.25", "elapsed_s": "0.125", "finish_reason": "",
        "text": " cat sat",
    }  # fmt: skip
    assert {name: second[name] for name in known} == known
    assert (first["expected_length"], first["estimated_ms"]) == ("", "")  # nothing was estimated
    assert (third["expected_length"], third["finish_reason"]) == ("1.5", "length")


def test_a_row_for_each_node(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = rows(tell(capsys, "csv", path, "--nodes"))
    assert list(table[0]) == NODE_COLUMNS
    fates = [(row["step"], row["node"], row["parent"], row["fate"]) for row in table[2:7]]
    assert fates == [
        ("1", "0", "-1", "root"),
        ("1", "1", "0", "accepted"),
        ("1", "2", "0", "rejected"),
        ("1", "3", "1", "pruned"),
        ("1", "4", "1", "bonus"),
    ]
    assert len(table) == 2 + 5 + 3


@pytest.mark.parametrize("start", [*"=+-@\t\r\n", "＝", "＠"])
def test_no_cell_is_a_formula(start: str) -> None:
    """A prompt can make a model write =HYPERLINK(...), and a spreadsheet would run it."""
    text = f"{start}1+1"
    (row,) = rows(steps_csv([replace(step(), text=text)]))
    assert row["text"].startswith("'")
    (harmless,) = rows(steps_csv([replace(step(), text=f"x{start}1")]))
    assert harmless["text"].startswith("x")


def test_numbers_below_zero_stay_numbers(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The guard of a formula is for texts: the root's parent is -1 and not the text '-1."""
    assert rows(tell(capsys, "csv", path, "--nodes"))[0]["parent"] == "-1"


def test_a_table_goes_to_a_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = path.parent / "steps.csv"
    assert tell(capsys, "csv", path, "--out", out) == ""
    assert out.read_bytes().decode() == steps_csv(load(path).events)
    assert main(["trace", "csv", str(path), "--out", str(path.parent / "no" / "x.csv")]) == 2
    assert "x.csv cannot be written" in capsys.readouterr().err


# --- graphs -----------------------------------------------------------------------------------


def test_the_graph_of_a_step_is_a_tree_with_the_bonus_at_its_end() -> None:
    graph = to_networkx(step())
    assert networkx.is_arborescence(graph)
    assert graph.nodes[4]["fate"] == "bonus" and list(graph.predecessors(4)) == [1]
    assert graph.graph == {"index": 1, "kind": "decode"}
    assert "choice_id" not in graph.nodes[3]  # None has no type that GraphML knows


def test_the_steps_join_where_the_text_goes_on() -> None:
    """Each bonus is the next root: twice in the graph, the text would fall into pieces."""
    graph = to_networkx(run().events)
    assert networkx.is_arborescence(graph)
    assert len(graph) == 2 + 4 + 2
    ends = [number for number in graph if graph.nodes[number].get("token_id") == 13]
    path = networkx.shortest_path(graph, 0, ends[0])
    assert [graph.nodes[number]["token_id"] for number in path] == [5, 7, 8, 12, 13]
    assert [graph.nodes[number]["step"] for number in path] == [0, 0, 1, 1, 2]
    assert graph.nodes[path[3]]["choice_id"] == 13  # what only the next step could know
    for above, below in graph.edges:
        assert graph.nodes[below]["parent"] == above


def test_rows_of_a_batch_are_trees_of_their_own() -> None:
    both = [replace(event, row=row) for event in (prefill(), step()) for row in (0, 1)]
    graph = to_networkx(both)
    assert networkx.number_weakly_connected_components(graph) == 2
    assert networkx.is_forest(graph)


def test_a_graph_that_would_be_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 5 MB can hold a million nodes, and a graph takes a kilobyte for each."""
    monkeypatch.setattr(trace_graph, "MAX_GRAPH_NODES", 9)
    assert len(to_networkx(run().events[:2])) == 6
    with pytest.raises(InvalidRequest, match="10 nodes, more than 9"):
        to_networkx(run().events)


def graph_of(text: str) -> networkx.DiGraph:
    return networkx.parse_graphml(text, node_type=int)


def test_graphml_is_read_back_as_it_was(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = to_networkx(load(path).events)
    out = path.parent / "run.graphml"
    assert tell(capsys, "graphml", path, "--out", out) == ""
    graph = networkx.read_graphml(out, node_type=int)
    assert dict(graph.nodes(data=True)) == dict(expected.nodes(data=True))
    assert set(graph.edges) == set(expected.edges)


def test_graphml_of_one_step(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = graph_of(tell(capsys, "graphml", path, "--step", "1"))
    assert len(graph) == 5
    assert graph.nodes[1]["text"] == " cat"


def test_graphml_survives_any_token(nasty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One control character in a token made a file that no XML parser opens."""
    graph = graph_of(tell(capsys, "graphml", nasty))
    texts = {data["text"] for _, data in graph.nodes(data=True)}
    assert texts == {"<1B>[31m<00><0D>\u202e<b>&<FFFE>"}


# --- show -------------------------------------------------------------------------------------


def test_show_prints_every_tree_or_one(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trees = [render_tree(event) for event in load(path).events]
    assert tell(capsys, "show", path) == "\n\n".join(["tiny, propd: Hi </script>", *trees]) + "\n"
    assert tell(capsys, "show", path, "--step", "1").endswith(f"\n\n{trees[1]}\n")


@pytest.mark.parametrize("action", ["show", "graphml"])
@pytest.mark.parametrize("number", ["3", "-1"])
def test_a_step_that_is_not_there_is_one_sentence(
    action: str, number: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", action, str(path), "--step", number]) == 2
    said = capsys.readouterr().err
    assert said == f"error: There is no step {number}; the trace has the steps 0 to 2.\n"


@pytest.mark.parametrize(
    "arguments", [["validate"], ["show"], ["csv"], ["csv", "--nodes"], ["graphml"]]
)
def test_nothing_in_a_file_commands_the_terminal(
    arguments: list[str], nasty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token ESC [ 2 J would clear the screen of whoever looks at the trace."""
    printed = tell(capsys, *arguments, nasty)
    assert not [c for c in printed if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]


@pytest.mark.parametrize("action", ["validate", "show"])
def test_a_header_cannot_forge_a_line(
    action: str, nasty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line break in a prompt could print a line that looks like ours."""
    assert "\nerror:" not in tell(capsys, action, nasty)
    assert len(tell(capsys, "validate", nasty).splitlines()) == 1


def test_a_caption_of_a_batch_names_its_row() -> None:
    """All rows have a step 1; which one was shown could not be told."""

    def begin(event: StepEvent) -> str:
        return caption(event).split(":")[0]

    assert begin(step()) == "step 1"
    assert begin(replace(last_step(), rows=2)) == "step 2 of row 0"
    assert begin(replace(prefill(), row=3)) == "prefill of row 3"
