"""What every place is given: the engine's room, the settings beside the tabs, recorded runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.options import Options
from app.runs import EngineRoom

UNSEEN: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}
"""For events of the page itself: no spinner, no entry in the API."""


@dataclass(frozen=True)
class Studio:
    """The one thing a place is built with."""

    room: EngineRoom
    options: Options
    traces: Path

    @property
    def turns(self) -> dict[str, Any]:
        """For events that run the model: they share its places, the others wait in the queue."""
        return {"concurrency_id": "model", "concurrency_limit": self.room.places}
