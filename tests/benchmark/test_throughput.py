"""A pile of prompts, done by this engine and by transformers.generate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from propd.benchmark.throughput import Round
from propd.cli import main


def test_the_ratio_is_of_tokens_per_second() -> None:
    assert Round(200, 2.0, 100, 2.0, 0).ratio == pytest.approx(2.0)
    assert Round(100, 2.0, 100, 1.0, 0).ratio == pytest.approx(0.5)


def test_both_do_the_same_job(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Same prompts, same limit, greedy in float32: the answers must be the same, or the times are
    of two different jobs."""
    arguments = ["throughput", "--model", str(tiny_folder), "--limit", "5", "--rows", "2"]
    assert main([*arguments, "--rounds", "2", "--max-new-tokens", "12"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["identical"] for one in told["rounds"]] == [5, 5]
    assert all(one["ours_tokens"] == one["theirs_tokens"] > 20 for one in told["rounds"])
    assert told["ratio"] > 0
