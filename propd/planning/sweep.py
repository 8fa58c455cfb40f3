"""A short measured sweep over tree sizes, so that the first size choice is not a guess."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from propd.core import CostTable, Points, SizeDecision, TokenTree
from propd.decoding import DecodingSession
from propd.planning.cost import Work
from propd.planning.drafts import Drafts
from propd.planning.feedback import Feedback
from propd.planning.planner import Outlook, Planner, size_of
from propd.tree.growth import grow, prefix
from propd.tree.topology import limit_depth

SWEPT = (1, 2, 4, 5, 8, 9, 12, 13, 16, 17, 24, 25, 32, 33, 48, 64, 96, 128, 192, 256)
"""Tokens of a pass, roots among them: products of 4 bits take 4 rows at a time, so that the fifth
token costs as much as the next three. Larger passes follow the last slope."""
ROUNDS = (False, False, True, False)
"""Whether a round prunes. The first one warms caches and kernels up and is not counted."""
FAR = 1024
"""Tokens of past, of all rows together, for the measurement of what a past costs."""
FAR_OF_A_ROW = 256
"""And of a row at least: a shorter past would drown in the noise."""
LOOKS = 2
"""How often the smallest and the largest size run, behind a short past and a long one in turn."""


class SweepPlanner:
    """Runs the sizes it is told and keeps what each took."""

    def __init__(self, chances: Sequence[Sequence[float]], max_nodes: int) -> None:
        self.max_nodes = max_nodes
        self._tree = grow(chances, max_nodes)
        self.depth = max(self._tree.depths)
        self.nodes, self.prunes = 0, False
        """Drafted nodes of the next step, all rows together; and whether it prunes."""
        self.seen: list[Feedback] = []

    def wants_drafts(self, outlook: Outlook) -> bool:
        """For every tree above the root."""
        return self.nodes > 0

    def plan(
        self, outlook: Outlook, drafts: Sequence[Drafts]
    ) -> tuple[list[TokenTree], SizeDecision]:
        """As many nodes as are to be measured, shared out evenly."""
        each, more = divmod(self.nodes, outlook.rows)
        trees = [
            limit_depth(prefix(self._tree, each + (row < more)), depth)
            for row, depth in enumerate(outlook.deepest)
        ]
        return trees, size_of(trees, self.prunes)

    def learn(self, feedback: Feedback) -> None:
        """Keep it."""
        self.seen.append(feedback)


def measure_costs(
    open_session: Callable[[Planner], DecodingSession],
    chances: Sequence[Sequence[float]],
    max_nodes: int,
    prompt: Sequence[int],
) -> CostTable:
    """Run a sweep and tell what each segment of a step took.

    open_session: a session for a planner, its rows free, that ignores end tokens, prunes, and has
    room for the prompt, `far_of` so many rows and as many tokens as the sweep may write.
    """
    planner = SweepPlanner(chances, max_nodes)
    session = open_session(planner)
    rows = session.max_rows
    for number in range(rows):
        session.join(number, prompt)
    most = rows * (max_nodes + 1)
    passes = [rows, *(tokens for tokens in SWEPT if rows < tokens <= most)]
    for planner.prunes in ROUNDS:
        for tokens in passes:
            planner.nodes = tokens - rows
            _step(session)
    near, planner.prunes = planner.seen[len(passes) :] or planner.seen, False
    row_ms, token_ms = _measure_past(session, planner, passes[-1] - rows)
    session.close()
    return CostTable(
        draft=_least(near, lambda w: w.rows, lambda f: f.spent.draft, lambda w: w.drafted),
        early=_least(near, lambda w: w.early, lambda f: f.spent.grow + f.spent.early),
        prune=_least(near, lambda w: w.early, lambda f: f.spent.prune, lambda w: w.pruned),
        # what pruning leaves are odd numbers of tokens, met once, and a kernel's first call is slow
        late=_least(near, lambda w: w.late, _late, lambda w: not w.pruned),
        past_row_ms=row_ms,
        past_token_ms=token_ms,
    )


def _step(session: DecodingSession) -> None:
    """A step, unless the context of a small model is full."""
    if all(row.finish_reason is None for row in session.rows):
        session.step()


def steps_of_a_sweep() -> int:
    """Steps that a sweep runs at most."""
    return len(ROUNDS) * (len(SWEPT) + 1) + 4 * LOOKS


def far_of(rows: int) -> int:
    """Tokens of past of each row that are pretended, for the measurement of what a past costs."""
    return max(FAR_OF_A_ROW, FAR // rows)


CURVES = "draft", "early", "prune", "late"


def join_tables(one: CostTable, other: CostTable) -> CostTable:
    """The other's points, and those of one that lie before them: a pass of few rows says nothing
    of a pass of many that has as many tokens."""
    points: dict[str, Any] = {}
    for name in CURVES:
        own = dict(getattr(other, name))
        before = {n: ms for n, ms in getattr(one, name) if n < min(own, default=math.inf)}
        points[name] = lowest({**before, **own})
    return replace(other, **points)


def least_of(one: CostTable, other: CostTable) -> CostTable:
    """Two sweeps of the same work: of each point the smaller time, other work only ever adds."""
    least: dict[str, Any] = {}
    for name in CURVES:
        both: dict[int, float] = {}
        for count, ms in (*getattr(one, name), *getattr(other, name)):
            both[count] = min(ms, both.get(count, ms))
        least[name] = lowest(both)
    for name in ("past_row_ms", "past_token_ms"):
        least[name] = min(getattr(one, name), getattr(other, name))
    return replace(one, **least)


def _late(feedback: Feedback) -> float:
    return feedback.spent.late + feedback.spent.verify + feedback.spent.commit


def _least(
    seen: Sequence[Feedback],
    count: Callable[[Work], int],
    milliseconds: Callable[[Feedback], float],
    counts: Callable[[Work], bool] = lambda work: True,
) -> Points:
    """The least time by count: other work on the machine only ever adds."""
    least: dict[int, float] = {}
    for feedback in seen:
        if counts(feedback.work):
            at, spent = count(feedback.work), milliseconds(feedback)
            least[at] = min(spent, least.get(at, spent))
    return lowest(least)


def lowest(points: Mapping[int, float]) -> Points:
    """Ascending by count, and no point above a later one: more work does not take less time, so
    what makes it look so is other work on the machine."""
    found, least = list[tuple[int, float]](), math.inf
    for count in sorted(points, reverse=True):
        least = min(least, points[count])
        found.append((count, least))
    return tuple(found[::-1])


def _measure_past(
    session: DecodingSession, planner: SweepPlanner, largest: int
) -> tuple[float, float]:
    """(milliseconds for a row and token of past, for a token of the pass and token of past).

    Short and long pasts alternate: the speed of a machine drifts.
    """
    rows, sizes = len(session.rows), (0, largest)  # drafted nodes
    room = session.cache.capacity - session.room - max(session.cache.lengths)
    far = min(far_of(rows), room - 4 * LOOKS * (planner.depth + 1))
    if far < 1 or largest == 0:
        return 0.0, 0.0
    least: dict[tuple[int, bool], float] = {}
    for planner.nodes in sizes * LOOKS:
        for distant in (False, True):
            _jump(session, far if distant else 0)
            count = len(planner.seen)
            _step(session)
            _jump(session, -far if distant else 0)
            for feedback in planner.seen[count:]:
                spent, key = feedback.spent.early + _late(feedback), (planner.nodes, distant)
                least[key] = min(spent, least.get(key, spent))
    if len(least) < 2 * len(sizes):
        return 0.0, 0.0
    small, large = ((least[size, True] - least[size, False]) / far for size in sizes)
    token_ms = max(0.0, (large - small) / largest)
    return max(0.0, small / rows - token_ms), token_ms


def _jump(session: DecodingSession, far: int) -> None:
    """Pretend that every row had a longer past (the cache holds zeros there), or no longer."""
    for slot, row in enumerate(session.rows):
        session.cache.lengths[slot] += far
        row.prompt_length += far
