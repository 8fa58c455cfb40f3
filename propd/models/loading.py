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

from propd import kernels
from propd.errors import InvalidRequest, ModelUnavailable
from propd.models.backbone import FAMILIES
from propd.models.device_map import DeviceMap
from propd.models.four_bit import check_fits, four_bit_available, four_bit_pays, lies_on_grid
from propd.models.kernel_layers import HEAD_SIZES, kernel_pays
from propd.models.linear import packing_available
from propd.models.narrow import NARROW, check_installed
from propd.models.need import Need, heads_bytes
from propd.models.quiet import quiet_transformers
from propd.models.room import check_map, find_room
from propd.models.shape import Shape
from propd.models.shards import missing_weights, open_in_parts
from propd.models.sources import ModelFolder, Report, resolve, silent

SUPPORTED_TYPES = FAMILIES
"""``model_type`` of the families whose layers the engine knows how to run."""

NUMERICS = ("auto", "fast", "invariant")
"""invariant: a token's numbers have the same bits alone, in any tree and in any batch."""
GROUPS = ("w4a8", "int4")
"""Weights in groups of 4 bits, with invariant numerics: w4a8 with inputs in groups of 8 bits, by a
kernel of ours (`propd.models.grouped`); int4 with inputs in bfloat16."""
WEIGHTS = ("auto", "dense", *GROUPS, *NARROW)
"""int8 and nf4: `propd.models.narrow`."""
_NUMBERS = {"w4a8": "float32", "int4": "bfloat16"}
"""What they compute in, apart from the products."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class LoadedModel:
    """Weights in evaluation mode that nothing may change, and the tokenizer that fits them."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    folder: ModelFolder
    dtype: torch.dtype
    """To compute in; the weights may be wider."""
    invariant: bool = False
    """Whether to compute with invariant numerics."""
    weights: str = "dense"
    """One of `WEIGHTS`, but not auto."""
    device_map: DeviceMap | None = None
    """Where the layers are, or will be when they are taken."""


def load_pretrained(
    model: str,
    *,
    dtype: torch.dtype | str = "auto",
    device: torch.device | str = "auto",
    numerics: str = "auto",
    weights: str = "auto",
    device_map: str | None = None,
    heads: Path | None = None,
    report: Report = silent,
) -> LoadedModel:
    """Find, fetch if needed, and load ``model``: a registry name, a folder or a Hub id.

    device_map: auto, or layers by device (`propd.models.device_map.read_map`). heads: their folder,
    for the memory that they will take.
    """
    place = resolve_device(device)
    if place.type == "cpu" and kernels.to_compile():
        report("compiling kernels, once (half a minute)")
        kernels.ready()
    check_weights(weights, dtype, numerics, place, device_map)
    if weights in NARROW:
        numerics = "fast"
    folder = resolve(model, report)
    config = _read_config(folder.path)
    shape, saved = Shape.of(config), _checkpoint_dtype(config)
    if device_map is not None:
        place = check_map(device_map, device, shape.layer_count)
    number = resolve_dtype(dtype, place, saved)
    in_parts = device_map is not None or place.type != "cpu" or weights in NARROW
    looks = not in_parts and may_be_four_bit(weights, dtype, numerics, place, saved)
    wanted = weights in GROUPS or looks
    # the grid of the groups can be seen in the weights as they were saved only
    arrives = torch.float32 if wanted else number
    by_kernel = place.type == "cpu" and device_map is None and kernel_pays(shape, number)
    numbers_invariant = resolve_numerics(numerics, number, place, by_kernel)
    need = _need(shape, weights, arrives, heads, numbers_invariant, by_kernel)
    layers = find_room(need, place, device_map, report)
    report(f"loading {model} on {place if device_map is None else layers}")
    try:
        with quiet_transformers():
            if in_parts:
                loaded = open_in_parts(folder.path, arrives, layers)
            else:
                loaded = _load_weights(folder.path, arrives)
            tokenizer = AutoTokenizer.from_pretrained(folder.path, trust_remote_code=False)
    except ModelUnavailable:
        raise
    except Exception as error:
        # A broken file surfaces as nearly any type, from safetensors' own to KeyError.
        raise ModelUnavailable(f"Model {model} cannot be loaded: {_brief(error)}.") from error
    loaded = loaded.eval().requires_grad_(False)
    if weights in GROUPS:
        check_fits(loaded)
    kind = "dense" if weights == "auto" else weights
    if looks and lies_on_grid(loaded):
        kind = "w4a8" if shape.head_size in HEAD_SIZES and kernels.ready() else "int4"
    if kind == "w4a8" and shape.head_size not in HEAD_SIZES:
        raise InvalidRequest(
            f"Weights w4a8 need heads of {', '.join(map(str, HEAD_SIZES))} numbers and this model "
            f"has heads of {shape.head_size}; give weights int4 or dense."
        )
    if kind in GROUPS:
        number = _DTYPES[_NUMBERS[kind]]
    elif wanted:
        loaded = loaded.to(number)
    invariant = kind in GROUPS or numbers_invariant
    return LoadedModel(loaded, tokenizer, folder, number, invariant, kind, layers)


