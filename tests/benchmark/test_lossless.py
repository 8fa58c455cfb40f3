"""The judge of losslessness must itself be able to say no."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import propd
from propd.benchmark.lossless import Difference, verify_lossless
from propd.cli import main
from propd.tree import acceptance


def load(folder: Path, dtype: str = "float32") -> propd.Engine:
    return propd.load(str(folder), heads=str(folder / "heads"), dtype=dtype)


PROMPTS = ["abc", "a longer prompt", "x"]


def test_all_methods_and_batch_sizes_are_identical(tiny_folder: Path) -> None:
    report = verify_lossless(
        load(tiny_folder), PROMPTS, list(propd.METHODS), [1, 3], 20, lambda _: None
    )
    assert report.compared == report.identical == 3 * 2 * len(propd.METHODS)
    assert report.different == report.near_ties == 0


def test_invariant_bfloat16_is_identical(tiny_folder: Path) -> None:
    """That its bits, unlike those of fast bfloat16, do not move: see test_invariance.py."""
    engine = propd.load(
        str(tiny_folder),
        heads=str(tiny_folder / "heads"),
        dtype="bfloat16",
        numerics="invariant",
    )
    assert engine.describe()["numerics"] == "invariant"
    report = verify_lossless(engine, PROMPTS, ["medusa", "propd"], [1, 3], 20, lambda _: None)
    assert report.compared == report.identical == 12


def test_a_wrong_rule_is_found(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that keeps a token the model did not choose is different, not a near-tie."""
    engine = load(tiny_folder)
    honest = acceptance.accept

    def keeps_too_much(parents, token_ids, choose, end_tokens):  # type: ignore[no-untyped-def]
        outcome = honest(parents, token_ids, choose, end_tokens)
        if not outcome.path and len(parents) > 1:
            return acceptance.Acceptance((1,), choose(1), False)
        return outcome

    monkeypatch.setattr("propd.decoding.accept", keeps_too_much)
    report = verify_lossless(engine, PROMPTS, ["medusa"], [1], 20, lambda _: None)
    assert report.different == 3
    assert all(d.position >= 1 for d in report.differences)


def test_only_a_gap_within_the_noise_is_a_near_tie() -> None:
    """A plain decoding that took the worse token by far is no near-tie either."""

    def judged(gap: float) -> bool:
        return Difference("propd", 1, 0, 3, 7, 8, gap, noise=0.01).near_tie

    assert [judged(gap) for gap in (0.0, 0.015, -0.015, 0.5, -0.5)] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_the_command_prints_the_counts(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"turns": [text]}) + "\n" for text in PROMPTS))
    arguments = ["verify-lossless", "--prompts", str(prompts), "--methods", "bpd,propd"]
    arguments += ["--batch-sizes", "1,2", "--max-new-tokens", "8", "--json"]
    arguments += ["--model", str(tiny_folder), "--heads", str(tiny_folder / "heads")]
    assert main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["compared"] == answer["identical"] == 12
    assert answer["near_ties"] == answer["different"] == 0
