"""Stop watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from propd.core import Milliseconds


class StepWatch:
    """Measures the phases of one step, without waiting for the device.

    On a CPU each phase has its own time. On a GPU the time of a phase that reads no result (early
    layers without pruning, late layers, commit) shows up in the next one that does.
    """

    def __init__(self) -> None:
        self._last = perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, phase: str) -> None:
        """The time since the last lap belongs to this phase."""
        now = perf_counter()
        self._laps[phase] = self._laps.get(phase, 0.0) + (now - self._last) * 1000
        self._last = now

    def result(self) -> Milliseconds:
        """The laps so far."""
        return Milliseconds(**self._laps)


class BusyClock:
    """Seconds the engine worked on a session: those spent inside ``with clock``."""

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Working time so far."""
        running = 0.0 if self._since is None else perf_counter() - self._since
        return self._total + running

    def __enter__(self) -> None:
        self._since = perf_counter()

    def __exit__(self, *error: object) -> None:
        self._total, self._since = self.seconds, None

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Within a working time, a time that is not to be counted."""
        self.__exit__()
        yield
        self.__enter__()
