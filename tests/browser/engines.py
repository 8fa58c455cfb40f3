"""The tiny model at the pace of a small one, so that there is something to see and to stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import propd

NASTY = '<img src=x onerror=alert(1)> </script> ${alert(1)} {{value}} \U0001f600 "quoted\\'


class SlowEngine:
    """An engine that waits before each event and does not end a text early."""

    pause = 0.005
    """Seconds; a test that stops a run makes them more."""

    def __init__(self, engine: propd.Engine) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def stream(self, prompt: str, *config: Any, **more: Any) -> Iterator[Any]:
        config = tuple(replace(one, ignore_eos=True) for one in config)
        return self._paced(self.engine.stream(prompt, *config, **more))

    def stream_batch(self, *args: Any, **more: Any) -> Iterator[Any]:
        return self._paced(self.engine.stream_batch(*args, **more))

    def _paced(self, events: Iterator[Any]) -> Iterator[Any]:
        for event in events:
            time.sleep(self.pause)
            yield event
