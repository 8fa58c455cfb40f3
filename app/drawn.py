"""The part of an event that is drawn where many runs are shown at once: a third of the whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.performing import Message
from propd.core import StepEvent
from propd.event_json import event_to_json

SMALL = ("fate", "parent", "depth", "value", "text")
"""Columns of nodes that a small tree needs."""
TOLD = (*SMALL, "source", "token_id", "draft_probability", "early_rank")
"""Columns that also say why a node met its fate."""
CHOICES = ("choice_id", "choice_text")
"""Said of the kept nodes alone: what the model chose instead of their children."""
LEFT_OUT = ("decision", "nodes", "past_length", "text", "row", "rows")


def drawn(event: StepEvent) -> Message:
    """The event without what no picture of a comparison shows.

    A column of choices may end early: what is missing was not drawn, or is of no kept node.
    """
    whole = event_to_json(event)
    data = {name: value for name, value in whole.items() if name not in LEFT_OUT}
    kept = {0, *event.accepted}
    choices = {name: _cut(whole["nodes"][name], kept) for name in CHOICES if name in whole["nodes"]}
    data["nodes"] = _columns(whole["nodes"], TOLD) | choices
    if "bonus" in whole:
        data["bonus"] = _columns(whole["bonus"], (*SMALL, "token_id"))
    return data


def drawn_small(event: StepEvent) -> Message:
    """Its tree and its text."""
    whole = event_to_json(event)
    data = {name: whole[name] for name in ("kind", "accepted", "text")}
    data["tokens"] = len(event.token_ids)
    data["nodes"] = _columns(whole["nodes"], SMALL)
    if "bonus" in whole:
        data["bonus"] = _columns(whole["bonus"], SMALL)
    return data


def _columns(nodes: Message, names: Iterable[str]) -> Message:
    return {name: _short(nodes[name]) for name in names if name in nodes}


def _short(column: Any) -> Any:
    """Two significant digits are enough for the size of a dot."""
    if isinstance(column, str):
        return column
    return [float(f"{item:.2g}") if isinstance(item, float) else item for item in column]


def _cut(column: list[Any], kept: set[int]) -> list[Any]:
    cut = [item if node in kept else None for node, item in enumerate(column)]
    return cut[: max(kept) + 1]
