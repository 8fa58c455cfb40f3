"""From a model's name to a read-only model and its tokenizer in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from propd.errors import InvalidRequest, ModelUnavailable
from propd.models.backbone import FAMILIES
from propd.models.linear import packing_available
from propd.models.quiet import quiet_transformers
from propd.models.sources import ModelFolder, Report, resolve, silent

SUPPORTED_TYPES = FAMILIES
"""``model_type`` of the families whose layers the engine knows how to run."""

NUMERICS = ("auto", "fast", "invariant")
"""invariant: a token's numbers have the same bits alone, in any tree and in any batch."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class LoadedModel:
    """Weights in evaluation mode that nothing may change, and the tokenizer that fits them."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    folder: ModelFolder
    invariant: bool = False
    """Whether to compute with invariant numerics."""


def load_pretrained(
    model: str,
    *,
    dtype: torch.dtype | str = "auto",
    device: torch.device | str = "auto",
    numerics: str = "auto",
    report: Report = silent,
) -> LoadedModel:
    """Find, fetch if needed, and load ``model``: a registry name, a folder or a Hub id."""
    place = resolve_device(device)
    folder = resolve(model, report)
    config = _read_config(folder.path)
    number = resolve_dtype(dtype, place, _checkpoint_dtype(config))
    invariant = resolve_numerics(numerics, number, place)
    report(f"loading {model} in {str(number).removeprefix('torch.')} on {place}")
    try:
        with quiet_transformers():
            weights = _load_weights(folder.path, number)
            tokenizer = AutoTokenizer.from_pretrained(folder.path, trust_remote_code=False)
        weights = weights.to(place)
    except ModelUnavailable:
        raise
    except Exception as error:
        # A broken file surfaces as nearly any type, from safetensors' own to KeyError.
        raise ModelUnavailable(f"Model {model} cannot be loaded: {_brief(error)}.") from error
    return LoadedModel(weights.eval().requires_grad_(False), tokenizer, folder, invariant)


def _load_weights(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    model, info = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    # transformers would fill missing weights with random numbers and only warn.
    if missing := sorted(info["missing_keys"]):
        raise ModelUnavailable(
            f"The weights in {folder} are incomplete: {missing[0]} is missing "
            f"({len(missing)} in all); fetch or save the model again."
        )
    return model


def _read_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = config.get("model_type")
    if kind not in SUPPORTED_TYPES:
        raise ModelUnavailable(
            f"Model type {kind!r} in {folder} is not supported: "
            f"give a model of type {', '.join(SUPPORTED_TYPES)}."
        )
    if config.get("quantization_config"):
        raise ModelUnavailable(
            f"The weights in {folder} are quantised, which the engine cannot read; "
            "give the model's unquantised weights."
        )
    return config


def _checkpoint_dtype(config: dict[str, Any]) -> torch.dtype | None:
    # Older configs call it torch_dtype.
    return _DTYPES.get(str(config.get("dtype") or config.get("torch_dtype")))


def resolve_dtype(
    dtype: torch.dtype | str, device: torch.device, checkpoint: torch.dtype | None = None
) -> torch.dtype:
    """The number format to compute in.

    ``auto`` is float32 on a CPU, where it is exact and supported everywhere, and on a GPU the
    half precision that the checkpoint was saved in (for a float32 one, what the GPU does best).
    """
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype in _DTYPES:
        return _DTYPES[dtype]
    if dtype != "auto":
        raise InvalidRequest(f"Unknown dtype {dtype!r}: give auto, {', '.join(_DTYPES)}.")
    if device.type == "cpu":
        return torch.float32
    if checkpoint in (torch.bfloat16, torch.float16):
        return checkpoint
    cuda_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if cuda_bf16 else torch.float16


def resolve_numerics(numerics: str, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether to compute with invariant numerics.

    ``auto`` does so in bfloat16 on a CPU with packed weights, where it costs little. In float32 a
    near-tie that rounding could turn is rare enough.
    """
    if numerics not in NUMERICS:
        raise InvalidRequest(f"Unknown numerics {numerics!r}: give {', '.join(NUMERICS)}.")
    if numerics == "invariant" and device.type != "cpu":
        raise InvalidRequest(
            f"Invariant numerics need a CPU and the device is {device.type}; "
            "give numerics fast or device cpu."
        )
    if numerics == "auto":
        return dtype is torch.bfloat16 and packing_available(dtype, device)
    return numerics == "invariant"


def resolve_device(device: torch.device | str) -> torch.device:
    """The device to compute on; ``auto`` takes a GPU when PyTorch sees one."""
    if device == "auto":
        # not mps: it has no float64, which probabilities are told and drawn in
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise InvalidRequest(
            f"Unknown device {device!r}: give auto, cpu, cuda, cuda:1 or mps."
        ) from error
    counts = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    count = counts.get(place.type, 0)
    if (place.index or 0) >= count:
        raise InvalidRequest(
            f"Device {str(place)!r} is not here: PyTorch sees {count} of type {place.type}; "
            "give auto or cpu."
        )
    return place


def end_token_ids(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None
) -> tuple[int, ...]:
    """Every token id that ends a text, ascending: chat models often have more than one."""
    sources = (getattr(model, "generation_config", None), model.config, tokenizer)
    ids: set[int] = set()
    for source in sources:
        ids.update(_as_ids(getattr(source, "eos_token_id", None)))
    return tuple(sorted(ids))


def _as_ids(value: int | Iterable[int] | None) -> tuple[int, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(int(item) for item in value)


def _brief(error: Exception) -> str:
    lines = (str(error) or type(error).__name__).strip().splitlines()
    return lines[0][:200].rstrip(".")
