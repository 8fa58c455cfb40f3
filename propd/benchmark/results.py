"""A benchmark as JSON: how it was made, the totals, and the figures of every group."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

from propd.benchmark.figures import Group, Total, by_category, totals
from propd.errors import InvalidRequest

FORMAT = "propd-bench/1"


@dataclass(frozen=True)
class Results:
    """What a file of results says."""

    about: Mapping[str, Any]
    """`propd.engine.Engine.describe`, command, settings, peers, what was skipped, memory."""
    totals: tuple[Total, ...]
    categories: Mapping[str, tuple[Total, ...]]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, about: Mapping[str, Any], groups: Sequence[Group]) -> Results:
        """The results of these groups."""
        categories = {name: tuple(found) for name, found in by_category(groups).items()}
        return cls(about, tuple(totals(groups)), categories, tuple(groups))


def write_results(path: Path, results: Results) -> None:
    """Write the file: indented, but a line for each total and each group."""
    lines: dict[str, list[Any]] = {
        "results": [asdict(total) for total in results.totals],
        "categories": [
            {"category": name, **asdict(total)}
            for name, found in results.categories.items()
            for total in found
        ],
        "group_fields": [[item.name for item in fields(Group)]],
        "groups": [astuple(group) for group in results.groups],
    }
    about = json.dumps({"format": FORMAT, **results.about}, indent=2)
    parts = [about.removesuffix("\n}")]
    for name, rows in lines.items():
        told = ",\n".join(f"    {json.dumps(row)}" for row in rows)
        parts.append(f'  "{name}": [\n{told}\n  ]')
    path.write_text(",\n".join(parts) + "\n}\n", encoding="utf-8")


def read_results(path: Path) -> Results:
    """Read such a file; one without categories and groups has its totals alone."""
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"{path} holds no results of a benchmark ({error}).") from error


def _parse(body: dict[str, Any]) -> Results:
    body.pop("format", None)
    found = tuple(Total(**row) for row in body.pop("results"))
    categories: dict[str, tuple[Total, ...]] = {}
    for row in body.pop("categories", []):
        name = row.pop("category")
        categories[name] = (*categories.get(name, ()), Total(**row))
    names = (body.pop("group_fields", []) or [[]])[0]
    rows = [dict(zip(names, row, strict=True)) for row in body.pop("groups", [])]
    return Results(body, found, categories, tuple(Group.read(row) for row in rows))
