"""The command line: one clear sentence and exit code 2 for each mistake; JSON that is JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from propd.cli import METHOD_NAMES, main
from propd.methods import METHODS
from propd.trace import load


def run(tiny_folder: Path, *arguments: str) -> int:
    heads = str(tiny_folder / "heads")
    return main(["generate", *arguments, "--model", str(tiny_folder), "--heads", heads])


def test_json_is_one_object(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny_folder, "abc", "--json", "--max-new-tokens", "12") == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"text", "token_ids", "method", "dtype", "device", "stats"}
    assert len(answer["token_ids"]) == answer["stats"]["new_tokens"] == 12
    assert {
        "new_tokens", "steps", "tokens_per_pass", "seconds", "tokens_per_second",
        "drafted", "pruned", "verified",
    } <= set(answer["stats"])  # fmt: skip


def test_the_text_streams_to_standard_output(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_folder, "abc", "--max-new-tokens", "5", "--method", "bpd") == 0
    printed = capsys.readouterr()
    assert printed.out.strip()
    assert "bpd: 5 tokens" in printed.err


def test_the_tree_shows_the_fates(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("abc", "--max-new-tokens", "30", "--show-tree", "--method", "medusa")
    assert run(tiny_folder, *arguments) == 0
    printed = capsys.readouterr().out
    for word in ("root", "rejected", "bonus", "drafted, ", "verified, "):
        assert word in printed


def test_a_run_is_recorded(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    arguments = ("abc", "--json", "--max-new-tokens", "12", "--seed", "5", "--trace", str(path))
    assert run(tiny_folder, *arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    trace = load(path)
    assert [t for event in trace.events for t in event.token_ids] == answer["token_ids"]
    assert (trace.header.prompt, trace.header.method) == ("abc", "propd")
    wanted = {"max_new_tokens": 12, "seed": 5, "record_probabilities": True}
    assert trace.header.config == wanted
    assert trace.header.recorded == date.today().isoformat()
    assert trace.header.versions.keys() >= {"python", "torch"}


@pytest.mark.parametrize("place", [".", "no-such-folder/run.json"])
def test_a_place_without_room_is_refused_before_the_run(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong --trace was found out after minutes of decoding, and the run was lost."""
    assert (
        main(["generate", "abc", "--model", "no-such-model", "--trace", str(tmp_path / place)]) == 2
    )
    assert "No file can be written to" in capsys.readouterr().err


# together they are refused: the line cannot tell what pruning saves
@pytest.mark.parametrize(
    "asked", [("prune-when", "prune_when", "pays"), ("cost-model", "cost_model", "line")]
)
def test_every_setting_of_a_request_reaches_it(
    tiny_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    asked: tuple[str, str, str],
) -> None:
    """An option that is read and then forgotten changes nothing, and nobody sees it."""
    costs = {"draft": [[1, 0.1]], "early": [[1, 1.0], [64, 2.0]], "prune": [], "late": [[1, 1.0]]}
    table = {"format": "propd-costs/1", **costs, "past_row_ms": 0.0, "past_token_ms": 0.0}
    (tmp_path / "costs.json").write_text(json.dumps(table))
    path = tmp_path / "run.json"
    options = [
        "--stop", "END", "--stop", "\u00bf", "--temperature", "0.5", "--acceptance", "typical",
        "--prune-rule", "threshold", "--prune-top-k", "7", "--prune-threshold", "0.2",
        f"--{asked[0]}", asked[2], "--max-nodes", "9", "--values", "contextual",
        "--cost-table", str(tmp_path / "costs.json"),
    ]  # fmt: skip
    arguments = ("abc", "--json", "--max-new-tokens", "8", "--trace", str(path))
    assert run(tiny_folder, *arguments, *options) == 0
    assert load(path).header.config == {
        "max_new_tokens": 8, "stop": ["END", "\u00bf"], "temperature": 0.5,
        "acceptance": "typical", "prune_rule": "threshold", "prune_top_k": 7,
        "prune_threshold": 0.2, asked[1]: asked[2], "max_nodes": 9, "values": "contextual",
        "record_probabilities": True,
        "cost_table": {**costs, "past_row_ms": 0.0, "past_token_ms": 0.0},
    }  # fmt: skip


