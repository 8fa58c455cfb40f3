"""The file of phrases in a folder of heads."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from propd.planning.phrases import PhraseArrays, Phrases

PHRASES = "phrases.safetensors"


def save_phrases(folder: Path, phrases: Phrases) -> None:
    """Write them beside the heads."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {field.name: getattr(phrases.arrays, field.name) for field in fields(PhraseArrays)}
    save_file(arrays, folder / PHRASES)


def load_phrases(folder: Path, vocabulary: int) -> Phrases | None:
    """The phrases of a folder, None where there are none; ValueError for what is damaged."""
    if not (folder / PHRASES).exists():
        return None
    found = load_file(folder / PHRASES)
    names = {field.name for field in fields(PhraseArrays)}
    if set(found) != names:
        raise ValueError(f"{PHRASES} holds {sorted(found)} and must hold {sorted(names)}")
    arrays = PhraseArrays(**found)
    _check(arrays, vocabulary)
    return Phrases(arrays)


def _check(arrays: PhraseArrays, vocabulary: int) -> None:
    contexts, starts, tokens, chances = (getattr(arrays, f.name) for f in fields(PhraseArrays))
    if any(array.ndim != 1 for array in (contexts, starts, tokens, chances)):
        raise ValueError(f"an array in {PHRASES} is not of one dimension")
    if any(array.dtype.kind not in "iu" for array in (contexts, starts, tokens)):
        raise ValueError(f"contexts, starts and tokens in {PHRASES} must be whole numbers")
    sizes = np.diff(starts.astype(np.int64))
    if (
        len(starts) != len(contexts) + 1
        or starts[0] != 0
        or starts[-1] != len(tokens)
        or len(tokens) != len(chances)
        or (sizes < 0).any()
    ):
        raise ValueError(f"the lengths in {PHRASES} do not add up")
    if len(contexts) > 1 and (np.diff(contexts) <= 0).any():
        raise ValueError(f"the contexts in {PHRASES} do not ascend")
    if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocabulary:
        raise ValueError(f"{PHRASES} names words outside the {vocabulary:,} of the model")
    if not ((chances >= 0) & (chances <= 1)).all():  # a NaN is neither
        raise ValueError(f"{PHRASES} holds a chance that is not between 0 and 1")
