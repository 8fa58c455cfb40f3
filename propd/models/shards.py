"""A model whose weights arrive layer by layer, each on its device, as they are asked for.

`transformers` builds the model without weights (accelerate's `init_empty_weights`), and the
safetensors files give each layer's weights when its turn comes. Once the backbone has fused and
packed a layer, the layer gives its own weights back: never more than one layer is there twice, and
the memory of the host never holds the model. accelerate's hooks would bring weights in front of
`forward`, which the backbone does not call, so they are not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from accelerate.utils import set_module_tensor_to_device
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from propd.errors import ModelUnavailable
from propd.models.device_map import DeviceMap

INDEX = "model.safetensors.index.json"
CORE, HEAD = "model.", "lm_head."
"""Beginnings of the names of tensors in a checkpoint."""


class Shards:
    """The tensors of a folder's safetensors files, by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places = _places(folder)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def get(self, name: str, device: torch.device) -> Tensor:
        """A tensor on a device."""
        try:
            with safe_open(self._places[name], framework="pt", device=str(device)) as stored:
                tensor: Tensor = stored.get_tensor(name)
                return tensor
        except (OSError, SafetensorError) as error:
            raise ModelUnavailable(f"The weights in {self._folder} are broken: {error}.") from error


def open_in_parts(folder: Path, dtype: torch.dtype, device_map: DeviceMap) -> PreTrainedModel:
    """A model of which all but the layers is there; the layers come when they are iterated over.

    dtype: of the weights as they arrive. A layer has its weights until the next one is asked for.
    """
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with init_empty_weights(include_buffers=False):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
    model = model.eval().requires_grad_(False)
    shards, core, home = Shards(folder), model.model, device_map.home
    tied = bool(config.tie_word_embeddings)
    _check_whole(folder, model, shards, tied)
    for name in ("embed_tokens", "norm"):
        _fill(getattr(core, name), f"{CORE}{name}.", shards, home)
    if tied:
        model.lm_head.weight = core.embed_tokens.weight
    else:
        _fill(model.lm_head, HEAD, shards, home)
    core.rotary_emb.to(home)
    layers = core.layers
    del core.layers  # a module gives its place only to a module
    core.layers = Arriving(layers, shards, device_map)
    return model


class Arriving:
    """Layers that have their weights while it is their turn."""

    def __init__(self, layers: nn.ModuleList, shards: Shards, device_map: DeviceMap) -> None:
        self._layers, self._shards, self._map = layers, shards, device_map

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Any]:
        for place, (layer, device) in enumerate(zip(self._layers, self._map.layers, strict=True)):
            _fill(layer, f"{CORE}layers.{place}.", self._shards, device)
            yield layer
            layer.to("meta")


def _fill(module: nn.Module, prefix: str, shards: Shards, device: torch.device) -> None:
    """Give a module its weights; a tensor of another shape is refused."""
    for name in [name for name, _ in module.named_parameters()]:
        value = shards.get(prefix + name, device)
        try:
            set_module_tensor_to_device(module, name, device, value=value, clear_cache=False)
        except ValueError as error:
            raise ModelUnavailable(
                f"The weight {prefix}{name} does not fit the model's config.json: {error}"
            ) from error


def _check_whole(folder: Path, model: nn.Module, shards: Shards, tied: bool) -> None:
    # whoever finds out at layer 59 has waited for nothing
    wanted = [name for name, _ in model.named_parameters() if not (tied and name.startswith(HEAD))]
    if missing := sorted(name for name in wanted if name not in shards):
        raise missing_weights(folder, missing)


def missing_weights(folder: Path, names: list[str]) -> ModelUnavailable:
    """The error of a folder that lacks these tensors."""
    return ModelUnavailable(
        f"The weights in {folder} are incomplete: {names[0]} is missing "
        f"({len(names)} in all); fetch or save the model again."
    )


def _places(folder: Path) -> dict[str, Path]:
    """The file of each tensor, by the index or by the headers of the files."""
    try:
        if (folder / INDEX).exists():
            told = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
            return {str(name): folder / str(file) for name, file in told.items()}
        places: dict[str, Path] = {}
        for file in sorted(folder.glob("model*.safetensors")):
            with safe_open(file, framework="pt") as stored:
                places |= dict.fromkeys(stored.keys(), file)
        return places
    except (OSError, ValueError, LookupError, AttributeError, SafetensorError) as error:
        raise ModelUnavailable(f"The weights in {folder} cannot be read: {error}.") from error
