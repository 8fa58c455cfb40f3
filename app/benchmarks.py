"""Results of a benchmark as the page shows them: plain numbers, nothing computed in the browser."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from propd.benchmark.figures import PHASES, Total, phase_means, promise_means
from propd.benchmark.result_checks import checked
from propd.benchmark.results import Results
from propd.errors import ProPDError
from propd.event_json import short
from propd.trace import MAX_BYTES, parsed

log = logging.getLogger(__name__)


def shipped(folder: Path) -> list[dict[str, Any]]:
    """The results that come with this copy: `benchmark.json` and `benchmark-*.json`."""
    found = []
    for path in sorted(folder.glob("benchmark*.json"), key=lambda path: path.stem):
        try:
            with path.open("rb") as file:
                found.append({"name": path.stem, **told(checked(parsed(file.read(MAX_BYTES + 1))))})
        except (ProPDError, OSError) as error:
            log.warning("%s is left out: %s", path.name, error)
    return found


def told(results: Results) -> dict[str, Any]:
    """All that the page draws and lists of these results."""
    means = phase_means(results.groups)
    return {
        "about": dict(results.about),
        "totals": [_total(total) for total in results.totals],
        "categories": [
            {"category": category, "name": total.name, "batch": total.batch, "ratio": total.ratio}
            for category, found in results.categories.items()
            for total in found
        ],
        "phases": [
            {
                "name": name,
                "batch": batch,
                "ms": dict(zip(PHASES, map(short, values), strict=True)),
            }
            for (batch, name), values in means.items()
        ],
        "promises": _promises(results),
    }


def _total(total: Total) -> dict[str, Any]:
    a_step = {
        name: short(getattr(total, name) / total.steps) if total.steps else None
        for name in ("drafted", "verified")
    }
    return {
        "name": total.name,
        "batch": total.batch,
        "prompts": total.prompts,
        "identical": total.identical,
        "speed": short(total.tokens_per_second),
        "ratio": total.ratio,
        "low": total.ratio_low,
        "high": total.ratio_high,
        "decode_speed": short(total.decode_tokens_per_second),
        "first_ms": short(total.first_ms),
        "per_pass": short(total.tokens_per_pass),
        **a_step,
    }


def _promises(results: Results) -> list[dict[str, Any]]:
    """A curve for each method that weighs sizes, and each batch size."""
    columns = ("sizes", "passes", "tokens_expected", "tokens", "ms_expected", "ms")
    curves = []
    for name in dict.fromkeys(group.name for group in results.groups if group.sizes):
        mine = [group for group in results.groups if group.name == name]
        for batch, rows in promise_means(mine).items():
            values = [[short(value) for value in column] for column in zip(*rows, strict=True)]
            curves.append({"name": name, "batch": batch, **dict(zip(columns, values, strict=True))})
    return curves


def text_of(results: dict[str, Any]) -> str:
    """As a file of JSON."""
    return json.dumps(results, ensure_ascii=False, separators=(",", ":"))
