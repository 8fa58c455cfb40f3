"""The figures of a comparison, from its events; `player/tally.js` counts the same for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from statistics import median

from app.performing import Message
from propd.core import RunStats, StepEvent

PLAIN = "autoregressive"
"""What the others are compared with, if it is among them."""


def stats_of(events: Sequence[StepEvent]) -> RunStats:
    """Sums over the events of a run."""
    return reduce(RunStats.add, events, RunStats())


def figures(events: Sequence[StepEvent]) -> Message:
    """The figures of one run, all of them measured."""
    stats = stats_of(events)
    phases: dict[str, float] = {}
    for event in events:
        told = asdict(event.milliseconds)
        if event.kind == "prefill":
            told = {"prefill": event.milliseconds.total}
        for name, ms in told.items():
            phases[name] = phases.get(name, 0.0) + ms
    tokens = max(stats.new_tokens, 1)
    return {
        "tokens": stats.new_tokens,
        "tokens_per_pass": round(stats.tokens_per_pass, 4),
        "mean_tree_size": round(stats.drafted / max(stats.steps, 1), 4),
        "verified_per_token": round(stats.verified / tokens, 4),
        "pruned_share": round(stats.pruned / stats.drafted, 4) if stats.drafted else None,
        "ms_per_token": {name: round(ms / tokens, 4) for name, ms in phases.items() if ms},
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {
        "median": round(median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
    }


def baseline_of(speeds: dict[str, Sequence[float]]) -> str:
    """Plain decoding if it ran, else the slowest. speeds: tokens/s of each repeat, by method."""
    if PLAIN in speeds:
        return PLAIN
    return min(speeds, key=lambda method: median(speeds[method]))


def speed_ups(speeds: Sequence[float], plain: Sequence[float]) -> list[float]:
    """Ratios repeat by repeat: the runs of a repeat ran one right after the other."""
    return [one / other if other else 0.0 for one, other in zip(speeds, plain, strict=False)]
