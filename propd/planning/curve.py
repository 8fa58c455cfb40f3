"""A monotone piecewise-linear curve through running means."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable


class Curve:
    """Milliseconds over a count: never falling, straight between points, learned point by point."""

    def __init__(self, points: Iterable[tuple[int, float]] = ()) -> None:
        self.points = dict(points)
        self._counts = sorted(self.points)
        self._fit: list[float] | None = None

    def __call__(self, count: float) -> float:
        """The time at this count; 0 without points, the last slope beyond the last point."""
        if not self._counts:
            return 0.0
        if self._fit is None:
            self._fit = monotone([self.points[n] for n in self._counts])
        return _interpolate(self._counts, self._fit, count)

    def learn(self, count: int, milliseconds: float, rate: float) -> None:
        """Move towards an observation: the point at this count, or those on its two sides."""
        at = bisect_left(self._counts, count)
        inside = 0 < at < len(self._counts)
        if count in self.points:
            self.points[count] += rate * (milliseconds - self.points[count])
        elif inside:
            low, high = self._counts[at - 1], self._counts[at]
            share = (count - low) / (high - low)
            error = milliseconds - self(count)
            self.points[low] += rate * (1 - share) * error
            self.points[high] += rate * share * error
        else:
            self.points[count] = milliseconds
            insort(self._counts, count)
        self._fit = None


def monotone(values: list[float]) -> list[float]:
    """The never-falling values closest to these in square (pool adjacent violators).

    Example: 1, 3, 2, 4 become 1, 2.5, 2.5, 4.
    """
    blocks: list[tuple[float, int]] = []  # (mean, how many values it stands for)
    for value in values:
        mean, size = value, 1
        while blocks and blocks[-1][0] >= mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    return [mean for mean, size in blocks for _ in range(size)]


def _interpolate(counts: list[int], times: list[float], count: float) -> float:
    if count <= counts[0] or len(counts) == 1:
        return times[0]
    at = min(bisect_left(counts, count), len(counts) - 1)
    low, high = counts[at - 1], counts[at]
    slope = (times[at] - times[at - 1]) / (high - low)
    return times[at] + slope * (count - high)
