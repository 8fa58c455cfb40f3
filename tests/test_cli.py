"""The command line: one clear sentence and exit code 2 for each mistake; JSON that is JSON."""

from __future__ import annotations

import json
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


MISTAKES = [
    (["generate", ""], "The prompt is empty"),
    (["generate", "abc", "--max-new-tokens", "0"], "The number of new tokens is 0"),
    (["generate", "abc", "--method", "magic"], "There is no method 'magic'"),
    (["generate", "abc", "--temperature", "nan"], "The temperature is nan"),
    (["generate", "abc", "--top-p", "0"], "The top-p is 0; it must be above 0."),
    (["generate", "abc", "--model", "no-such-model"], "no-such-model"),
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


def test_a_huge_prompt_is_refused(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tiny_folder, "x" * 100_000) == 2
    assert "shorten it" in capsys.readouterr().err


def test_an_unknown_option_is_code_2() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["generate", "abc", "--no-such-option"])
    assert stop.value.code == 2


def test_help_names_every_method() -> None:
    """The list stands twice, because help must come without importing torch."""
    assert sorted(METHOD_NAMES.split(", ")) == sorted(METHODS)
