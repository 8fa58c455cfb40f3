"""Folders of heads: config.json and safetensors, each file small enough for a plain git host."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from propd.errors import ModelUnavailable
from propd.heads.protocol import DraftHeads, check_fit, check_ranges
from propd.heads.rooted import FORMAT, Heads, HeadsConfig, HeadWeights
from propd.models.backbone import Backbone
from propd.planning.drafts import RANKS

DRAFT, CONFIG = "draft.safetensors", "config.json"


def open_heads(folder: Path, backbone: Backbone) -> DraftHeads:
    """Read the heads in a folder; refuse what does not fit the backbone."""
    try:
        raw = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise ValueError(f"it does not say format {FORMAT!r}")
        return _open_ours(folder, raw, backbone)
    except (OSError, LookupError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelUnavailable(
            f"The heads in {folder} cannot be read ({error}); train or fetch them anew."
        ) from error


def save_heads(
    folder: Path, config: HeadsConfig, weights: HeadWeights, token_map: Tensor, reference: Tensor
) -> None:
    """Write weights in half precision and the config, in that order."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().half().contiguous() for name, t in weights.state_dict().items()}
    for layer in config.prune_layers:
        start = f"early.{layer}."
        early = {name: tensors.pop(name) for name in list(tensors) if name.startswith(start)}
        save_file(early, folder / _early_file(layer))
    words = {"token_map": token_map.to(torch.int32), "reference": reference.to(torch.int32)}
    save_file({**tensors, **words}, folder / DRAFT)
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def _early_file(layer: int) -> str:
    return f"early-{layer:02d}.safetensors"


def _open_ours(folder: Path, raw: dict[str, Any], backbone: Backbone) -> Heads:
    raw["acceptance_table"] = tuple(tuple(row) for row in raw["acceptance_table"])
    raw["prune_layers"] = tuple(raw["prune_layers"])
    config = HeadsConfig(**raw)
    check_fit(f"in {folder}", config.shape, backbone)
    tensors = load_file(folder / DRAFT)
    for layer in config.prune_layers:
        tensors |= load_file(folder / _early_file(layer))
    token_map, reference = (tensors.pop(name).long() for name in ("token_map", "reference"))
    _check_words(folder, config, token_map, reference, backbone)
    weights = HeadWeights(config)
    weights.load_state_dict(tensors)
    check_finite(folder, tensors)
    return Heads(config, weights, token_map, reference, backbone)


def _check_words(
    folder: Path, config: HeadsConfig, token_map: Tensor, reference: Tensor, backbone: Backbone
) -> None:
    size, known = backbone.hidden_size, backbone.vocabulary_size
    checks = [
        ("hidden size", config.hidden_size, size, size),
        ("vocabulary", config.vocabulary_size, known, known),
    ]
    for what, words in (("reduced vocabulary", token_map), ("reference vocabulary", reference)):
        checks.append((what, len(words), RANKS, known))
        if len(words):
            checks.append((f"smallest token of the {what}", int(words.min()), 0, known - 1))
            checks.append((f"largest token of the {what}", int(words.max()), 0, known - 1))
    check_ranges(f"in {folder}", checks)


def check_finite(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Refuse weights that would make every guess nonsense."""
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ModelUnavailable(
            f"The heads in {folder} hold numbers that are not finite; train or fetch them anew."
        )
