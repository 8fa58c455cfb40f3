"""The comparison as a paper lays it out: a row for each method, a column for each batch size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from propd.benchmark.figures import Total

ROWS = (
    ("autoregressive", "AR"),
    ("bpd", "BPD"),
    ("medusa", "Medusa"),
    ("propd-paper", "ProPD, as in the paper"),
    ("propd", "ProPD, ours"),
    ("propd-static", "ablation: early pruning only"),
    ("propd-unpruned", "ablation: dynamic tree only"),
)
"""Method and what its row is called."""
EMPTY = "–"

Cell = Callable[[Total], "float | None"]


def _ratio(total: Total) -> float | None:
    return total.ratio


def _speed(total: Total) -> float | None:
    return total.tokens_per_second


def _tokens(total: Total) -> float | None:
    return total.tokens_per_pass


def _verified(total: Total) -> float | None:
    return total.verified / total.steps if total.steps else None


TABLES: tuple[tuple[str, Cell, int], ...] = (
    ("Speed-up over AR", _ratio, 2),
    ("Tokens per second, all rows together", _speed, 1),
    ("Tokens per pass of a row (acceptance length)", _tokens, 2),
    ("Nodes verified per pass of a row", _verified, 1),
)
"""Title, cell and digits of each table."""


def paper_table(totals: Sequence[Total], cell: Cell, digits: int) -> list[list[str]]:
    """The table, its first row the head; what did not run is an empty cell."""
    sizes = sorted({total.batch for total in totals})
    known = {(total.name, total.batch): cell(total) for total in totals}
    rows = [["method", *(f"B = {size}" for size in sizes)]]
    for name, label in ROWS:
        found = [known.get((name, size)) for size in sizes]
        if any(value is not None for value in found):
            rows.append([label, *(_told(value, digits) for value in found)])
    return rows


def _told(value: float | None, digits: int) -> str:
    return EMPTY if value is None else f"{value:.{digits}f}"
