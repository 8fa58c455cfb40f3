"""Does the dynamic size hold its promise? Fixed sizes and the dynamic one, side by side."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from propd.core import DecodingConfig, StepEvent
from propd.engine import Engine
from propd.heads.protocol import DraftHeads
from propd.methods import check_heads, method_settings, settled
from propd.planning.drafts import Drafts, Guesses, HeadDrafts
from propd.planning.planner import FixedPlanner
from propd.recording import asked
from propd.tree.growth import grow, prefix

FIXED = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


class UselessHeads:
    """Heads that cost what the others cost and are never right: each guess is another token."""

    def __init__(self, inner: DraftHeads, vocabulary: int) -> None:
        self.shape, self._inner, self._vocabulary = inner.shape, inner, vocabulary

    def draft(self, hidden: Tensor, roots: Sequence[int]) -> Sequence[Drafts]:
        """As `DraftHeads`, every token one too far."""
        return [self._spoil(said) for said in self._inner.draft(hidden, roots)]

    def _spoil(self, said: Drafts) -> Drafts:
        lists = [said.after((0,) * depth) or NOTHING for depth in range(said.depth)]
        return HeadDrafts(
            tuple(
                Guesses(tuple((t + 1) % self._vocabulary for t in one.token_ids), one.probabilities)
                for one in lists
            )
        )

    def look_early(
        self, layer: int, hidden: Tensor, rows: Sequence[int], token_ids: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """As `DraftHeads`."""
        return self._inner.look_early(layer, hidden, rows, token_ids)


NOTHING = Guesses((), ())


@dataclass(frozen=True)
class SizeResult:
    """What one way to choose the size wrote at one batch size, as long as all rows ran; prefills
    left out."""

    rows: int
    size: int | None
    """Nodes a row; None: chosen in every step."""
    tokens: int
    milliseconds: float
    drafted: int
    """Nodes, all rows and steps together."""
    steps: int
    """Steps, counted once for each row in them."""
    speeds: tuple[float, ...] = ()
    """Tokens a second in each round."""

    @property
    def tokens_per_second(self) -> float:
        """All rows together."""
        return 1000 * self.tokens / self.milliseconds if self.milliseconds else 0.0


def compare_sizes(
    engine: Engine,
    prompts: Sequence[str],
    rows: int,
    config: DecodingConfig,
    rounds: int,
    report: Callable[[str], None],
    fixed_sizes: Sequence[int] = FIXED,
) -> list[SizeResult]:
    """Fixed sizes and the dynamic one on the same groups of prompts, interleaved.

    config: its method must be a dynamic one. rounds: groups at least; more if prompts are left. The
    first one is a warm-up and not counted. Fixed
    trees are grown from the accuracies that training measured; the dynamic method comes last.
    """
    config, shape = settled(config), engine.heads.shape if engine.heads else None
    check_heads(config, shape)
    method = method_settings(config.method)
    most = grow(shape.acceptance_table if shape else (), max(fixed_sizes))
    engine.warm_up(rows)

    def fixed(size: int) -> FixedPlanner:
        return FixedPlanner(prefix(most, size), method.pruning)

    sizes = [*(n for n in fixed_sizes if rows * (n + 1) <= 256), None]
    told: dict[int | None, list[list[StepEvent]]] = {size: [] for size in sizes}
    rounds = max(rounds, len(prompts) // rows)
    for turn in range(rounds + 1):
        # groups are shifted and the order turned, so that no size always meets the same neighbours
        group = [prompts[(turn * rows + place) % len(prompts)] for place in range(rows)]
        streams = {
            size: engine.stream_batch(group, config, planner=None if size is None else fixed(size))
            for size in (sizes if turn % 2 else sizes[::-1])
        }
        for size, events in step_by_step(streams).items():
            # a batch that has lost rows is another, smaller batch
            whole = [event for event in events if event.rows == rows]
            told[size] += [whole] if turn else []
        report(f"batch {rows}: round {turn}/{rounds}")
    return [_sum_up(rows, size, groups) for size, groups in told.items()]


Way = TypeVar("Way", bound=Hashable)
"""A name for one of the things that are compared."""


def step_by_step(streams: Mapping[Way, Iterator[StepEvent]]) -> dict[Way, list[StepEvent]]:
    """Run streams side by side, an event of each in turn, and keep what they decoded.

    So all of them meet the machine in the same state: its speed may change by a third in seconds.
    """
    left, told = dict(streams), {size: list[StepEvent]() for size in streams}
    while left:
        for size, stream in list(left.items()):
            event = next(stream, None)
            if event is None:
                del left[size]
            elif event.kind == "decode":
                told[size].append(event)
    return told


def _sum_up(rows: int, size: int | None, groups: Sequence[Sequence[StepEvent]]) -> SizeResult:
    events = [event for group in groups for event in group]
    return SizeResult(
        rows=rows,
        size=size,
        tokens=tokens_of(events),
        milliseconds=milliseconds_of(events),
        drafted=sum(event.drafted for event in events),
        steps=len(events),
        speeds=tuple(1000 * tokens_of(group) / milliseconds_of(group) for group in groups if group),
    )


def tokens_of(events: Iterable[StepEvent]) -> int:
    """All rows together."""
    return sum(len(event.token_ids) for event in events)


def milliseconds_of(events: Iterable[StepEvent]) -> float:
    """Each row of a step carries the time of the whole step."""
    return sum(event.milliseconds.total / event.rows for event in events)


def sizes_table(results: Sequence[SizeResult]) -> str:
    """A Markdown table with a line for each batch size; speeds are ratios to the best fixed one."""
    lines = [
        "| batch | best fixed nodes a row | dynamic / best fixed | dynamic nodes a row | "
        "plain / best fixed | dynamic / plain |",
        "| --- |" + " --- |" * 5,
    ]
    for rows in sorted({r.rows for r in results}):
        *fixed, dynamic = [r for r in results if r.rows == rows]
        best = max(fixed, key=lambda r: r.tokens_per_second)
        lines.append(
            f"| {rows} | {best.size} | {_ratio(dynamic, best):.3f} | "
            f"{dynamic.drafted / max(dynamic.steps, 1):.1f} | {_ratio(fixed[0], best):.3f} | "
            f"{_ratio(dynamic, fixed[0]):.3f} |"
        )
    return "\n".join(lines)


def _ratio(one: SizeResult, other: SizeResult) -> float:
    return one.tokens_per_second / other.tokens_per_second


def sizes_json(
    engine: Engine, config: DecodingConfig, rounds: int, results: Sequence[SizeResult]
) -> dict[str, object]:
    """The results with all that is needed to read the numbers."""
    told = [{**vars(r), "tokens_per_second": round(r.tokens_per_second, 3)} for r in results]
    how = {"method": config.method, "config": asked(config), "rounds": rounds}
    return {**engine.describe(), **how, "results": told}
