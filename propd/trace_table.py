"""Runs as tables for spreadsheets: one row a step, or one row a node."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from io import StringIO
from typing import Any

from propd.core import Milliseconds, Node, SizeDecision, StepEvent
from propd.event_json import short
from propd.terminal import without_controls

PHASES = [item.name for item in fields(Milliseconds)]
STEP_COLUMNS = [
    *("index", "row", "kind", "past_length", "drafted", "pruned", "verified", "accepted"),
    *("new_tokens", "chosen_size", "expected_length", "estimated_ms"),
    *(f"{phase}_ms" for phase in PHASES),
    *("total_ms", "elapsed_s", "finish_reason", "text"),
]
NODE_COLUMNS = ["step", "row", "node", *(item.name for item in fields(Node))]
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")
"""A spreadsheet takes a cell that begins so for a formula, or looks behind a break for one."""


def steps_csv(events: Sequence[StepEvent]) -> str:
    """One row a step, with its counts, estimates and measured times."""
    return _csv(STEP_COLUMNS, (_step_row(event) for event in events))


def nodes_csv(events: Sequence[StepEvent]) -> str:
    """One row a node, the bonus as the last of its step."""
    return _csv(NODE_COLUMNS, (row for event in events for row in _node_rows(event)))


def _step_row(event: StepEvent) -> dict[str, Any]:
    times = event.milliseconds
    return {
        "index": event.index,
        "row": event.row,
        "kind": event.kind,
        "past_length": event.past_length,
        "drafted": event.drafted,
        "pruned": event.pruned,
        "verified": event.verified,
        "accepted": len(event.accepted),
        "new_tokens": len(event.token_ids),
        "chosen_size": event.decision.chosen,
        "expected_length": _of_chosen(event.decision, event.decision.expected_lengths),
        "estimated_ms": _of_chosen(event.decision, event.decision.estimated_ms),
        **{f"{phase}_ms": short(getattr(times, phase)) for phase in PHASES},
        "total_ms": short(times.total),
        "elapsed_s": round(event.elapsed_s, 5),
        "finish_reason": event.finish_reason,
        "text": event.text,
    }


def _of_chosen(decision: SizeDecision, estimates: tuple[float, ...]) -> float | None:
    """What was estimated of the chosen size; None for a fixed tree, of which nothing was."""
    known = dict(zip(decision.sizes, estimates, strict=False))
    return short(known.get(decision.chosen))


def _node_rows(event: StepEvent) -> Iterable[dict[str, Any]]:
    nodes = (*event.nodes, *([event.bonus] if event.bonus else []))
    for number, node in enumerate(nodes):
        known = {name: short(value) for name, value in asdict(node).items()}
        yield {"step": event.index, "row": event.row, "node": number, **known}


def _csv(columns: list[str], rows: Iterable[dict[str, Any]]) -> str:
    out = StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """A cell that a spreadsheet shows and never runs: tokens are text that anyone may write."""
    if not isinstance(value, str):
        return value
    guard = "'" if value.startswith(FORMULA_STARTS) else ""
    return guard + without_controls(value)
