"""A tiny model of each family: random weights, real engine, milliseconds, no download."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from propd.heads.files import save_heads
from propd.heads.rooted import Heads, HeadsConfig, HeadWeights
from propd.models.backbone import Backbone

VOCABULARY = 61
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
}
FAMILIES = {
    "llama": LlamaConfig(**SHAPE),
    "llama-tied": LlamaConfig(**{**SHAPE, "tie_word_embeddings": True, "head_dim": 16}),
    "mistral": MistralConfig(**SHAPE, sliding_window=128),
    "qwen2": Qwen2Config(**SHAPE),
    "qwen3": Qwen3Config(**SHAPE, head_dim=16),
}


def tiny_transformer(family: str, seed: int = 0) -> torch.nn.Module:
    """A random model of a family, its weights large enough that its choices are spread."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(FAMILIES[family]).float().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)
            else:
                weight.normal_(0, 0.2)
    return model.requires_grad_(False)


def tiny_heads(backbone: Backbone, prune_top_k: int = 3, seed: int = 0) -> Heads:
    """Random heads over a reduced vocabulary of 40 tokens; 4 draft heads, pruning after 2."""
    torch.manual_seed(seed)
    table = tuple(tuple(0.4 / (1 + d) / (1 + k) for k in range(10)) for d in range(4))
    config = HeadsConfig(
        "tiny", 32, VOCABULARY, 4, 24, 24, 24, (2, 1), prune_top_k, table, {"2": {"3": 0.5}}, {}
    )
    weights = HeadWeights(config)
    with torch.no_grad():
        for weight in weights.parameters():
            weight.normal_(0, 0.3)
    words = torch.arange(VOCABULARY)
    return Heads(config, weights, words[:40], words[:50], backbone)


@pytest.fixture(scope="session")
def backbone() -> Backbone:
    """The tiny Llama behind the adapter."""
    with torch.inference_mode():
        return Backbone(tiny_transformer("llama"))


@pytest.fixture(scope="session")
def heads(backbone: Backbone) -> Heads:
    """Random heads: correctness must not depend on their quality."""
    with torch.inference_mode():
        return tiny_heads(backbone)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges: each byte is a token, and 256 is the end."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: place for place, character in enumerate(alphabet)}
    vocabulary["<end>"] = 256
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tiny model on disk: weights, tokenizer, and heads in the folder ``heads``."""
    folder = tmp_path_factory.mktemp("tiny-model")
    torch.manual_seed(0)
    config = LlamaConfig(**{**SHAPE, "vocab_size": 257}, eos_token_id=256)
    model = AutoModelForCausalLM.from_config(config).float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.normal_(0, 0.2)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    with torch.inference_mode():
        heads = tiny_heads(Backbone(model.eval()))
    config_of_heads = HeadsConfig(**{**vars(heads.config), "vocabulary_size": 257})
    save_heads(folder / "heads", config_of_heads, heads.weights, heads.token_map, heads.reference)
    return folder
