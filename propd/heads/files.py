"""Folders of heads: our own, each file small enough for a plain git host, and others' layouts."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from propd.errors import ModelUnavailable
from propd.heads.checks import check_finite, check_words
from propd.heads.early import EarlyLook, LogitLens
from propd.heads.early_files import CONFIG as EARLY_CONFIG
from propd.heads.early_files import early_file, load_early
from propd.heads.layouts import check_names, check_weights, plain_names, weights_of
from propd.heads.medusa import MedusaHeads
from propd.heads.phrase_files import PHRASES, load_phrases
from propd.heads.protocol import DraftHeads, check_fit, check_ranges
from propd.heads.published import acceptance_prior
from propd.heads.rooted import FORMAT, Heads, HeadsConfig, HeadWeights
from propd.models.backbone import Backbone

DRAFT, CONFIG, MEDUSA = "draft.safetensors", "config.json", "medusa_lm_head.safetensors"
PICKLED = (".pt", ".bin", ".pth")
READING = (OSError, LookupError, TypeError, ValueError, RuntimeError, SafetensorError)
"""What reading a folder that is not as it should be may end in."""


def open_heads(folder: Path, backbone: Backbone) -> DraftHeads:
    """Read the heads in a folder; `ModelUnavailable` for what cannot be read or does not fit.

    Our own say so in config.json; all others are told apart by their tensors.
    """
    try:
        raw = _read_config(folder)
        told = str(raw.get("format", ""))
        if told == FORMAT:
            return _open_ours(folder, raw, backbone)
        if told.startswith("propd-heads/") or (folder / DRAFT).exists():  # early ones said none
            raise ValueError(f"their format is {told!r} and this version reads {FORMAT!r}")
        return _open_medusa(folder, raw, backbone)
    except READING as error:
        raise _unreadable(folder, error) from error


def save_heads(
    folder: Path, config: HeadsConfig, weights: HeadWeights, token_map: Tensor, reference: Tensor
) -> None:
    """Write weights in half precision and the config, in that order."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().half().contiguous() for name, t in weights.state_dict().items()}
    for layer in config.prune_layers:
        start = f"early.{layer}."
        early = {name: tensors.pop(name) for name in list(tensors) if name.startswith(start)}
        save_file(early, folder / early_file(layer))
    words = {"token_map": token_map.to(torch.int32), "reference": reference.to(torch.int32)}
    save_file({**tensors, **words}, folder / DRAFT)
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def _read_config(folder: Path) -> dict[str, Any]:
    """Others' heads may come without one."""
    if not (folder / CONFIG).exists():
        return {}
    raw = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if not isinstance(raw, dict):
        raise ValueError(f"{CONFIG} is no JSON object")
    return raw


@dataclass(frozen=True)
class Stored:
    """Heads of ours as they lie in a folder, before they are packed for a backbone."""

    config: HeadsConfig
    weights: HeadWeights
    token_map: Tensor
    """(R,) model token id of each reduced id."""
    reference: Tensor
    """Ids of the words that early heads rank candidates among."""


def read_ours(folder: Path, backbone: Backbone) -> Stored:
    """Read heads of our own layout, to be run or trained further; errors as in `open_heads`."""
    try:
        raw = _read_config(folder)
        if raw.get("format") != FORMAT:
            raise ValueError(f"their format is {raw.get('format')!r} and {FORMAT!r} is needed")
        return _read_ours(folder, raw, backbone)
    except READING as error:
        raise _unreadable(folder, error) from error


def _open_ours(folder: Path, raw: dict[str, Any], backbone: Backbone) -> Heads:
    stored = _read_ours(folder, raw, backbone)
    phrases = load_phrases(folder, backbone.vocabulary_size)
    return Heads(
        stored.config, stored.weights, stored.token_map, stored.reference, backbone, phrases
    )


