"""A tiny model on disk and files of heads for it, in the layouts of others.

Thirteen tokens: even random heads are often right, so that paths are accepted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from propd.models.backbone import Backbone

HIDDEN, VOCABULARY, LAYERS = 32, 13, 8
LETTERS = "abcdefghijkl"

Tensors = dict[str, Tensor]


@cache
def model() -> Any:
    """A random Llama, its weights large enough that its choices are spread."""
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        eos_token_id=VOCABULARY - 1,
    )
    made = AutoModelForCausalLM.from_config(shape).float().eval().requires_grad_(False)
    for name, weight in made.named_parameters():
        if "norm" in name:
            weight.uniform_(0.5, 1.5)
        else:
            weight.normal_(0, 0.2)
    return made


@cache
def backbone() -> Backbone:
    """The model behind the adapter."""
    with torch.inference_mode():
        return Backbone(model())


def save_model(folder: Path) -> Path:
    """The model with a tokenizer of letters."""
    model().save_pretrained(folder)
    words = {letter: place for place, letter in enumerate((*LETTERS, "<end>"))}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    return folder


def random(*shape: int, scale: float = 0.3) -> Tensor:
    """A tensor of random numbers."""
    return torch.randn(*shape) * scale


def medusa(heads: int = 3, blocks: int = 1, own_outputs: bool = True, seed: int = 1) -> Tensors:
    """Tensors of Medusa v1, or of v2 without outputs of their own."""
    torch.manual_seed(seed)
    tensors: Tensors = {}
    for head in range(heads):
        for block in range(blocks):
            tensors[f"{head}.{block}.linear.weight"] = random(HIDDEN, HIDDEN)
            tensors[f"{head}.{block}.linear.bias"] = random(HIDDEN)
        if own_outputs:
            tensors[f"{head}.{blocks}.weight"] = random(VOCABULARY, HIDDEN)
    return tensors


def vllm(heads: int = 3, blocks: int = 2, words: int = VOCABULARY, bias: bool = False) -> Tensors:
    """Tensors of vLLM's re-pack, with an LM head a head of so many words."""
    torch.manual_seed(2)
    tensors: Tensors = {}
    for head in range(heads):
        for block in range(blocks):
            tensors[f"blocks.{head}.layers.{block}.weight"] = random(HIDDEN, HIDDEN)
            if bias:
                tensors[f"blocks.{head}.layers.{block}.bias"] = random(HIDDEN)
        tensors[f"lm_heads.{head}.weight"] = random(words, HIDDEN)
    return tensors


def write(
    folder: Path,
    tensors: Mapping[str, Tensor],
    file: str = "medusa_lm_head.safetensors",
    config: Mapping[str, Any] | None = None,
) -> Path:
    """A folder of heads."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / file)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def medusa_logits(tensors: Tensors, hidden: Tensor, heads: int, blocks: int) -> Tensor:
    """(B, heads, V) by the formulas of FasterDecoding/Medusa, head by head."""
    told = []
    for head in range(heads):
        x = hidden
        for block in range(blocks):
            name = f"{head}.{block}.linear"
            x = x + F.silu(F.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"]))
        output = tensors.get(f"{head}.{blocks}.weight", model().lm_head.weight)
        told.append(F.linear(x, output))
    return torch.stack(told, 1)


def vllm_logits(tensors: Tensors, hidden: Tensor, heads: int, blocks: int) -> Tensor:
    """(B, heads, V) by the formulas of vLLM's medusa.py: what is outside the map is -inf."""
    told = []
    for head in range(heads):
        x = hidden
        for block in range(blocks):
            name = f"blocks.{head}.layers.{block}"
            x = x + F.silu(F.linear(x, tensors[f"{name}.weight"], tensors.get(f"{name}.bias")))
        logits = F.linear(x, tensors.get(f"lm_heads.{head}.weight", tensors["lm_heads.0.weight"]))
        if "token_map" in tensors:
            whole = torch.full((len(x), VOCABULARY), -torch.inf)
            whole[:, tensors["token_map"]] = logits
            logits = whole
        told.append(logits)
    return torch.stack(told, 1)
