"""The benchmark counts what ran, and says when a text differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import propd
from propd.benchmark.compare import run_benchmark, table, write_results
from propd.benchmark.prompts import read_prompts


def test_totals_and_identity(tiny_folder: Path, tmp_path: Path) -> None:
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    said: list[str] = []
    results = run_benchmark(engine, ["bpd", "propd"], ["abc", "hello"], 10, said.append)
    assert [r.method for r in results] == ["autoregressive", "bpd", "propd"]
    for result in results:
        assert result.tokens <= 20
        assert result.identical == result.prompts == 2
        assert result.decoded_tokens == result.tokens - 2  # the prefill writes the first token
    assert "| bpd |" in table(results)
    assert said[-1] == "prompt 2/2"
    write_results(tmp_path, engine, results, 10)
    body = json.loads((tmp_path / "results.json").read_text())
    assert body["dtype"] == "float32"
    assert len(body["results"]) == 3


def test_prompts_come_from_turns(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"turns": ["first", "more"]}\n\n{"turns": ["second"]}\n')
    assert read_prompts(path, 5) == ["first", "second"]
    assert read_prompts(path, 1) == ["first"]


@pytest.mark.parametrize("text", ["", "no json", '{"turns": []}', '{"prompt": "x"}', "[1]"])
def test_a_file_without_prompts_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(text + "\n")
    with pytest.raises(propd.InvalidRequest, match="holds no prompts"):
        read_prompts(path, 5)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_no_prompts_is_refused(limit: int) -> None:
    with pytest.raises(propd.InvalidRequest, match="must be at least 1"):
        read_prompts(None, limit)
