"""Other programs on the same weights: their texts, and why they may be missing."""

from __future__ import annotations

import importlib.machinery
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import propd
from propd.benchmark.peers import Common, LlamaCpp, make_peers
from propd.benchmark.runners import Method
from propd.config_options import PEERS


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"), dtype="float32")


@pytest.fixture(scope="module")
def common(engine: propd.Engine, tiny_folder: Path) -> Common:
    return Common.of(engine, tiny_folder, 64)


@pytest.mark.parametrize("name", PEERS[:3])
def test_transformers_writes_our_text(
    name: str, engine: propd.Engine, common: Common, tiny_folder: Path
) -> None:
    (peer,) = make_peers([name], tiny_folder, None)
    assert peer.available() is None
    assert peer.load(common).endswith("float32")
    prompts = [engine.encode(text) for text in ("abcabcabc", "a longer prompt")]
    for group in [prompts, *([p] for p in prompts)]:
        if len(group) <= peer.most_rows:
            ours = Method(engine, "autoregressive").answer(group, 20)
            theirs = peer.answer(group, 20)
            assert list(theirs.token_ids) == list(ours.token_ids)
            assert theirs.first_seconds is not None and theirs.first_seconds > 0


def test_the_weights_are_loaded_once_for_all(common: Common) -> None:
    assert common.transformer is common.transformer


def test_a_checkpoint_that_wants_a_penalty_is_decoded_greedily(
    engine: propd.Engine, tiny_folder: Path, tmp_path: Path
) -> None:
    """Some chat models come with a repetition penalty, which would change every text."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    wanted = {"repetition_penalty": 9.0, "do_sample": True, "temperature": 2.0}
    (folder / "generation_config.json").write_text(json.dumps(wanted))
    (peer,) = make_peers(["transformers"], None, None)
    peer.load(Common.of(engine, folder, 64))
    prompts = [engine.encode("aaaa")]
    ours = Method(engine, "autoregressive").answer(prompts, 30)
    assert list(peer.answer(prompts, 30).token_ids) == list(ours.token_ids)


def test_an_answer_ends_with_its_end_token(common: Common) -> None:
    end = common.ends[0]
    assert common.cut([5, end, end, 7]) == [5, end]
    assert common.cut([5, 6]) == [5, 6]


def test_an_assistant_with_other_words_is_refused(
    common: Common, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other:
        class config:
            vocab_size = 7

    (peer,) = make_peers(["transformers-assisted"], tmp_path, None)
    assert common.transformer.config.vocab_size == 257
    monkeypatch.setattr(Common, "open_transformer", lambda self, folder: Other)
    with pytest.raises(propd.InvalidRequest, match="same tokenizer"):
        peer.load(common)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    assisted, llama = make_peers(["transformers-assisted", "llama.cpp"], None, None)
    assert assisted.available() == "no assistant model was given (--assistant MODEL)"
    assert llama.available() == "no GGUF file was given (--gguf FILE)"
    assert LlamaCpp(tmp_path / "m.gguf").available() == "there is no file m.gguf"


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("propd.benchmark.peers.find_spec", lambda name: None)
    (tmp_path / "m.gguf").touch()
    assert "llama-cpp-python is not installed" in str(LlamaCpp(tmp_path / "m.gguf").available())


class Llama:
    """As `llama_cpp.Llama`: it writes 1, 2, 3, ... after any prompt."""

    def __init__(self, model_path: str, **settings: Any) -> None:
        if Path(model_path).read_bytes() == b"broken":
            raise ValueError("Failed to load model")
        self.settings, self.resets = settings, 0

    def reset(self) -> None:
        self.resets += 1

    def generate(self, tokens: list[int], temp: float, repeat_penalty: float) -> Iterator[int]:
        assert (temp, repeat_penalty) == (0.0, 1.0)
        yield from range(1, 10**6)


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("llama_cpp")
    module.__spec__ = importlib.machinery.ModuleSpec("llama_cpp", None)
    module.Llama, module.__version__ = Llama, "9"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llama_cpp", module)


@pytest.mark.usefixtures("llama")
def test_llama_cpp_stops_where_we_do(common: Common, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.touch()
    peer = LlamaCpp(file)
    assert peer.available() is None
    assert peer.load(common) == "llama-cpp-python 9, m.gguf"
    settings = peer._model.settings
    assert settings["n_threads"] == settings["n_threads_batch"] == common.threads
    assert (settings["n_ctx"], settings["n_gpu_layers"]) == (64, 0)
    assert peer.answer([[7, 8]], 5).token_ids == [[1, 2, 3, 4, 5]]
    assert peer.answer([[7, 8]], 1000).token_ids == [list(range(1, common.ends[0] + 1))]
    assert peer._model.resets == 2  # nothing it read before helps it


@pytest.mark.usefixtures("llama")
def test_a_broken_file_is_one_sentence(common: Common, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"broken")
    with pytest.raises(propd.InvalidRequest, match=r"llama.cpp cannot open m.gguf: Failed"):
        LlamaCpp(tmp_path / "m.gguf").load(common)
