"""The figures of a benchmark: of one group of prompts, and their totals. Knows no model.

Speeds are total tokens over total seconds, and ratios to plain decoding are ratios of those. Beside
a ratio stand the 10th and the 90th percentile of the same ratio taken group by group (each group of
each repeat against plain decoding of that group in that repeat).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from propd.benchmark.plan import PLAIN
from propd.core import Milliseconds, StepEvent

PHASES = tuple(item.name for item in fields(Milliseconds))
MIXED = "mixed"
"""Category of a group whose prompts are of several."""
SPREAD = (10, 90)
"""Percentiles told beside a ratio."""


@dataclass(frozen=True)
class Group:
    """One group of prompts, answered together by one method or peer."""

    name: str
    batch: int
    """Prompts that were asked for together; the last group of a batch size may have fewer."""
    repeat: int
    number: int
    """Of the group among those of its batch size."""
    place: int
    """When its turn was among all methods and peers."""
    category: str
    prompts: int
    identical: int
    """Prompts with exactly the text of plain decoding."""
    tokens: int
    seconds: float
    first_seconds: float | None = None
    """Until every prompt had its first token."""
    steps: int = 0
    """Passes after the prefill, counted once for each prompt in them. It and what follows is 0 or
    empty for peers, which do not tell."""
    passes: int = 0
    decoded_tokens: int = 0
    """Tokens that the passes added."""
    drafted: int = 0
    verified: int = 0
    phases: tuple[float, ...] = ()
    """Milliseconds of each of `PHASES`, all passes together."""
    sizes: tuple[tuple[float, ...], ...] = ()
    """`size_sums` of its passes."""

    @classmethod
    def read(cls, told: dict[str, Any]) -> Group:
        """A group as it comes back from JSON."""
        sizes = tuple(tuple(row) for row in told["sizes"])
        return cls(**{**told, "phases": tuple(told["phases"]), "sizes": sizes})

    @property
    def tokens_per_second(self) -> float:
        """Prefill included."""
        return self.tokens / self.seconds if self.seconds else 0.0


def figures_of(events: Sequence[StepEvent]) -> dict[str, Any]:
    """The fields of `Group` that events tell."""
    decoded = [event for event in events if event.kind == "decode"]
    # each row of a step carries the time of the whole step
    shares = [(event, 1 / event.rows) for event in decoded]
    return {
        "steps": len(decoded),
        "passes": round(sum(share for _, share in shares)),
        "decoded_tokens": sum(len(event.token_ids) for event in decoded),
        "drafted": sum(event.drafted for event in decoded),
        "verified": sum(event.verified for event in decoded),
        "phases": tuple(
            round(sum(getattr(event.milliseconds, phase) * share for event, share in shares), 3)
            for phase in PHASES
        ),
        "sizes": size_sums(decoded),
    }


def size_sums(decoded: Iterable[StepEvent]) -> tuple[tuple[float, ...], ...]:
    """Expected and measured by chosen size; only of passes whose size was weighed.

    Each row: size (nodes of all prompts), passes, and sums over them of expected tokens, measured
    tokens, expected milliseconds, measured milliseconds.
    """
    sums: dict[int, list[float]] = {}
    for event in decoded:
        decision, share = event.decision, 1 / event.rows
        if decision.reason == "fixed" or decision.chosen not in decision.sizes:
            continue
        place = decision.sizes.index(decision.chosen)
        if place >= min(len(decision.expected_lengths), len(decision.estimated_ms)):
            continue
        seen = sums.setdefault(decision.chosen, [0.0] * 5)
        # the decision and the time are those of all rows, and every row's event has them
        for spot, value in enumerate((
            share, share * decision.expected_lengths[place], len(event.token_ids),
            share * decision.estimated_ms[place], share * event.milliseconds.total,
        )):  # fmt: skip
            seen[spot] += value
    return tuple((size, *(round(value, 3) for value in sums[size])) for size in sorted(sums))


@dataclass(frozen=True)
class Total:
    """Sums of one method or peer over the groups of a batch size."""

    name: str
    batch: int
    prompts: int
    """Counted in every repeat."""
    identical: int
    tokens: int
    seconds: float
    ratio: float
    """Tokens per second over those of plain decoding."""
    ratio_low: float | None = None
    ratio_high: float | None = None
    """`SPREAD` of the ratios of single groups; None: not known."""
    first_seconds: float | None = None
    """None: it cannot tell."""
    groups: int = 0
    steps: int = 0
    passes: int = 0
    decoded_tokens: int = 0
    drafted: int = 0
    verified: int = 0

    @property
    def tokens_per_second(self) -> float:
        """Total tokens over total seconds, prefill included."""
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def decode_tokens_per_second(self) -> float | None:
        """The same after the first tokens; None if it cannot tell or wrote no further."""
        seconds = self.seconds - (self.first_seconds or 0.0)
        further = self.tokens - self.prompts
        known = self.first_seconds is not None and further > 0 and seconds > 0
        return further / seconds if known else None

    @property
    def first_ms(self) -> float | None:
        """Mean time until every prompt of a group had its first token."""
        known = self.first_seconds is not None and self.groups > 0
        return 1000 * (self.first_seconds or 0.0) / self.groups if known else None

    @property
    def tokens_per_pass(self) -> float | None:
        """Mean acceptance length of a prompt; None if passes are not known."""
        return self.decoded_tokens / self.steps if self.steps else None


def totals(groups: Sequence[Group]) -> list[Total]:
    """A total for each batch size and name, in the order of the groups."""
    kinds = list(dict.fromkeys((group.batch, group.name) for group in sorted(groups, key=_order)))
    return [
        _total(
            [g for g in groups if (g.batch, g.name) == (batch, name)],
            [g for g in groups if (g.batch, g.name) == (batch, PLAIN)],
        )
        for batch, name in kinds
    ]


def by_category(groups: Sequence[Group]) -> dict[str, list[Total]]:
    """`totals` of each category."""
    names = dict.fromkeys(group.category for group in groups)
    return {name: totals([g for g in groups if g.category == name]) for name in names}


def _order(group: Group) -> tuple[int, bool]:
    """By batch size, plain decoding first; the rest as they stand."""
    return group.batch, group.name != PLAIN


def _total(groups: Sequence[Group], plain: Sequence[Group]) -> Total:
    def add(field: str) -> Any:
        return sum(getattr(group, field) for group in groups)

    firsts = [group.first_seconds for group in groups]
    known = [first for first in firsts if first is not None]
    speeds = {(g.repeat, g.number): g.tokens_per_second for g in plain}
    ratios = [_over(g.tokens_per_second, speeds[g.repeat, g.number]) for g in groups]
    low, high = (float(np.percentile(ratios, share)) for share in SPREAD)
    counts = ("prompts", "identical", "tokens", "steps", "passes", "decoded_tokens", "drafted")
    return Total(
        name=groups[0].name,
        batch=groups[0].batch,
        seconds=round(add("seconds"), 6),
        ratio=round(_over(_speed(groups), _speed(plain)), 4),
        ratio_low=round(low, 4),
        ratio_high=round(high, 4),
        first_seconds=round(sum(known), 6) if len(known) == len(firsts) else None,
        groups=len(groups),
        **{name: add(name) for name in (*counts, "verified")},
    )


def _speed(groups: Iterable[Group]) -> float:
    groups = list(groups)
    return _over(sum(g.tokens for g in groups), sum(g.seconds for g in groups))


def _over(one: float, other: float) -> float:
    return one / other if other else 0.0


def summed(
    groups: Iterable[Group], of: Callable[[Group], Iterable[tuple[Any, Sequence[float]]]]
) -> dict[Any, list[float]]:
    """Vectors summed by key: ``of`` tells the keys and vectors of a group."""
    sums: dict[Any, list[float]] = {}
    for group in groups:
        for key, values in of(group):
            seen = sums.setdefault(key, [0.0] * len(values))
            sums[key] = [a + b for a, b in zip(seen, values, strict=True)]
    return sums


def phase_means(groups: Iterable[Group]) -> dict[tuple[int, str], list[float]]:
    """Mean milliseconds of a pass, one for each of `PHASES`, by batch size and name."""
    sums = summed(
        groups, lambda g: [((g.batch, g.name), (g.passes, *g.phases))] if g.passes else []
    )
    return {key: [value / values[0] for value in values[1:]] for key, values in sums.items()}


def promise_means(groups: Iterable[Group]) -> dict[int, list[tuple[float, ...]]]:
    """What was expected and what came, by batch size; a row for each chosen size, ascending.

    Each row: size, passes, and means over them of expected tokens, measured tokens, expected
    milliseconds, measured milliseconds. groups: of one method.
    """
    sums = summed(groups, lambda g: [((g.batch, row[0]), row[1:]) for row in g.sizes])
    means: dict[int, list[tuple[float, ...]]] = {}
    for (batch, size), values in sorted(sums.items()):
        row = (size, values[0], *(value / values[0] for value in values[1:]))
        means.setdefault(batch, []).append(row)
    return means
