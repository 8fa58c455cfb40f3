"""What models will take, as a table, by the registry or a folder's config.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from propd.errors import ModelUnavailable
from propd.models.need import Need, medusa_bytes
from propd.models.registry import REGISTRY
from propd.models.shape import Shape

KINDS = (("dense", 2, "16 bits"), ("int8", 2, "int8"), ("nf4", 2, "nf4"))
"""Weights, bytes of a dense number, and what the table calls it."""


def need_table(models: Sequence[str], rows: Sequence[int], tokens: int) -> str:
    """Markdown: a line for each model and kind of weights, in GB (10^9 bytes)."""
    head = ["model", "weights", "of the model", "Medusa heads", "K and V of a row"]
    lines = [[*head, *(f"all, {count} row{'s' * (count > 1)}" for count in rows)]]
    for model in models:
        shape, heads = shape_of(model)
        for weights, itemsize, name in KINDS:
            needs = [
                Need.of(
                    shape, weights, itemsize, heads=medusa_bytes(shape, heads, itemsize),
                    rows=count, tokens=tokens,
                )
                for count in rows
            ]  # fmt: skip
            first = needs[0]
            sizes = (first.weights, first.heads, first.cache // first.rows)
            cells = [f"{size / 1e9:.2f}" for size in (*sizes, *(need.total for need in needs))]
            lines.append([model, name, *cells])
    top, *body = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([top, "|" + " --- |" * len(lines[0]), *body])


def shape_of(model: str) -> tuple[Shape, int]:
    """Sizes of a model, and how many Medusa heads to count."""
    entry = REGISTRY.get(model)
    if entry is not None and entry.shape is not None:
        return entry.shape, entry.medusa_heads
    try:
        text = (Path(model).expanduser() / "config.json").read_text(encoding="utf-8")
        return Shape.of(json.loads(text)), 0
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            f"The sizes of {model!r} are not known: give one of {', '.join(REGISTRY)}, or a folder "
            "with a config.json."
        ) from error
