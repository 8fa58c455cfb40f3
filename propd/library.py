"""The door of the library: load a model once, decode many requests.

import propd

engine = propd.load("smollm2-135m-instruct")
for event in engine.stream("Why is the sky blue?", method="propd"):
    print(event.text, end="", flush=True)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from propd.engine import Engine
from propd.heads.files import open_heads
from propd.heads.found import find_heads
from propd.models.backbone import Backbone
from propd.models.loading import load_pretrained
from propd.models.registry import DEFAULT_MODEL, REGISTRY, ModelEntry

HEADS_FOLDER = Path(__file__).resolve().parent.parent / "assets" / "heads"


def _silent(message: str) -> None:
    """Report nothing."""


def load(
    model: str = DEFAULT_MODEL,
    *,
    heads: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    numerics: str = "auto",
    weights: str = "auto",
    device_map: str | None = None,
    one_read: bool = False,
    report: Callable[[str], None] = _silent,
) -> Engine:
    """Load a model and its heads.

    model: a registry name, a folder, or a Hub id. heads: a folder or a Hub id; None takes the
    shipped ones, if there are any. dtype: auto, float32, bfloat16 or float16. numerics: auto, fast
    or invariant (in any tree and batch a token has the same bits). weights: auto, dense, w4a8
    (groups of 4 bits, as in a GGUF file, and inputs of 8; auto takes them on a CPU if the model
    came from one), int4 (the same with inputs of 16 bits; auto takes it where there is no kernel
    for w4a8), or int8 and nf4 (with the package bitsandbytes). device_map: layers on several
    devices, auto or like cuda:0=20,cuda:1=12 (docs/gpu.md). one_read: on one CUDA device, the loop
    that reads once a step; off until it has been run on a GPU. report: called with each stage.
    Raises a `ProPDError` with one sentence on anything a user can cause.
    """
    folder = find_heads(heads, report) if heads else shipped_heads(REGISTRY.get(model))
    loaded = load_pretrained(
        model,
        dtype=dtype,
        device=device,
        numerics=numerics,
        weights=weights,
        device_map=device_map,
        heads=folder,
        report=report,
    )
    report("packing weights")
    with torch.inference_mode():
        backbone = Backbone(
            loaded.model,
            dtype=loaded.dtype,
            invariant=loaded.invariant,
            weights=loaded.weights,
            device_map=loaded.device_map,
        )
        ready = open_heads(folder, backbone) if folder else None
    if backbone.device.type == "cuda":
        torch.cuda.empty_cache()  # what layers left behind as they were fused is free again
    entry = loaded.folder.entry
    if ready is None and entry is not None and entry.heads_hub_id is not None:
        report(f"no heads; {entry.heads_hub_id} has some for this model, see docs/heads.md")
    report("ready")
    engine = Engine(loaded, backbone, ready)
    engine.one_read = one_read
    return engine


def shipped_heads(entry: ModelEntry | None) -> Path | None:
    """The folder of the heads that come with this program, if there are any for this model."""
    if entry is None:
        return None
    folder = HEADS_FOLDER / entry.name
    return folder if folder.is_dir() else None
