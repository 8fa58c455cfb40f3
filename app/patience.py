"""How long loading took the last time on this machine, to say how long it may take now."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from propd.models.sources import cache_folder

FILE = "loading-seconds.json"


def last_time(model: str) -> float | None:
    """Seconds that loading this model took the last time, if that is known."""
    seconds = _read().get(model)
    return float(seconds) if isinstance(seconds, (int, float)) else None


def remember(model: str, seconds: float) -> None:
    """Keep it for the next start; a machine that cannot be written to just forgets it."""
    known = {**_read(), model: round(seconds, 1)}
    with suppress(OSError):
        _path().parent.mkdir(parents=True, exist_ok=True)
        _path().write_text(json.dumps(known))


def _path() -> Path:
    return cache_folder() / FILE


def _read() -> dict[str, object]:
    try:
        known = json.loads(_path().read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
