"""Prompts of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

import propd
from propd.benchmark.prompts import read_prompts


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
