"""One step event as JSON and back: small, in columns, and checked when read.

This JSON is what trace files keep and what the app streams to the browser, so a recorded run and
a live run look the same to whoever draws them. Format: `docs/trace-format.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from propd.core import Milliseconds, Node, SizeDecision, StepEvent
from propd.errors import InvalidTrace

MAX_NODES = 512
MAX_TOKEN_TEXT = 1_000
MAX_TEXT = 100_000

FATES = {
    "root": "r",
    "drafted": "d",
    "pruned": "p",
    "rejected": "x",
    "accepted": "a",
    "bonus": "b",
}
"""Fate to its letter in the file."""
_FATE_OF = {letter: fate for fate, letter in FATES.items()}


def short(value: Any) -> Any:
    """A float with four significant digits: pictures need no more, files get half as large."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, (tuple, list)):
        return [short(item) for item in value]
    return value


def _columns(nodes: tuple[Node, ...]) -> dict[str, Any]:
    """One list a field; a field that no node fills is left out."""
    columns: dict[str, Any] = {"fate": "".join(FATES[node.fate] for node in nodes)}
    for name in _NODE_READERS:
        column = [short(getattr(node, name)) for node in nodes]
        if any(item not in (None, "") for item in column):
            columns[name] = column
    return columns


def _filled(noun: Any) -> dict[str, Any]:
    """The fields of a small dataclass, those at "nothing" left out."""
    values = {item.name: short(getattr(noun, item.name)) for item in fields(noun)}
    return {name: value for name, value in values.items() if value not in (None, "", [], 0.0)}


def event_to_json(event: StepEvent) -> dict[str, Any]:
    """The event as JSON: nodes in columns, four significant digits, empty fields left out."""
    data: dict[str, Any] = {
        "index": event.index,
        "kind": event.kind,
        "nodes": _columns(event.nodes),
        "accepted": list(event.accepted),
        "token_ids": list(event.token_ids),
        "decision": {**_filled(event.decision), "chosen": event.decision.chosen},
        "milliseconds": _filled(event.milliseconds),
        "past_length": event.past_length,
        "elapsed_s": round(event.elapsed_s, 5),
        "text": event.text,
        "pieces": list(event.pieces),
    }
    if event.bonus is not None:
        data["bonus"] = _columns((event.bonus,))
    if event.rows > 1:
        data |= {"row": event.row, "rows": event.rows}
    for name in ("finish_reason", "prune_layer", "prune_top_k"):
        if getattr(event, name) is not None:
            data[name] = getattr(event, name)
    return data


# --- reading: every value is checked, because a trace may come from a stranger ----------------


