"""What the draft heads said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Drafts:
    """The guesses of one row: D heads, K ranks each, best first."""

    token_ids: tuple[tuple[int, ...], ...]
    reduced_ids: tuple[tuple[int, ...], ...]
    probabilities: tuple[tuple[float, ...], ...]


NO_DRAFTS = Drafts((), (), ())
