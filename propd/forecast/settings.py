"""The numbers of a forecast, and their limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from propd.errors import InvalidRequest
from propd.planning.drafts import RANKS
from propd.requests import MAX_ROWS, MAX_TREE

MOST_HEADS = 8
MOST_LAYERS = 128
MOST_TOKENS = MAX_ROWS * (MAX_TREE + 1)
"""Of a pass: every row with the largest tree."""

PruneWhen = Literal["pays", "always", "never"]


class Limit(NamedTuple):
    """What a number may be."""

    least: float
    most: float
    whole: bool = False


LIMITS = {
    "rows": Limit(1, MAX_ROWS, whole=True),
    "past": Limit(0, 32_768, whole=True),
    "floor_ms": Limit(0.01, 10_000),
    "rise": Limit(1, MOST_TOKENS, whole=True),
    "slope_ms": Limit(0, 1_000),
    "step": Limit(1, 256, whole=True),
    "draft_ms": Limit(0, 10_000),
    "look_ms": Limit(0, 10_000),
    "accuracy": Limit(0, 1),
    "further_heads": Limit(0, 1),
    "further_ranks": Limit(0, 5),
    "heads": Limit(0, MOST_HEADS, whole=True),
    "layer": Limit(1, MOST_LAYERS - 1, whole=True),
    "top_k": Limit(1, 100_000, whole=True),
    "kept": Limit(0, 1),
    "recall": Limit(0, 1),
}


@dataclass(frozen=True)
class Settings:
    """All numbers of a forecast."""

    rows: int
    """Sequences decoded together."""
    past: int
    """Tokens in the cache of each row."""
    floor_ms: float
    """Time of a pass of one token without past: reading the weights."""
    rise: int
    """Tokens in the pass up to which it costs no more than that."""
    slope_ms: float
    """Time of each further token."""
    step: int
    """Tokens that cost as much as one: the tiles that a device computes. 1: every token counts."""
    draft_ms: float
    """Time of the draft heads, one row."""
    look_ms: float
    """Time of the early head and the pruning, `propd.forecast.machine.LOOK_TOKENS` in the pass."""
    accuracy: float
    """Chance that the first head's best guess is right."""
    further_heads: float
    """How often the best guess of a head is right, against that of the head before it."""
    further_ranks: float
    """s: where a head's guesses before the k-th were wrong, that one is right 1/k**s as often as
    the first."""
    heads: int
    """Depth of the deepest tree."""
    layer: int
    """Layers before pruning."""
    top_k: int
    """A guess outside the early head's k best is pruned."""
    kept: float
    """Share of the nodes of a large tree that survive pruning."""
    recall: float
    """Chance that a right guess survives, if its parent did."""
    prune: PruneWhen = "pays"
    """Whether steps prune."""


def check_changes(changes: Any) -> dict[str, Any]:
    """Settings by name, as a stranger may give them; `InvalidRequest` says what is wrong."""
    if not isinstance(changes, Mapping):
        raise InvalidRequest("The settings must be an object of names and numbers.")
    return {str(name): _checked(str(name), value) for name, value in changes.items()}


def _checked(name: str, value: Any) -> Any:
    if name == "prune":
        if value not in get_args(PruneWhen):
            raise InvalidRequest(f"prune must be one of {', '.join(get_args(PruneWhen))}.")
        return value
    if name not in LIMITS:
        known = ", ".join([*LIMITS, "prune"])
        raise InvalidRequest(f"There is no setting '{name[:40]}'; use {known}.")
    least, most, whole = LIMITS[name]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # NaN and infinities are between no limits
    if not number or not least <= value <= most or (whole and value != math.floor(value)):
        what = "a whole number" if whole else "a number"
        raise InvalidRequest(f"{name} must be {what} from {least:g} to {most:g}.")
    return int(value) if whole else float(value)


Table = tuple[tuple[float, ...], ...]
"""[depth - 1][rank]: a chance."""


def check_table(value: Any, name: str) -> Table:
    """Chances by depth and rank, at most `MOST_HEADS` x `RANKS`."""
    rows = value if isinstance(value, (list, tuple)) else None
    if rows is None or len(rows) > MOST_HEADS or not all(_is_chances(row) for row in rows):
        raise InvalidRequest(
            f"{name} must be at most {MOST_HEADS} lists of 1 to {RANKS} numbers from 0 to 1."
        )
    return tuple(tuple(float(chance) for chance in row) for row in rows)


def _is_chances(row: Any) -> bool:
    return (
        isinstance(row, (list, tuple))
        and 1 <= len(row) <= RANKS
        and all(
            isinstance(chance, (int, float)) and not isinstance(chance, bool) and 0 <= chance <= 1
            for chance in row
        )
    )
