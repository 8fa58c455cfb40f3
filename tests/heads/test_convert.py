"""`python -m propd convert`: pickled heads become safetensors, and no code in them ever runs."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from propd.cli import main
from propd.heads.files import open_heads
from tests.heads.small import HIDDEN, VOCABULARY, backbone, medusa, random

WRITTEN = "medusa_lm_head.safetensors"


def pickled(folder: Path, stored: Any) -> Path:
    path = folder / "medusa_lm_head.pt"
    torch.save(stored, path)
    return path


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    """The one error line."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("prefix", ["", "medusa_head."])
def test_heads_are_converted(
    tmp_path: Path, prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = medusa(2)
    source = pickled(tmp_path, {prefix + name: tensor.half() for name, tensor in tensors.items()})
    out = tmp_path / "heads"
    arguments = ["convert", str(source), "--out", str(out), "--base-model", "lmsys/vicuna-7b-v1.3"]
    assert main(arguments) == 0
    assert "2 heads written to" in capsys.readouterr().out
    written = load_file(out / WRITTEN)
    assert set(written) == set(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(written[name], tensor.half())
    assert json.loads((out / "config.json").read_text()) == {
        "format": "medusa",
        "medusa_num_heads": 2,
        "medusa_num_layers": 1,
        "base_model_name_or_path": "lmsys/vicuna-7b-v1.3",
    }
    with torch.inference_mode():
        assert open_heads(out, backbone()).shape.draft_heads == 2


def test_blocks_that_are_one_object_are_written_each(tmp_path: Path) -> None:
    """Medusa builds the blocks of a head by repeating one object."""
    tensors = medusa(1)
    again = {f"0.1.linear.{kind}": tensors[f"0.0.linear.{kind}"] for kind in ("weight", "bias")}
    last = {"0.2.weight": tensors.pop("0.1.weight")}
    source = pickled(tmp_path, {**tensors, **again, **last})
    assert main(["convert", str(source), "--out", str(tmp_path / "heads")]) == 0
    written = load_file(tmp_path / "heads" / WRITTEN)
    assert torch.equal(written["0.0.linear.weight"], written["0.1.linear.weight"])
    assert json.loads((tmp_path / "heads" / "config.json").read_text())["medusa_num_layers"] == 2


def test_heads_without_outputs_are_said_to_be_of_version_2(tmp_path: Path) -> None:
    source = pickled(tmp_path, medusa(2, own_outputs=False))
    assert main(["convert", str(source), "--out", str(tmp_path / "heads")]) == 0
    assert json.loads((tmp_path / "heads" / "config.json").read_text())["version"] == "2"


def test_what_is_there_is_overwritten_only_by_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, config = pickled(tmp_path, medusa(2)), tmp_path / "config.json"
    config.write_text("precious")
    arguments = ["convert", str(source), "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "config.json is there already; give --force" in sentence(capsys)
    assert config.read_text() == "precious"
    assert not (tmp_path / WRITTEN).exists()
    assert main([*arguments, "--force"]) == 0
    assert json.loads(config.read_text())["medusa_num_heads"] == 2


class Hostile:
    """Unpickling it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.write_text, (self.mark, "code ran")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_does_not_run(
    tmp_path: Path, zipped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    mark, stored = tmp_path / "mark", {**medusa(1), "more": Hostile(tmp_path / "mark")}
    source = tmp_path / "medusa_lm_head.pt"
    torch.save(stored, source, _use_new_zipfile_serialization=zipped)
    assert main(["convert", str(source), "--out", str(tmp_path / "heads")]) == 2
    told = sentence(capsys)
    assert "holds more than tensors, which could run code" in told
    assert "weights_only" not in told  # PyTorch's words say how to run it
    assert not mark.exists()
    assert not (tmp_path / "heads").exists()
    torch.load(source, weights_only=False)
    assert mark.exists(), "the pickle was harmless: the test shows nothing"


def test_a_bare_pickle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "medusa_lm_head.pt"
    source.write_bytes(pickle.dumps(Hostile(tmp_path / "mark")))
    assert main(["convert", str(source), "--out", str(tmp_path / "heads")]) == 2
    assert "is no PyTorch file" in sentence(capsys)
    assert not (tmp_path / "mark").exists()


REFUSED: list[tuple[Any, str]] = [
    ([1, 2], "is no table of named tensors"),
    ({"0.0.linear.weight": 1.0}, "is no table of named tensors"),
    ({0: torch.ones(1)}, "is no table of named tensors"),
    ({}, "there is no residual block"),
    ({**medusa(1), "model.norm.weight": torch.ones(1)}, "no layout has a tensor model.norm"),
    ({"hydra_lm_head.0.1.weight": torch.ones(1)}, "Hydra heads"),
    ({**medusa(2), "1.0.linear.bias": torch.ones(3)}, "bias of block 0 of head 1 is 3"),
    ({**medusa(2), "1.1.weight": random(VOCABULARY + 1, HIDDEN)}, "rows of LM head 1 is 14"),
    ({**medusa(2), "1.1.weight": torch.ones(())}, "dimensions of LM head 1 is 0"),
    ({**medusa(2), "0.0.linear.bias": torch.full((HIDDEN,), torch.nan)}, "not finite"),
]


@pytest.mark.parametrize(("stored", "expected"), REFUSED)
def test_what_is_no_checkpoint_of_heads_is_refused(
    stored: Any, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = pickled(tmp_path, stored)
    assert main(["convert", str(source), "--out", str(tmp_path / "heads")]) == 2
    assert expected in sentence(capsys)
    assert not (tmp_path / "heads").exists()


def test_a_truncated_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = pickled(tmp_path, medusa(1))
    source.write_bytes(source.read_bytes()[:500])
    assert main(["convert", str(source), "--out", str(tmp_path / "heads")]) == 2
    assert "is no PyTorch file" in sentence(capsys)


def test_wrong_paths_and_help_come_without_torch(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    code = (
        "import json, sys\n"
        "from propd.cli import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    try:\n"
        "        assert main(arguments) == 2\n"
        "    except SystemExit:\n"
        "        pass\n"
        "    assert 'torch' not in sys.modules, arguments\n"
    )
    fast = [
        ["convert", "--help"],
        ["convert", str(tmp_path / "none.pt"), "--out", str(tmp_path / "heads")],
        ["convert", str(file), "--out", str(file)],
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(fast)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "There is no file" in done.stderr
    assert "is no folder" in done.stderr