def read_number(value: Any, where: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidTrace(f"The trace is not well formed: {where} must be a finite number.")
    return float(value)


def read_whole(value: Any, where: str) -> int:
    """A whole number from -1 on that fits 32 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < 2**31:
        raise InvalidTrace(f"The trace is not well formed: {where} must be a whole number.")
    return value


def read_text(value: Any, where: str, limit: int = MAX_TOKEN_TEXT) -> str:
    """Text of at most ``limit`` characters."""
    if not isinstance(value, str) or len(value) > limit:
        raise InvalidTrace(
            f"The trace is not well formed: {where} must be text of at most {limit} characters."
        )
    return value


def read_list(value: Any, where: str, limit: int = MAX_NODES) -> list[Any]:
    """A list of at most ``limit`` entries."""
    if not isinstance(value, list) or len(value) > limit:
        raise InvalidTrace(
            f"The trace is not well formed: {where} must be a list of at most {limit} entries."
        )
    return value


def read_object(value: Any, where: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise InvalidTrace(f"The trace is not well formed: {where} must be an object.")
    return value


def read_one_of(value: Any, where: str, choices: tuple[Any, ...]) -> Any:
    """One of a fixed set of values."""
    if value not in choices:
        names = ", ".join(str(choice) for choice in choices)
        raise InvalidTrace(f"The trace is not well formed: {where} must be one of {names}.")
    return value


def _maybe(read: Callable[..., Any]) -> Callable[..., Any]:
    return lambda value, where: None if value is None else read(value, where)


_NODE_READERS: dict[str, Callable[..., Any]] = {
    "token_id": read_whole,
    "parent": read_whole,
    "depth": read_whole,
    "rank": read_whole,
    "value": read_number,
    "draft_probability": _maybe(read_number),
    "early_rank": _maybe(read_whole),
    "early_probability": _maybe(read_number),
    "final_probability": _maybe(read_number),
    "choice_id": _maybe(read_whole),
    "text": read_text,
    "choice_text": read_text,
}


def _nodes(columns: dict[str, Any], where: str) -> tuple[Node, ...]:
    """Nodes out of columns that must all have the same length."""
    letters = read_text(columns.get("fate"), f"{where}.fate", MAX_NODES)
    rows: list[dict[str, Any]] = [
        {"fate": read_one_of(_FATE_OF.get(letter), f"{where}.fate", tuple(FATES))}
        for letter in letters
    ]
    for name, read in _NODE_READERS.items():
        if name not in columns and name not in ("token_id", "parent", "depth", "rank", "value"):
            continue
        column = read_list(columns.get(name), f"{where}.{name}")
        if len(column) != len(rows):
            raise InvalidTrace(f"The trace is not well formed: {where}.{name} has another length.")
        for row, item in zip(rows, column, strict=True):
            row[name] = read(item, f"{where}.{name}")
    return tuple(Node(**row) for row in rows)


def _check_tree(nodes: tuple[Node, ...], where: str) -> None:
    """Node 0 is the root; a parent comes before its children and one depth above them."""
    if not nodes or nodes[0].parent != -1 or nodes[0].depth != 0 or nodes[0].fate != "root":
        raise InvalidTrace(f"The trace is not well formed: {where} must begin with a root.")
    for index, node in enumerate(nodes[1:], start=1):
        if not 0 <= node.parent < index or node.depth != nodes[node.parent].depth + 1:
            raise InvalidTrace(
                f"The trace is not well formed: node {index} of {where} must come after its parent."
            )


def _numbers(value: Any, where: str) -> tuple[float, ...]:
    return tuple(read_number(item, where) for item in read_list(value, where))


def _decision(data: dict[str, Any], where: str) -> SizeDecision:
    table = read_list(data.get("acceptance_table", []), f"{where}.acceptance_table")
    sizes = read_list(data.get("sizes", []), f"{where}.sizes")
    decision = SizeDecision(
        sizes=tuple(read_whole(size, f"{where}.sizes") for size in sizes),
        expected_lengths=_numbers(data.get("expected_lengths", []), f"{where}.expected_lengths"),
        estimated_ms=_numbers(data.get("estimated_ms", []), f"{where}.estimated_ms"),
        chosen=read_whole(data.get("chosen"), f"{where}.chosen"),
        reason=read_one_of(data.get("reason"), f"{where}.reason", ("fixed", "best", "end")),
        acceptance_table=tuple(_numbers(row, f"{where}.acceptance_table") for row in table),
        cost_coefficients=_numbers(data.get("cost_coefficients", []), f"{where}.cost_coefficients"),
    )
    if any(
        len(c) not in (0, len(sizes)) for c in (decision.expected_lengths, decision.estimated_ms)
    ):
        raise InvalidTrace(f"The trace is not well formed: {where} has columns of unequal length.")
    return decision


def _indices(value: Any, where: str, below: int) -> tuple[int, ...]:
    items = tuple(read_whole(item, where) for item in read_list(value, where))
    if any(not 0 <= item < below for item in items):
        raise InvalidTrace(f"The trace is not well formed: {where} names a node that is not there.")
    return items


def _pieces(data: dict[str, Any], where: str) -> tuple[str, tuple[str, ...]]:
    """The text of a step, whole and by token; both must say the same."""
    text = read_text(data.get("text"), f"{where}.text", MAX_TEXT)
    items = read_list(data.get("pieces", []), f"{where}.pieces")
    pieces = tuple(read_text(item, f"{where}.pieces") for item in items)
    if pieces and "".join(pieces) != text:
        raise InvalidTrace(f"The trace is not well formed: the pieces of {where} are not its text.")
    return text, pieces


def event_from_json(data: Any, where: str = "event") -> StepEvent:
    """The event of `event_to_json`, every value checked; `InvalidTrace` says what is wrong."""
    data = read_object(data, where)
    nodes = _nodes(read_object(data.get("nodes"), f"{where}.nodes"), f"{where}.nodes")
    _check_tree(nodes, f"{where}.nodes")
    bonus = _nodes(read_object(data["bonus"], where), f"{where}.bonus") if "bonus" in data else ()
    if bonus:
        _indices([bonus[0].parent], f"{where}.bonus.parent", len(nodes))
    times = read_object(data.get("milliseconds"), f"{where}.milliseconds")
    token_ids = read_list(data.get("token_ids"), f"{where}.token_ids")
    text, pieces = _pieces(data, where)
    if len(pieces) not in (0, len(token_ids)):
        raise InvalidTrace(f"The trace is not well formed: {where} has a piece without a token.")
    return StepEvent(
        index=read_whole(data.get("index"), f"{where}.index"),
        kind=read_one_of(data.get("kind"), f"{where}.kind", ("prefill", "decode")),
        nodes=nodes,
        bonus=bonus[0] if bonus else None,
        accepted=_indices(data.get("accepted"), f"{where}.accepted", len(nodes)),
        token_ids=tuple(read_whole(item, f"{where}.token_ids") for item in token_ids),
        decision=_decision(
            read_object(data.get("decision"), f"{where}.decision"), f"{where}.decision"
        ),
        milliseconds=Milliseconds(
            **{
                part.name: read_number(times.get(part.name, 0.0), f"{where}.milliseconds")
                for part in fields(Milliseconds)
            }
        ),
        past_length=read_whole(data.get("past_length"), f"{where}.past_length"),
        elapsed_s=read_number(data.get("elapsed_s"), f"{where}.elapsed_s"),
        finish_reason=read_one_of(
            data.get("finish_reason"),
            f"{where}.finish_reason",
            (None, "eos", "length", "cancelled"),
        ),
        row=read_whole(data.get("row", 0), f"{where}.row"),
        rows=read_whole(data.get("rows", 1), f"{where}.rows"),
        prune_layer=_maybe(read_whole)(data.get("prune_layer"), f"{where}.prune_layer"),
        prune_top_k=_maybe(read_whole)(data.get("prune_top_k"), f"{where}.prune_top_k"),
        pieces=pieces,
        text=text,
    )