def _read_ours(folder: Path, raw: dict[str, Any], backbone: Backbone) -> Stored:
    raw["acceptance_table"] = tuple(tuple(row) for row in raw["acceptance_table"])
    raw["prune_layers"] = tuple(raw["prune_layers"])
    config = HeadsConfig(**raw)
    check_fit(f"in {folder}", config.shape, backbone)
    tensors = load_file(folder / DRAFT)
    for layer in config.prune_layers:
        tensors |= load_file(folder / early_file(layer))
    token_map, reference = (tensors.pop(name).long() for name in ("token_map", "reference"))
    _check_words(folder, config, token_map, reference, backbone)
    weights = HeadWeights(config)
    weights.load_state_dict(tensors)
    check_finite(f"in {folder}", tensors.values())
    return Stored(config, weights, token_map, reference)


def _check_words(
    folder: Path, config: HeadsConfig, token_map: Tensor, reference: Tensor, backbone: Backbone
) -> None:
    label, size, known = f"in {folder}", backbone.hidden_size, backbone.vocabulary_size
    sizes = [
        ("hidden size", config.hidden_size, size, size),
        ("vocabulary", config.vocabulary_size, known, known),
    ]
    check_ranges(label, sizes)
    check_words(label, "reduced vocabulary", token_map, known)
    check_words(label, "reference vocabulary", reference, known)


def _open_medusa(folder: Path, raw: dict[str, Any], backbone: Backbone) -> MedusaHeads:
    label = f"in {folder}"
    tensors = read_tensors(folder)
    scale = float(raw.get("logit_scale", 1.0))
    if not 0 < scale < math.inf:
        raise ValueError(f"logit_scale is {scale}; it must be above 0")
    weights = weights_of(label, tensors, scale)
    check_weights(label, weights, backbone.hidden_size, backbone.vocabulary_size)
    table = acceptance_prior(str(raw.get("base_model_name_or_path")), len(weights.blocks))
    early: EarlyLook
    if (folder / EARLY_CONFIG).exists():
        early = load_early(folder, backbone)
    else:
        early = LogitLens(backbone.final_norm, backbone.lm_head_weight, backbone.layer_count)
    phrases = load_phrases(folder, backbone.vocabulary_size)
    heads = MedusaHeads(weights, table, backbone, early, phrases)
    check_fit(label, heads.shape, backbone)
    return heads


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of Medusa heads in a folder, by plain name.

    Names are judged before anything is loaded: the heads may lie among the shards of a model.
    """
    places = {name: file for file in _tensor_files(folder) for name in _names(file)}
    names = plain_names(places)
    check_names(f"in {folder}", names)
    tensors: dict[str, Tensor] = {}
    for file in sorted({places[name] for name in names.values()}):
        with safe_open(file, framework="pt") as stored:
            for plain, name in names.items():
                if places[name] == file:
                    tensors[plain] = stored.get_tensor(name)
    return tensors


def _names(file: Path) -> list[str]:
    with safe_open(file, framework="pt") as stored:
        return list(stored.keys())


def _tensor_files(folder: Path) -> list[Path]:
    """Medusa's own file, or all: the heads may be spread over shards."""
    if (folder / MEDUSA).exists():
        return [folder / MEDUSA]
    others = ("early-", PHRASES)
    files = [p for p in sorted(folder.glob("*.safetensors")) if not p.name.startswith(others)]
    index = folder / "model.safetensors.index.json"
    if index.exists():
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        for shard in sorted(set(shards) - {file.name for file in files}):
            raise OSError(f"the shard {shard} is missing")
    if not files:
        raise _nothing_in(folder)
    return files


def _unreadable(folder: Path, error: Exception) -> ModelUnavailable:
    return ModelUnavailable(
        f"The heads in {folder} cannot be read ({error}); train or fetch them anew."
    )


def _nothing_in(folder: Path) -> ModelUnavailable:
    """What to do about a folder without safetensors."""
    for file in sorted(folder.glob("*")):
        if file.suffix in PICKLED:
            return ModelUnavailable(
                f"The heads in {folder} are pickled ({file.name}), which can run code; convert "
                f"them with 'python -m propd convert {file} --out DIR' and give that folder."
            )
    return ModelUnavailable(
        f"The folder {folder} holds no heads; give one with safetensors (docs/heads.md)."
    )