def test_costs_are_recorded_and_repeat_a_run(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "costs.json"
    model = ["--model", str(tiny_folder), "--heads", str(tiny_folder / "heads")]
    assert main(["costs", "--out", str(path), "--rows", "2", *model]) == 0
    printed = capsys.readouterr().out
    assert "| tokens | early ms |" in printed
    assert " ms for 1 row, " in printed and " ms for 2 rows." in printed
    assert json.loads(path.read_text())["about"]["dtype"] == "float32"
    trees = []
    for name in ("one", "other"):
        trace = tmp_path / name
        arguments = ("abc", "--json", "--cost-table", str(path), "--trace", str(trace))
        assert run(tiny_folder, *arguments, "--max-new-tokens", "40") == 0
        trees.append([(e.decision.sizes, e.decision.estimated_ms) for e in load(trace).events])
    assert trees[0] == trees[1]


def test_sizes_are_compared(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["sizes", "--batch-sizes", "1,2", "--rounds", "1", "--max-new-tokens", "6"]
    arguments += ["--method", "propd-unpruned", "--limit", "2", "--max-nodes", "5"]
    arguments += ["--model", str(tiny_folder), "--heads", str(tiny_folder / "heads")]
    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["method"], answer["rounds"], answer["dtype"]) == ("propd-unpruned", 1, "float32")
    assert answer["config"] == {"max_new_tokens": 6, "max_nodes": 5}
    assert {(r["rows"], r["size"]) for r in answer["results"]} >= {(1, 0), (2, 32), (2, None)}
    for result in answer["results"]:
        assert 0 < result["tokens"] <= 5 * 2  # two prompts, one round of two rows or two of one
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| batch | best fixed")
    assert [line.split()[1] for line in lines[2:]] == ["1", "2"]


def test_pruning_is_compared(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every prune layer of the heads with every k, on the same texts as no pruning."""
    arguments = ["pruning", "--tops", "1,40", "--limit", "2", "--max-new-tokens", "6"]
    arguments += ["--tree-size", "9", "--rows", "2"]
    arguments += ["--model", str(tiny_folder), "--heads", str(tiny_folder / "heads")]
    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    cuts = [result["cut"] for result in answer["results"]]
    assert cuts == [None, *([layer, k] for layer in (2, 1) for k in (1, 40, None))]
    whole, *others = answer["results"]
    assert whole["pruned"] == 0 < whole["drafted"]
    assert {result["tokens"] for result in others} == {whole["tokens"]}  # the text is the same
    tight, loose = others[:2]
    assert tight["pruned"] > loose["pruned"]
    assert tight["steps"] >= whole["steps"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Without pruning: ") and lines[-1].startswith("Fastest here: ")
    told = [[str(layer), str(k or "budget")] for layer, k in cuts[1:]]
    assert [line.split()[1:4:2] for line in lines[4:10]] == told
    # the fixed tree of 63 nodes, beside Medusa; a size goes with chosen trees only
    fixed = [*arguments[:7], *arguments[9:], "--method", "propd-static", "--json"]
    assert main(fixed) == 0
    whole, *others = json.loads(capsys.readouterr().out)["results"]
    assert whole["drafted"] > 20 * whole["steps"] and whole["pruned"] == 0
    assert {result["tokens"] for result in others} == {whole["tokens"]}


MISTAKES = [
    (["generate", ""], "The prompt is empty"),
    (["generate", "abc", "--max-new-tokens", "0"], "The number of new tokens is 0"),
    (["generate", "abc", "--method", "magic"], "There is no method 'magic'"),
    (["generate", "abc", "--temperature", "nan"], "The temperature is nan"),
    (["generate", "abc", "--top-p", "0"], "The top-p is 0; it must be above 0."),
    (["generate", "abc", "--prune-threshold", "2"], "The pruning threshold is 2.0"),
    (["generate", "abc", "--max-nodes", "64"], "The largest tree is 64 nodes"),
    (["generate", "abc", "--acceptance", "typical"], "Typical acceptance needs a temperature"),
    (["generate", "abc", "--stop", ""], "A stop string has 0 characters"),
    (["generate", "abc", "--cost-table", "no.json"], "no.json is no cost table"),
    (["bench", "--methods", "magic"], "There is no method 'magic'"),
    (["bench", "--limit", "0"], "The limit is 0 prompts"),
    (["costs", "--out", "no-such-folder/costs.json"], "No file can be written to"),
    (["costs", "--out", "costs.json", "--rows", "0"], "The batch is 0 rows"),
    (["sizes", "--batch-sizes", "1,many"], "'1,many' is no list of whole numbers"),
    (["sizes", "--batch-sizes", "64"], "The batch is 64 rows"),
    (["sizes", "--rounds", "0"], "The rounds are 0"),
    (["sizes", "--prompts", "no.jsonl"], "no.jsonl holds no prompts"),
    (["sizes", "--sizes", "1,2"], "The sizes are 1,2; they must begin with 0"),
    (["pruning", "--rows", "0"], "The batch is 0 rows"),
    (["pruning", "--tops", "0"], "The pruning top-k is 0"),
    (["verify-lossless", "--batch-sizes", "0"], "The batch is 0 rows"),
    (["verify-lossless", "--checkpoint", "."], "No file can be written to"),
    (["trace", "validate", "no.json"], "no.json cannot be read"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES)
def test_a_mistake_gets_one_sentence_and_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert "Traceback" not in printed.err


def test_help_and_mistakes_come_without_torch() -> None:
    """Nobody should wait seconds for a library in order to read that a number is wrong."""
    code = (
        "import json, sys\n"
        "from propd.cli import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    try:\n"
        "        main(arguments)\n"
        "    except SystemExit:\n"
        "        pass\n"
        "    assert 'torch' not in sys.modules, arguments\n"
    )
    fast = [["--help"], ["generate", "--help"], *(arguments for arguments, _ in MISTAKES)]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(fast)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_an_unknown_model_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "abc", "--model", "no-such-model"]) == 2
    assert "no-such-model" in capsys.readouterr().err


def test_a_huge_prompt_is_refused(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny_folder, "x" * 100_000) == 2
    assert "shorten it" in capsys.readouterr().err


def test_an_unknown_option_is_code_2() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["generate", "abc", "--no-such-option"])
    assert stop.value.code == 2


def test_help_names_every_method() -> None:
    """The list stands twice, because help must come at once."""
    assert sorted(METHOD_NAMES.split(", ")) == sorted(METHODS)


def test_useless_heads_are_never_right(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figure of what useless heads cost is worth nothing if they guess right now and then."""
    arguments = ["sizes", "--batch-sizes", "1", "--rounds", "1", "--limit", "1", "--json"]
    arguments += ["--model", str(tiny_folder), "--heads", str(tiny_folder / "heads")]
    arguments += ["--method", "propd-heads"]
    assert main([*arguments, "--max-new-tokens", "20", "--useless-heads"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(r["tokens"] == r["steps"] for r in told["results"])
