"""What every place is given: the engine's room, the settings beside the tabs, recorded runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.options import Options
from app.runs import EngineRoom

UNSEEN: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}
"""For events of the page itself: no spinner, no entry in the API."""
ONE_AT_A_TIME: Final[dict[str, Any]] = {"concurrency_id": "model", "concurrency_limit": 1}
"""For events that run the model: all of them share one place in the queue."""


@dataclass(frozen=True)
class Studio:
    """The one thing a place is built with."""

    room: EngineRoom
    options: Options
    traces: Path
