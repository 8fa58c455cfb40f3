"""One step event as JSON and back: small, in columns, and checked when read.

This JSON is what trace files keep and what the app streams to the browser, so a recorded run and
a live run look the same to whoever draws them. Format: `docs/trace-format.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from propd.core import Milliseconds, Node, SizeDecision, StepEvent
from propd.errors import InvalidTrace
from propd.json_values import (
    MAX_ENTRIES,
    MAX_TEXT,
    read_list,
    read_noun,
    read_object,
    read_one_of,
    read_text,
    read_whole,
    readers_of,
    refusal,
)

MAX_NODES = MAX_ENTRIES
MAX_DEPTH = 64

FATES = {
    "root": "r",
    "drafted": "d",
    "pruned": "p",
    "rejected": "x",
    "accepted": "a",
    "bonus": "b",
}
"""Fate to its letter in the file."""
SOURCES = {"head": "h", "text": "t", "both": "b"}
"""Source to its letter; a file leaves them out where all are of the heads."""
_LETTERS: dict[str, dict[str, str]] = {"fate": FATES, "source": SOURCES}
_NODE_READERS = {name: read for name, read in readers_of(Node).items() if name not in _LETTERS}
_NEEDED_COLUMNS = {item.name for item in fields(Node) if item.default is MISSING}
_EVENT_READERS = readers_of(StepEvent)
_EXTRAS = {
    item.name: item.default
    for item in fields(StepEvent)
    if item.default is not MISSING and item.name not in ("pieces", "text")
}
"""Fields of an event that most events have at their default; a file leaves them out then."""


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
    if any(node.source != "head" for node in nodes):
        columns["source"] = "".join(SOURCES[node.source] for node in nodes)
    for name in _NODE_READERS:
        column = [short(getattr(node, name)) for node in nodes]
        if any(item not in (None, "") for item in column):
            columns[name] = column
    return columns


def _filled(noun: Any) -> dict[str, Any]:
    """The fields of a small dataclass, those at their default and empty lists left out."""
    values = {item.name: (getattr(noun, item.name), item.default) for item in fields(noun)}
    return {
        name: short(value)
        for name, (value, default) in values.items()
        if value not in (default, ())
    }


def event_to_json(event: StepEvent) -> dict[str, Any]:
    """The event as JSON: nodes in columns, four significant digits, empty fields left out."""
    data: dict[str, Any] = {
        "index": event.index,
        "kind": event.kind,
        "nodes": _columns(event.nodes),
        "accepted": list(event.accepted),
        "token_ids": list(event.token_ids),
        "decision": _filled(event.decision),
        "milliseconds": _filled(event.milliseconds),
        "past_length": event.past_length,
        "elapsed_s": round(event.elapsed_s, 5),
        "text": event.text,
        "pieces": list(event.pieces),
    }
    if event.bonus is not None:
        data["bonus"] = _columns((event.bonus,))
    extras = {name: getattr(event, name) for name in _EXTRAS}
    return data | {n: short(value) for n, value in extras.items() if value != _EXTRAS[n]}


# --- reading: every value is checked, because a trace may come from a stranger ----------------


def _nodes(value: Any, where: str) -> tuple[Node, ...]:
    """Nodes out of columns that must all have the same length."""
    columns = read_object(value, where)
    rows: list[dict[str, Any]] = [{"fate": fate} for fate in _words(columns, "fate", where)]
    if "source" in columns:
        sources = _words(columns, "source", where)
        if len(sources) != len(rows):
            raise refusal(f"{where}.source", f"be as long as {where}.fate, {len(rows)} entries")
        for row, source in zip(rows, sources, strict=True):
            row["source"] = source
    for name, read in _NODE_READERS.items():
        if name not in columns and name not in _NEEDED_COLUMNS:
            continue
        column = read_list(columns.get(name), f"{where}.{name}", MAX_NODES)
        if len(column) != len(rows):
            raise refusal(f"{where}.{name}", f"be as long as {where}.fate, {len(rows)} entries")
        for row, item in zip(rows, column, strict=True):
            row[name] = read(item, f"{where}.{name}")
    return tuple(Node(**row) for row in rows)


def _words(columns: Mapping[str, Any], name: str, where: str) -> list[str]:
    """The words behind a column of letters."""
    words = {letter: word for word, letter in _LETTERS[name].items()}
    letters = read_text(columns.get(name), f"{where}.{name}", MAX_NODES)
    return [
        read_one_of(words.get(letter), f"{where}.{name}", tuple(words.values()))
        for letter in letters
    ]


def _check_tree(nodes: tuple[Node, ...], where: str) -> None:
    """Node 0 is the root; a parent comes before its children and one depth above them."""
    if not nodes or nodes[0].parent != -1 or nodes[0].depth != 0 or nodes[0].fate != "root":
        raise refusal(where, "begin with a root")
    for index, node in enumerate(nodes[1:], start=1):
        if not 0 <= node.parent < index:
            raise refusal(f"node {index} of {where}", "come after its parent")
        if node.depth != nodes[node.parent].depth + 1:
            raise refusal(f"node {index} of {where}", "be one depth below its parent")
        if node.depth > MAX_DEPTH:
            raise refusal(f"node {index} of {where}", f"have a depth of at most {MAX_DEPTH}")


def _bonus(data: dict[str, Any], where: str, nodes: int) -> Node | None:
    """The model's own token: one node whose parent is in the tree."""
    if data.get("bonus") is None:
        return None
    bonus = _nodes(data["bonus"], f"{where}.bonus")
    if len(bonus) != 1:
        raise refusal(f"{where}.bonus", "be one node")
    _indices([bonus[0].parent], f"{where}.bonus.parent", nodes)
    return bonus[0]


