"""Cost tables as small checked JSON files."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from propd.core import CostTable, Points
from propd.errors import InvalidRequest

FORMAT = "propd-costs/1"
MAX_BYTES = 1_000_000
MAX_POINTS = 1_000
CURVES = ("draft", "early", "prune", "late")
SLOPES = ("past_row_ms", "past_token_ms")


def save_costs(table: CostTable, path: Path, about: dict[str, Any]) -> None:
    """Write a table; ``about`` says how it was made."""
    body = {"format": FORMAT, "about": about, **asdict(table)}
    path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def load_costs(path: Path) -> CostTable:
    """Read and check a table; `InvalidRequest` when it is not one."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        return read_costs(json.loads(raw))
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise InvalidRequest(
            f"{path} is no cost table ({error}); record one with 'python -m propd costs'."
        ) from error


def read_costs(data: Any) -> CostTable:
    """Check parsed JSON; `ValueError` or `KeyError` when it is no table."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"it does not say format {FORMAT!r}")
    fields: dict[str, Any] = {name: _points(data[name], name) for name in CURVES}
    return CostTable(**fields | {name: _milliseconds(data[name], name) for name in SLOPES})


def costs_table(table: CostTable) -> str:
    """The milliseconds of each segment by tokens in the pass, as a Markdown table."""
    curves = [dict(table.early), dict(table.prune), dict(table.late)]
    lines = ["| tokens | early ms | prune ms | late ms |", "| --- |" + " --- |" * 3]
    for count in sorted(set().union(*curves)):
        cells = [f"{curve[count]:.2f}" if count in curve else "" for curve in curves]
        lines.append(f"| {count} | {' | '.join(cells)} |")
    drafting = (
        f"{ms:.2f} ms for {rows} {'row' if rows == 1 else 'rows'}" for rows, ms in table.draft
    )
    row, token = 1000 * table.past_row_ms, 1000 * table.past_token_ms
    past = f"{row:.2f} ms a row and {token:.2f} ms a token of the pass"
    lines += ["", f"Drafting: {', '.join(drafting)}.", f"1,000 tokens of past: {past}."]
    return "\n".join(lines)


def _points(value: Any, name: str) -> Points:
    if not isinstance(value, list) or len(value) > MAX_POINTS:
        raise ValueError(f"{name} is no list of at most {MAX_POINTS} points")
    points = []
    for point in value:
        if not isinstance(point, list) or len(point) != 2 or type(point[0]) is not int:
            raise ValueError(f"{name} holds {str(point)[:40]}, which is no count and milliseconds")
        points.append((point[0], _milliseconds(point[1], name)))
    counts = [count for count, _ in points]
    if counts != sorted(set(counts)) or any(count < 1 for count in counts):
        raise ValueError(f"the counts of {name} do not ascend from 1")
    if not points and name in ("early", "late"):
        raise ValueError(f"{name} holds no points")
    return tuple(points)


def _milliseconds(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} holds {str(value)[:40]}, which is no number")
    if not (math.isfinite(value) and 0 <= value <= 1e9):
        raise ValueError(f"{name} holds {value}, which is no time")
    return float(value)
