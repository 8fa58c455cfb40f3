"""Recorded runs: what is in a folder of traces, as the page lists it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.panel import url
from app.strings.watch import EXAMPLES
from propd.errors import InvalidTrace
from propd.event_json import short
from propd.methods import METHODS
from propd.trace import Trace, load

log = logging.getLogger(__name__)


def recorded_runs(folder: Path, address: Callable[[Path], str] = url) -> list[dict[str, Any]]:
    """The recorded runs on offer: where each is and what to call it; a broken file is skipped."""
    runs = []
    for path in sorted(folder.glob("*.json")):
        try:
            trace = load(path)
        except InvalidTrace as error:
            log.warning("%s is left out: %s", path.name, error)
            continue
        runs.append({"name": path.stem, "url": address(path), **_told(path, trace)})
    return runs


def _told(path: Path, trace: Trace) -> dict[str, Any]:
    """What a list says of a run before it is fetched."""
    header, stats = trace.header, trace.stats
    kind = path.stem.split("-")[1]
    method = METHODS[header.method].label if header.method in METHODS else header.method
    return {
        "label": f"{EXAMPLES.get(kind, kind)} · {method}",
        "title": header.prompt,
        "header": {"prompt": header.prompt, "method": header.method},
        "stats": {
            "tokens": stats.new_tokens,
            "tokensPerPass": short(stats.tokens_per_pass),
            "tokensPerSecond": short(stats.tokens_per_second),
        },
    }
