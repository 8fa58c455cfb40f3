"""Hidden states of the frozen backbone, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from propd.models.backbone import Backbone
from propd.training.corpus import Corpus

SAVED_EVERY = 50
"""Sequences between two marks of progress."""


@dataclass(frozen=True)
class HiddenStates:
    """``final`` (T, H) after the final norm and ``early`` by layer, each (T, H), float16.

    Only answers are filled in, from the last token of their prompt on; the rest is never read and
    takes no room on most file systems.
    """

    final: np.ndarray
    early: Mapping[int, np.ndarray]


def cache_hidden_states(
    backbone: Backbone,
    corpus: Corpus,
    folder: Path,
    layers: tuple[int, ...],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> HiddenStates:
    """Run the backbone over every sequence; resumes where an interrupted run stopped.

    layers: whose output the early heads read; states of further layers that an earlier run kept
    are kept. report(done, total) is called after each sequence.
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress = folder / "progress.json"
    shape = (len(corpus.tokens), backbone.hidden_size)
    key = {"shape": list(shape), "of": _digest(backbone, corpus)}
    state = json.loads(progress.read_text()) if progress.exists() else {}
    known = state.get("layers", []) if state.get("key") == key else []
    done, computed = (state["done"], known) if {*layers} <= {*known} else (0, [*layers])
    names = {
        layer: folder / f"layer-{layer:02d}.npy" for layer in (*computed, backbone.layer_count)
    }
    arrays = {
        layer: np.lib.format.open_memmap(path, mode="r+" if done else "w+", dtype="f2", shape=shape)
        for layer, path in names.items()
    }
    for index in range(done, len(corpus)):
        first = int(corpus.prompt_lengths[index]) - 1
        span = slice(corpus.starts[index] + first, corpus.starts[index + 1])
        for layer, states in _run(backbone, corpus.sequence(index), computed).items():
            arrays[layer][span] = states[first:]
        if index % SAVED_EVERY == SAVED_EVERY - 1 or index == len(corpus) - 1:
            for array in arrays.values():
                array.flush()
            state = {"key": key, "layers": computed, "done": index + 1}
            progress.write_text(json.dumps(state))
        report(index + 1, len(corpus))
    return HiddenStates(arrays[backbone.layer_count], {layer: arrays[layer] for layer in layers})


def _digest(backbone: Backbone, corpus: Corpus) -> str:
    """Tells models and texts apart, so that states of another one are not taken for these."""
    digest = hashlib.sha256(corpus.tokens.tobytes())
    for weight in (backbone.norm, *(layer.mlp_norm for layer in backbone.layers)):
        digest.update(weight.float().cpu().numpy().tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def _run(backbone: Backbone, tokens: np.ndarray, layers: Sequence[int]) -> dict[int, np.ndarray]:
    """States after each of the layers, and after the last one and its norm."""
    count = len(tokens)
    cache = backbone.new_cache(batch=1, capacity=count)
    place = backbone.place([np.tri(count, dtype=bool)], [range(count)], [0])
    hidden, done, states = backbone.embed(tokens.tolist()), 0, {}
    for layer in (*sorted(layers), backbone.layer_count):
        hidden = backbone.run_layers(hidden, done, layer, place, cache, reading=True)
        ready = backbone.final_norm(hidden) if layer == backbone.layer_count else hidden
        states[layer], done = ready.half().cpu().numpy(), layer
    return states
