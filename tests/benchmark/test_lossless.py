"""The judge of losslessness must itself be able to say no."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import propd
from propd.benchmark.checkpoint import Checkpoint
from propd.benchmark.lossless import Cell, Difference, LosslessReport, verify_lossless
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

    monkeypatch.setattr("propd.verification.accept", keeps_too_much)
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
    cell = {"compared": 3, "identical": 3, "near_ties": 0, "different": 0}
    assert answer["by_method"] == {name: {"1": cell, "2": cell} for name in ("bpd", "propd")}


def test_the_counts_of_a_method_are_its_own() -> None:
    """A wrong method must not hide behind, or blame, the others."""
    wrong = Difference("propd", 4, 1, 3, 7, 8, gap=float("inf"), noise=0.0)
    tie = Difference("bpd", 1, 0, 3, 7, 8, gap=0.0, noise=0.1)
    report = LosslessReport((Cell("bpd", 1, 2, (tie,)), Cell("propd", 4, 2, (wrong,))))
    told = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert told["by_method"] == {
        "bpd": {"1": {"compared": 2, "identical": 1, "near_ties": 1, "different": 0}},
        "propd": {"4": {"compared": 2, "identical": 1, "near_ties": 0, "different": 1}},
    }
    assert (told["compared"], told["identical"]) == (4, 2)
    assert told["differences"][1]["gap"] is None


def interrupt(monkeypatch: pytest.MonkeyPatch, engine: propd.Engine, call: int) -> list[str]:
    """Make the batch run of this number stop as by Ctrl-C; the methods that were begun."""
    begun: list[str] = []
    honest = engine.generate_batch

    def generate_batch(prompts, config, **settings):  # type: ignore[no-untyped-def]
        begun.append(config.method)
        if len(begun) == call:
            raise KeyboardInterrupt
        return honest(prompts, config, **settings)

    monkeypatch.setattr(engine, "generate_batch", generate_batch)
    return begun


def test_an_interrupted_verification_goes_on(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of a verification were lost with its last minute, or findings were counted twice."""
    engine = load(tiny_folder)
    path = tmp_path / "verification.jsonl"

    def verify(checkpoint: Path | None) -> dict[str, object]:
        arguments = (engine, PROMPTS, ["bpd", "medusa", "propd"], [1, 2], 12, lambda _: None)
        return verify_lossless(*arguments, checkpoint=checkpoint).to_json()

    expected = verify(None)
    # plain texts are batches of one, so the fifth batch is the second of the methods
    begun = interrupt(monkeypatch, engine, call=5)
    with pytest.raises(KeyboardInterrupt):
        verify(path)
    with path.open("a") as file:
        file.write('{"name": "bpd, batch 2", "fou')  # killed in the middle of a line
    assert verify(path) == expected
    plain = ["autoregressive"] * 3
    assert begun == [*plain, "bpd", "bpd", "bpd", "medusa", "medusa", "propd", "propd"]
    assert verify(path) == expected
    assert len(begun) == 10  # nothing was left to run


def test_what_was_found_different_is_still_different_after_a_restart(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A difference that a restart forgets would make a broken engine look lossless."""
    engine = load(tiny_folder)
    path = tmp_path / "verification.jsonl"
    arguments = (engine, PROMPTS, ["medusa"], [1], 12, lambda _: None)
    with monkeypatch.context() as broken:
        broken.setattr("propd.benchmark.lossless.first_difference", lambda one, other: 0)
        honest = engine.generate_batch
        broken.setattr(
            engine,
            "generate_batch",
            lambda prompts, config, **more: [
                replace(run, token_ids=(*run.token_ids, len(config.method)))
                for run in honest(prompts, config, **more)
            ],
        )
        first = verify_lossless(*arguments, checkpoint=path)
    assert len(first.differences) == 3
    assert verify_lossless(*arguments, checkpoint=path) == first


@pytest.mark.parametrize(
    ("tokens", "prompts", "settings"),
    [
        (13, PROMPTS, {}),
        (12, PROMPTS[:2], {}),
        (12, PROMPTS, {"prune_rule": "budget"}),
    ],
)
def test_the_checkpoint_of_another_verification_is_refused(
    tiny_folder: Path,
    tmp_path: Path,
    tokens: int,
    prompts: list[str],
    settings: dict[str, str],
) -> None:
    """Findings of other texts or rules would be reported as those of these."""
    engine, path = load(tiny_folder), tmp_path / "verification.jsonl"
    verify_lossless(engine, PROMPTS, ["bpd"], [1], 12, lambda _: None, checkpoint=path)
    before = path.read_text()
    config = propd.DecodingConfig(**settings)
    with pytest.raises(propd.InvalidRequest, match="is the checkpoint of another verification"):
        verify_lossless(
            engine, prompts, ["bpd"], [1], tokens, lambda _: None, config=config, checkpoint=path
        )
    assert path.read_text() == before


@pytest.mark.parametrize("text", ["a diary", "a diary\nof two lines", "[]\n", '{"format": 3}\n'])
def test_a_file_that_is_no_checkpoint_is_left_alone(tmp_path: Path, text: str) -> None:
    """A slip of the finger must not overwrite somebody's file."""
    path = tmp_path / "diary.txt"
    path.write_text(text)
    with pytest.raises(propd.InvalidRequest, match="is no checkpoint of a verification"):
        Checkpoint(path, "key")
    assert path.read_text() == text


def test_every_pruning_rule_can_be_proven(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command proved the default rule whatever it was asked for."""
    ran: list[propd.DecodingConfig] = []
    honest = propd.Engine.generate_batch

    def generate_batch(self, prompts, config=None, **more):  # type: ignore[no-untyped-def]
        ran.append(config)
        return honest(self, prompts, config, **more)

    monkeypatch.setattr(propd.Engine, "generate_batch", generate_batch)
    arguments = ["verify-lossless", "--limit", "1", "--methods", "propd", "--max-new-tokens", "6"]
    arguments += ["--prune-rule", "budget", "--prune-when", "pays", "--values", "contextual"]
    arguments += ["--model", str(tiny_folder), "--heads", str(tiny_folder / "heads")]
    assert main(arguments) == 0
    assert capsys.readouterr().out == "1 compared, 1 identical, 0 near ties, 0 different\n"
    settings = {(c.method, c.prune_rule, c.prune_when, c.values) for c in ran}
    assert ("propd", "budget", "pays", "contextual") in settings
