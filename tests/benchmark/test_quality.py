"""What narrower numbers cost: laws of two engines, compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import propd
from propd.benchmark.quality import compare_quality, laws
from propd.cli import main


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), dtype="float32")


def test_an_engine_does_not_differ_from_itself(engine: propd.Engine) -> None:
    found = compare_quality(engine, engine, ["ab", "cd"], 40, lambda _: None)
    assert found.positions == 80
    assert (found.divergence, found.same_choice) == (0.0, 1.0)


def test_the_laws_are_those_of_plain_decoding(engine: propd.Engine) -> None:
    """The most probable token after each token of a greedy text is its next one."""
    text = engine.generate("ab", method="autoregressive", max_new_tokens=50).token_ids
    told = laws(engine.backbone, engine.encode("ab"), text)
    assert told.argmax(-1)[:-1].tolist() == list(text[1:])
    assert torch.allclose(told.exp().sum(-1), torch.ones(len(text), dtype=torch.float64))


def test_a_narrower_engine_differs_a_little(
    engine: propd.Engine, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow = propd.load(str(tiny_folder), dtype="bfloat16", numerics="fast")
    found = compare_quality(engine, narrow, ["ab", "cd"], 40, lambda _: None)
    assert 1e-7 < found.divergence < 0.1
    assert 0.5 < found.same_choice <= 1
    options = ["--model", str(tiny_folder), "--dtype", "bfloat16", "--numerics", "fast"]
    options += ["--limit", "2", "--max-new-tokens", "10", "--json"]
    assert main(["quality", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["engine"]["dtype"] == "bfloat16" and told["reference"] == "float32, dense"
    assert told["positions"] == 20 and 1e-7 < told["divergence"] < 0.1
