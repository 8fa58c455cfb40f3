"""Pickled Medusa heads as safetensors, once and on request: nothing else here reads a pickle.

Heads were published as medusa_lm_head.pt (FasterDecoding/Medusa). PyTorch unpickles tensors only
(``weights_only=True``), so that a file with code in it is refused and not run. Modules that need
torch are imported where they are used: what is wrong with a path is told at once.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from propd.errors import InvalidRequest, ModelUnavailable

if TYPE_CHECKING:
    from torch import Tensor

    from propd.heads.medusa import MedusaWeights

WRITTEN = ("medusa_lm_head.safetensors", "config.json")
ANY_VOCABULARY = 2**31


def check_conversion(source: Path, out: Path, force: bool) -> None:
    """Refuse a file that is not there, and a folder whose files would be overwritten unasked."""
    if not source.is_file():
        raise InvalidRequest(f"There is no file {source}; give a file of Medusa heads (.pt).")
    if out.exists() and not out.is_dir():
        raise InvalidRequest(f"{out} is no folder; name a folder for the heads.")
    for name in WRITTEN:
        if (out / name).exists() and not force:
            raise InvalidRequest(
                f"{out / name} is there already; give --force to overwrite it, or another folder."
            )


def convert_heads(source: Path, out: Path, base_model: str | None = None) -> dict[str, Any]:
    """Write the heads and their config.json; returns the config.

    base_model: Hub id of their model; it says which published accuracies a run begins with.
    Raises `ModelUnavailable` for what is no checkpoint of Medusa heads; then nothing is written.
    """
    from propd.heads.layouts import plain_names, weights_of

    label, stored = f"in {source}", _unpickled(source)
    tensors = {plain: stored[name] for plain, name in plain_names(stored).items()}
    weights = weights_of(label, tensors)
    _check(label, weights)
    about = _about(weights, base_model)
    _write(out, tensors, about)
    return about


def _unpickled(source: Path) -> dict[str, Tensor]:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the sentence below is enough
            stored = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        # Nearly any type: of pickle, of zip, of torch. Torch's own words advise to run the code.
        raise ModelUnavailable(
            f"The file {source} is no PyTorch file, or holds more than tensors, which could run "
            "code and was not read; use heads in safetensors."
        ) from error
    named = isinstance(stored, dict) and all(isinstance(name, str) for name in stored)
    if not named or not all(isinstance(value, torch.Tensor) for value in stored.values()):
        raise ModelUnavailable(
            f"The file {source} is no table of named tensors; give the medusa_lm_head.pt of a "
            "checkpoint."
        )
    tensors: dict[str, Tensor] = stored
    return tensors


def _check(label: str, weights: MedusaWeights) -> None:
    """Hold the shapes against each other: there is no model here to hold them against."""
    from propd.heads.layouts import check_weights

    hidden_size = (weights.blocks[0][0][0].shape or (0,))[-1]
    vocabulary = ANY_VOCABULARY
    if weights.outputs and weights.token_map is None:
        vocabulary = (weights.outputs[0].shape or (0,))[0]
    check_weights(label, weights, hidden_size, vocabulary)


def _about(weights: MedusaWeights, base_model: str | None) -> dict[str, Any]:
    """As Medusa's own config.json, with the true number of heads."""
    about: dict[str, Any] = {
        "format": "medusa",
        "medusa_num_heads": len(weights.blocks),
        "medusa_num_layers": max(map(len, weights.blocks)),
    }
    if not weights.outputs:
        about["version"] = "2"  # as TGI calls heads that share the model's LM head
    if base_model is not None:
        about["base_model_name_or_path"] = base_model
    return about


def _write(out: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # a copy of each: Medusa's blocks of one head are the same object, which safetensors refuses
    copies = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    weights, config = (out / name for name in WRITTEN)
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_file(copies, weights)
        config.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise InvalidRequest(f"The folder {out} cannot be written to ({error}).") from error
