"""What early looks know, measured over plain texts of the tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import propd
from propd.benchmark.recall import TOPS, Found, measure_recall, recall_json, recall_table
from propd.cli import main
from propd.errors import InvalidRequest

PROMPTS = [("none", "abc"), ("none", "hello")]


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))


@pytest.fixture(scope="module")
def found(engine: propd.Engine) -> Found:
    return measure_recall(engine, PROMPTS, 24, 2, lambda line: None)


def test_the_last_layer_knows_the_next_token(engine: propd.Engine, found: Found) -> None:
    """The texts are greedy: read after the last layer, the right token is always the first."""
    layers = engine.backbone.layer_count
    assert set(found["lens"]) == set(range(1, layers + 1))
    assert set(found["lens"][layers].truths) == {0}
    assert any(rank > 0 for rank in found["lens"][1].truths)


def test_ranks_are_those_that_pruning_would_see(engine: propd.Engine) -> None:
    """A real step's early ranks of the first guesses, against those counted over its text."""
    run = engine.generate(
        "abc", method="propd-static", max_new_tokens=8, prune_top_k=10**6, ignore_eos=True,
        guesses="heads",
    )  # fmt: skip
    root = run.events[1]
    children = [node for node in root.nodes if node.parent == 0]
    truth = run.token_ids[1]
    seen = measure_recall(engine, [("none", "abc")], 2, 1, lambda line: None)["head"][2]
    assert sorted(n.early_rank for n in children if n.token_id != truth) == sorted(seen.wrong)
    assert [n.early_rank for n in children if n.token_id == truth] == seen.guessed


def test_recall_grows_with_k_and_every_position_counts(engine: propd.Engine, found: Found) -> None:
    told = json.loads(recall_json(engine, len(PROMPTS), 24, found))
    assert told["k"] == list(TOPS) and told["about"]["positions"] == 46
    assert set(told["head"]) == {"1", "2"}
    for way in ("head", "lens"):
        for shares in told[way].values():
            assert len(shares["recall"]) == len(TOPS)
            assert shares["recall"] == sorted(shares["recall"])
    head = found["head"][2]
    assert len(head.guessed) + len(head.wrong) == 460  # ten guesses at each position
    assert "| lens | 5 | 1.000 |" in recall_table(found)


def test_without_heads_there_is_nothing_to_measure(tiny_folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="no heads to measure"):
        measure_recall(propd.load(str(tiny_folder)), PROMPTS, 8, 1, lambda line: None)


def test_the_command_prints_one_object(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["accuracy", "--early", "--json", "--limit", "2", "--max-new-tokens", "8"]
    arguments += ["--model", str(tiny_folder), "--heads", str(tiny_folder / "heads")]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["format"] == "propd-recall/1" and told["about"]["prompts"] == 2