def _need(
    shape: Shape,
    weights: str,
    arrives: torch.dtype,
    heads: Path | None,
    invariant: bool,
    by_kernel: bool,
) -> Need:
    # that of int4 is bfloat16, once the weights have arrived
    size = 2 if weights == "int4" else arrives.itemsize
    kind = "dense" if weights == "auto" else weights
    told = 0 if heads is None else heads_bytes(heads, size)
    wide = 4 if by_kernel else 8
    in_cache = 2 if weights == "w4a8" else wide if invariant else None
    return Need.of(shape, kind, size, heads=told, cache_itemsize=in_cache)


def check_weights(
    weights: str,
    dtype: torch.dtype | str,
    numerics: str,
    place: torch.device,
    device_map: str | None = None,
) -> None:
    """Refuse weights that do not go with the other settings."""
    if weights not in WEIGHTS:
        raise InvalidRequest(f"Unknown weights {weights!r}: give {', '.join(WEIGHTS)}.")
    if weights in NARROW:
        check_installed(weights)
        if numerics == "invariant":
            raise InvalidRequest(
                f"Invariant numerics need dense weights, w4a8 or int4 and {weights} was asked for; "
                "give numerics fast."
            )
    if weights not in GROUPS:
        return
    if place.type != "cpu" or device_map is not None:
        where = "a device map was given" if device_map else f"the device is {place.type}"
        raise InvalidRequest(
            f"Weights of 4 bits need a CPU and {where}; give weights nf4 or dense."
        )
    number = _NUMBERS[weights]
    if dtype not in ("auto", number, _DTYPES[number]) or numerics == "fast":
        raise InvalidRequest(
            f"Weights {weights} are multiplied in {number} with invariant numerics, and {dtype} "
            f"with numerics {numerics} was asked for; leave both out, or give weights dense."
        )
    if weights == "w4a8" and (reason := kernels.why_not()):
        raise InvalidRequest(
            f"Weights w4a8 need a kernel that is not here: {reason}; give weights int4 or dense."
        )
    if weights == "int4" and not four_bit_available():
        raise InvalidRequest(
            "Weights of 4 bits need an operator that this build of PyTorch does not have for this "
            "processor; give weights dense."
        )


def may_be_four_bit(
    weights: str,
    dtype: torch.dtype | str,
    numerics: str,
    place: torch.device,
    saved: torch.dtype | None,
) -> bool:
    """Whether ``auto`` should look for groups of 4 bits in the weights.

    Only in weights saved in float32: in narrower ones a grid of finer numbers cannot be seen.
    """
    asked = weights == "auto" and dtype == "auto" and numerics == "auto"
    pays = kernels.ready() or four_bit_pays()
    return asked and place.type == "cpu" and saved is torch.float32 and pays


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
        raise missing_weights(folder, missing)
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

    ``auto`` is float32 on a CPU, where it is exact and supported everywhere (bfloat16 for int4),
    and on a GPU the half precision that the checkpoint was saved in (for a float32 one, what the
    GPU does best).
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


def resolve_numerics(
    numerics: str, dtype: torch.dtype, device: torch.device, by_kernel: bool = False
) -> bool:
    """Whether to compute with invariant numerics.

    ``auto`` does so where our kernel multiplies, because its sums are invariant and it is the
    fastest; and in bfloat16 on a CPU with packed weights, where it costs little. In float32
    without the kernel a near-tie that rounding could turn is rare enough.
    """
    if numerics not in NUMERICS:
        raise InvalidRequest(f"Unknown numerics {numerics!r}: give {', '.join(NUMERICS)}.")
    if numerics == "invariant" and device.type != "cpu":
        raise InvalidRequest(
            f"Invariant numerics need a CPU and the device is {device.type}; "
            "give numerics fast or device cpu."
        )
    if numerics == "auto":
        return by_kernel or (dtype is torch.bfloat16 and packing_available(dtype, device))
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
