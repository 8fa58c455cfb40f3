"""Loading a tiny seeded model from a folder, and refusing what cannot be loaded."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from propd.errors import InvalidRequest, ModelUnavailable
from propd.models import loading
from propd.models.loading import end_token_ids, load_pretrained, resolve_device, resolve_dtype

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A llama of one layer with a tokenizer of three words."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    words = Tokenizer(WordLevel({"<unk>": 0, "hello": 1, "</s>": 2}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>").save_pretrained(tmp_path)
    return tmp_path


def _edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_loaded_model_is_read_only_and_bit_for_bit_the_file(folder: Path) -> None:
    told: list[str] = []
    loaded = load_pretrained(str(folder), device="cpu", report=told.append)
    assert not loaded.model.training
    assert not any(weight.requires_grad for weight in loaded.model.parameters())
    saved = load_file(folder / "model.safetensors")
    state = loaded.model.state_dict()
    assert all(torch.equal(state[name], saved[name]) for name in saved)
    assert loaded.tokenizer.eos_token_id == 2
    assert loaded.folder.source == "folder"
    assert told[0].startswith("memory needed: ") and told[1].endswith("GB on cpu")
    assert told[2:] == [f"loading {folder} on cpu"]


def test_loading_says_nothing_of_its_own(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Guards against progress bars of transformers between our own lines."""
    load_pretrained(str(folder), device="cpu")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model_type": "gpt2"}, "'gpt2' .* not supported: .* llama, mistral, qwen2, qwen3"),
        ({"model_type": None}, "not supported"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
    ],
)
def test_a_model_the_engine_cannot_run_is_refused_before_its_weights_are_read(
    changes: dict[str, object], complaint: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_load_weights", lambda *a: pytest.fail("read the weights"))
    _edit_config(folder, **changes)
    with pytest.raises(ModelUnavailable, match=complaint):
        load_pretrained(str(folder), device="cpu")


def test_code_in_a_model_folder_never_runs(folder: Path, tmp_path: Path) -> None:
    """Guards against trust_remote_code: the config asks for a file that would leave a trace."""
    trace = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Evil: pass\n")
    _edit_config(folder, auto_map={"AutoModelForCausalLM": "evil.Evil"})
    load_pretrained(str(folder), device="cpu")
    assert not trace.exists()


def test_a_missing_weight_is_refused(folder: Path) -> None:
    """Guards against weights that transformers makes up, with no more than a warning."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights.pop("model.layers.0.mlp.up_proj.weight")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"incomplete: .*up_proj.weight is missing"):
        load_pretrained(str(folder), device="cpu")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_broken_file_is_one_sentence(name: str, folder: Path) -> None:
    (folder / name).write_bytes(b"broken")
    with pytest.raises(ModelUnavailable, match="cannot be loaded") as caught:
        load_pretrained(str(folder), device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "device", "checkpoint", "expected"),
    [
        ("auto", CPU, torch.bfloat16, torch.float32),
        ("auto", CUDA, torch.float16, torch.float16),
        ("auto", CUDA, torch.bfloat16, torch.bfloat16),
        ("auto", torch.device("mps"), torch.float32, torch.float16),
        ("bfloat16", CPU, None, torch.bfloat16),
        ("float32", CUDA, torch.float16, torch.float32),
        (torch.float16, CPU, None, torch.float16),
    ],
)
def test_dtype(
    name: str, device: torch.device, checkpoint: torch.dtype | None, expected: torch.dtype
) -> None:
    assert resolve_dtype(name, device, checkpoint) == expected


def test_an_unknown_dtype_is_told_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match="'int3': give auto, float32, bfloat16, float16"):
        resolve_dtype("int3", CPU)


def test_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("auto") == CUDA
    assert resolve_device("cuda:0") == torch.device("cuda:0")
    assert resolve_device("cpu") == CPU
    with pytest.raises(InvalidRequest, match="'cuda:1' is not here: PyTorch sees 1"):
        resolve_device("cuda:1")
    with pytest.raises(InvalidRequest, match="Unknown device 'tpu9x'"):
        resolve_device("tpu9x")
    with pytest.raises(InvalidRequest, match="'meta' is not here"):
        resolve_device("meta")


def test_every_end_token_counts() -> None:
    """Guards against chat models whose turn ends with a token that config does not name."""
    model = SimpleNamespace(
        generation_config=SimpleNamespace(eos_token_id=[7, 3]),
        config=SimpleNamespace(eos_token_id=3),
    )
    assert end_token_ids(model, SimpleNamespace(eos_token_id=9)) == (3, 7, 9)
    none = SimpleNamespace(config=SimpleNamespace(eos_token_id=None))
    assert end_token_ids(none) == ()


@pytest.mark.model
def test_the_default_model_loads_from_its_cache() -> None:
    loaded = load_pretrained("smollm2-135m-instruct", device="cpu")
    assert loaded.model.dtype == torch.float32
    assert loaded.model.config.num_hidden_layers == 30
    assert end_token_ids(loaded.model, loaded.tokenizer) == (2,)
    chat = [{"role": "user", "content": "Hi"}]
    prompt = loaded.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert prompt.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