def _decision(value: Any, where: str) -> SizeDecision:
    data = read_object(value, where)
    empty: dict[str, Any] = {"sizes": [], "expected_lengths": [], "estimated_ms": []}
    decision = read_noun(SizeDecision, empty | data, where)
    for name in ("expected_lengths", "estimated_ms"):
        if len(getattr(decision, name)) not in (0, len(decision.sizes)):
            raise refusal(f"{where}.{name}", f"be empty or as long as {where}.sizes")
    return decision


def _indices(value: Any, where: str, below: int) -> tuple[int, ...]:
    items = tuple(read_whole(item, where) for item in read_list(value, where))
    if any(not 0 <= item < below for item in items):
        raise refusal(where, f"name nodes that are there, 0 to {below - 1}")
    return items


def _pieces(data: dict[str, Any], where: str, tokens: int) -> tuple[str, tuple[str, ...]]:
    """The text of a step, whole and by token; both must say the same."""
    text = read_text(data.get("text"), f"{where}.text", MAX_TEXT)
    items = read_list(data.get("pieces", []), f"{where}.pieces")
    pieces = tuple(read_text(item, f"{where}.pieces") for item in items)
    if pieces and "".join(pieces) != text:
        raise InvalidTrace(f"The file is not well formed: the pieces of {where} are not its text.")
    if len(pieces) not in (0, tokens):
        raise refusal(f"{where}.pieces", f"be empty or one for each of the {tokens} tokens")
    return text, pieces


def event_from_json(data: Any, where: str = "event") -> StepEvent:
    """The event of `event_to_json`, every value checked; `InvalidTrace` says what is wrong.

    Whether the values agree with each other is the matter of `propd.trace_checks`.
    """
    data = read_object(data, where)
    nodes = _nodes(data.get("nodes"), f"{where}.nodes")
    _check_tree(nodes, f"{where}.nodes")
    needed = ("index", "kind", "token_ids", "past_length", "elapsed_s")
    plain = {
        name: _EVENT_READERS[name](data.get(name), f"{where}.{name}")
        for name in (*needed, *(extra for extra in _EXTRAS if extra in data))
    }
    plain["elapsed_s"] = round(plain["elapsed_s"], 5)
    text, pieces = _pieces(data, where, len(plain["token_ids"]))
    return StepEvent(
        **plain,
        nodes=nodes,
        bonus=_bonus(data, where, len(nodes)),
        accepted=_indices(data.get("accepted"), f"{where}.accepted", len(nodes)),
        decision=_decision(data.get("decision"), f"{where}.decision"),
        milliseconds=read_noun(Milliseconds, data.get("milliseconds"), f"{where}.milliseconds"),
        pieces=pieces,
        text=text,
    )
