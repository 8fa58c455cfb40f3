"""Work for worker processes, which must be able to import it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any


class Slow:
    """Tells of its process, so many times, at a pace."""

    passes = 1

    def __init__(self, messages: int = 20, seconds: float = 0.05) -> None:
        self.messages, self.seconds = messages, seconds

    def message(self, phase: str, *, whole: bool = False, stage: str = "") -> dict[str, Any]:
        return {"phase": phase, "stage": stage, "process": os.getpid(), "at": time.monotonic()}

    def stream(self, engine: Any) -> Iterator[dict[str, Any]]:
        for _ in range(self.messages):
            yield self.message("running")
            time.sleep(self.seconds)


class Deadly(Slow):
    """Ends its process after the first message, as the kernel does when memory is short."""

    def stream(self, engine: Any) -> Iterator[dict[str, Any]]:
        yield self.message("running")
        os._exit(9)


class Stuck(Slow):
    """Never comes to its second message."""

    def stream(self, engine: Any) -> Iterator[dict[str, Any]]:
        yield self.message("running")
        yield self.message("running")
        time.sleep(600)
