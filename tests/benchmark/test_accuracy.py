"""Accuracy of the guesses, and trees replayed over known texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import propd
from propd.benchmark.accuracy import GUESSING, PlainText, accuracy_table, measure, replay
from propd.cli import main
from propd.heads.protocol import HeadsShape
from propd.planning.drafts import Guesses, HeadDrafts

RIGHT = HeadDrafts((Guesses((5, 6), (0.6, 0.2)), Guesses((6, 5), (0.5, 0.4))))
"""Says 5 then 6; right behind every 4 of 4 5 6 4 5 6 ..."""

TWO, FOUR = (HeadsShape(heads, (1,), 10, ()) for heads in (2, 4))


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))


def test_a_replayed_tree_writes_what_a_run_would() -> None:
    """Text 1 4 5 6 4 5 6: behind 4 both guesses are right (2 + bonus), behind others none is."""
    answer = (1, 4, 5, 6, 4, 5, 6)
    text = PlainText("none", (9,), answer, (RIGHT,) * 6)
    assert list(replay(text, "heads", TWO, 0)) == [1] * 6
    # root 1: 4 is no guess; root 4: 5 and 6 are, and 4 follows; root 4 again: one is of use
    assert list(replay(text, "heads", TWO, 2)) == [1, 3, 2]
    assert sum(replay(text, "both", TWO, 8)) == 6


@pytest.mark.parametrize("method", ["propd-heads", "lookup", "propd-unpruned"])
def test_replays_agree_with_real_runs(engine: propd.Engine, method: str) -> None:
    """Chains of one node: a real run with trees of one node, step by step."""
    (way,) = {"propd-heads": ["heads"], "lookup": ["text"]}.get(method, ["both"])
    costs = propd.CostTable((), ((1, 0.0),), (), ((1, 9.0), (2, 9.01), (9, 99.0)))
    run = engine.generate(
        "abcabcab", method=method, cost_table=costs, max_nodes=1, max_new_tokens=60,
        prune_top_k=10**6, ignore_eos=True,
    )  # fmt: skip
    from propd.benchmark.accuracy import _guess_all

    assert engine.heads is not None
    prompt = engine.encode("abcabcab")
    drafts = _guess_all(engine, engine.heads, prompt, run.token_ids)
    text = PlainText("none", tuple(prompt), run.token_ids, drafts)
    passes = list(replay(text, way, FOUR, 1))  # type: ignore[arg-type]
    real = [len(event.token_ids) for event in run.events[1:]]
    assert abs(len(passes) - len(real)) <= 3  # a planner may draft nothing where it does not pay
    assert sum(passes) == sum(real) == 59


def test_all_is_the_sum_of_the_categories(engine: propd.Engine) -> None:
    prompts = [("one", "abc"), ("two", "hello"), ("one", "aaaa")]
    results = measure(engine, prompts, 24, 2, lambda line: None)
    assert set(results) == set(GUESSING)
    for by_category in results.values():
        assert set(by_category) == {"all", "one", "two"}
        parts = [by_category[name]["positions"] for name in ("one", "two")]
        assert by_category["all"]["positions"] == sum(parts) == 69
        assert by_category["all"]["tokens_per_pass"]["63"] >= 1.0
    assert "| both | two |" in accuracy_table(results)


def test_the_command_reads_categories(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"category": "maths", "turns": ["1 + 1"]}\n{"turns": ["abc"]}\n')
    arguments = ["accuracy", "--prompts", str(path), "--max-new-tokens", "8", "--json"]
    arguments += ["--model", str(tiny_folder), "--heads", str(tiny_folder / "heads")]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["results"]["both"]) == {"all", "maths", "none"}
