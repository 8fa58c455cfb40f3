"""Stop watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise, takewhile
from time import perf_counter
from typing import Any, Protocol

import torch

from propd.core import Milliseconds


class StepWatch:
    """Measures the phases of one step by the host's clock."""

    def __init__(self) -> None:
        self._phases: list[str] = []
        self._times = [perf_counter()]

    def lap(self, phase: str) -> None:
        """The time since the last lap belongs to this phase."""
        self._phases.append(phase)
        self._times.append(perf_counter())

    def result(self) -> Milliseconds:
        """The laps so far."""
        sums: dict[str, float] = {}
        for phase, spent in zip(self._phases, self._spent(), strict=True):
            sums[phase] = sums.get(phase, 0.0) + spent
        return Milliseconds(**sums)

    def _spent(self) -> list[float]:
        """Milliseconds of each lap."""
        return [(end - begin) * 1000 for begin, end in pairwise(self._times)]


class Mark(Protocol):
    """A place in the work of a device, such as `torch.cuda.Event`."""

    def query(self) -> bool:
        """Whether the device has passed it; asking does not wait."""

    def elapsed_time(self, later: Any, /) -> float:
        """Milliseconds from this mark to a later one, both passed."""


class DeviceWatch(StepWatch):
    """Measures the phases of one step where they happen, on a device that the host runs ahead of.

    Each lap leaves a mark in the device's work, and nothing ever waits for one. When a step has
    read what became of it, the device has passed the marks before that read and tells the times
    between them; the rest of the host's time belongs to the laps behind. So the phases add up to
    the time of the step, wherever the device is.
    """

    def __init__(self, leave_mark: Callable[[], Mark]) -> None:
        """leave_mark: puts a mark behind all work that the device has been given so far."""
        super().__init__()
        self._leave_mark, self._marks = leave_mark, [leave_mark()]

    def lap(self, phase: str) -> None:
        """The work that was given to the device since the last lap belongs to this phase."""
        super().lap(phase)
        self._marks.append(self._leave_mark())

    def _spent(self) -> list[float]:
        here = super()._spent()
        passed = takewhile(lambda mark: mark.query(), self._marks)
        there = [begin.elapsed_time(end) for begin, end in pairwise(passed)]
        there = there[: len(here) - 1]  # the last lap takes what is left of the host's time
        behind = here[len(there) :]
        rest = max(0.0, sum(here) - sum(there))
        return there + [rest * lap / max(sum(behind), 1e-9) for lap in behind]


def watch_of(device: torch.device) -> StepWatch:
    """A watch for steps on this device."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return StepWatch()

    def leave_mark() -> Mark:
        mark = torch.cuda.Event(enable_timing=True)
        mark.record(torch.cuda.current_stream(device))
        return mark

    return DeviceWatch(leave_mark)


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
