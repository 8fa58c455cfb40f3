"""Hidden states of the frozen backbone, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from propd.models.backbone import Backbone
from propd.training.corpus import Corpus


@dataclass(frozen=True)
class HiddenStates:
    """``final`` (T, H) after the final norm and ``early`` (T, H) after the prune layer, float16."""

    final: np.ndarray
    early: np.ndarray


def cache_hidden_states(
    backbone: Backbone,
    corpus: Corpus,
    folder: Path,
    prune_layer: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> HiddenStates:
    """Run the backbone over every sequence; resumes where an interrupted run stopped.

    report(done, total) is called after each sequence.
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress = folder / "progress.json"
    shape = (len(corpus.tokens), backbone.hidden_size)
    key = {"shape": list(shape), "prune_layer": prune_layer, "of": _digest(backbone, corpus)}
    state = json.loads(progress.read_text()) if progress.exists() else {}
    done = state["done"] if state.get("key") == key else 0
    mode = "r+" if done else "w+"
    final = np.lib.format.open_memmap(folder / "final.npy", mode=mode, dtype="f2", shape=shape)
    early = np.lib.format.open_memmap(folder / "early.npy", mode=mode, dtype="f2", shape=shape)
    for index in range(done, len(corpus)):
        span = slice(corpus.starts[index], corpus.starts[index + 1])
        early[span], final[span] = _run(backbone, corpus.sequence(index), prune_layer)
        if index % 50 == 49 or index == len(corpus) - 1:
            final.flush()
            early.flush()
            progress.write_text(json.dumps({"key": key, "done": index + 1}))
        report(index + 1, len(corpus))
    return HiddenStates(final, early)


def _digest(backbone: Backbone, corpus: Corpus) -> str:
    """Tells models and texts apart, so that states of another one are not taken for these."""
    digest = hashlib.sha256(corpus.tokens.tobytes())
    for weight in (backbone.norm, *(layer.mlp_norm for layer in backbone.layers)):
        digest.update(weight.float().cpu().numpy().tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def _run(backbone: Backbone, tokens: np.ndarray, prune_layer: int) -> tuple[np.ndarray, np.ndarray]:
    count = len(tokens)
    cache = backbone.new_cache(batch=1, capacity=count)
    place = backbone.place([np.tri(count, dtype=bool)], [range(count)], [0])
    embedded = backbone.embed(tokens.tolist())
    early = backbone.run_layers(embedded, 0, prune_layer, place, cache)
    last = backbone.run_layers(early, prune_layer, backbone.layer_count, place, cache)
    final = backbone.final_norm(last)
    return early.half().cpu().numpy(), final.half().cpu().numpy()
