"""Checks of what a file of heads holds; a refusal is one sentence.

label: what the sentence calls the heads, such as "in FOLDER".
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from propd.errors import ModelUnavailable
from propd.heads.protocol import check_ranges
from propd.planning.drafts import RANKS


def check_words(label: str, what: str, words: Tensor, vocabulary: int) -> None:
    """Refuse token ids (R,) that are not R different tokens of the model."""
    check_ranges(label, [(f"number of dimensions of the {what}", words.ndim, 1, 1)])
    check_ranges(label, [(what, len(words), RANKS, vocabulary)])
    different = len(words.unique())  # a token twice would stand twice under one parent
    low, high = int(words.min()), int(words.max())
    check_ranges(
        label,
        [
            (f"smallest token of the {what}", low, 0, vocabulary - 1),
            (f"largest token of the {what}", high, 0, vocabulary - 1),
            (f"number of different tokens of the {what}", different, len(words), len(words)),
        ],
    )


def check_shape(label: str, what: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse a tensor of another shape."""
    check_ranges(label, [(f"number of dimensions of {what}", tensor.ndim, len(shape), len(shape))])
    sides = zip(("rows", "columns"), tensor.shape, shape, strict=False)
    check_ranges(label, [(f"number of {side} of {what}", n, want, want) for side, n, want in sides])


def check_finite(label: str, tensors: Iterable[Tensor]) -> None:
    """Refuse weights that would make every guess nonsense."""
    if not all(torch.isfinite(tensor).all() for tensor in tensors):
        raise ModelUnavailable(
            f"The heads {label} hold numbers that are not finite; train or fetch them anew."
        )
