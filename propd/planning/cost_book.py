"""What steps cost on this machine: measured once for each batch size, then known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from threading import Lock

from propd.core import CostTable, DecodingConfig
from propd.decoding import DecodingSession
from propd.heads.blank import BlankHeads
from propd.heads.protocol import DraftHeads
from propd.planning.parts import Parts
from propd.planning.planner import Planner
from propd.planning.pruner import TopK
from propd.planning.sweep import (
    far_of,
    join_tables,
    least_of,
    measure_costs,
    steps_of_a_sweep,
)
from propd.requests import MAX_TREE

NO_COSTS = CostTable(draft=(), early=((1, 1.0),), prune=(), late=((1, 0.0),))
"""For methods that never ask."""
SHORT = 48
"""Tokens of the prompt of a sweep."""
CALIBRATION_PROMPT = "Write a short story about a lighthouse keeper and the sea."

OpenSession = Callable[[Parts, DraftHeads, DecodingConfig, int, int], DecodingSession]
"""(parts, heads, config, longest prompt, rows) -> a session with free rows."""


class CostBook:
    """The cost tables of one model and its heads; owned by an engine, read by its requests."""

    def __init__(
        self,
        heads: DraftHeads | None,
        encode: Callable[[str], list[int]],
        open_session: OpenSession,
    ) -> None:
        self._heads, self._encode, self._open_session = heads, encode, open_session
        self._tables: dict[int, CostTable] = {}
        self._lock = Lock()

    def table(self, rows: int, sweeps: int = 1) -> CostTable:
        """The costs of a batch of so many rows and of one row alone; measured when first asked,
        the least of so many sweeps."""
        with self._lock:  # of two first requests one measures and the other waits
            if rows not in self._tables:
                alone = self._tables.get(1) or self._least(1, sweeps)
                self._tables[1] = alone
                if rows > 1:
                    self._tables[rows] = join_tables(alone, self._least(rows, sweeps))
            return self._tables[rows]

    def slots(self, rows: int) -> int:
        """Slots of each row that a first `table` of so many rows takes; 0 when it is known."""
        if rows in self._tables:
            return 0
        return SHORT + far_of(rows) + self._tokens() + MAX_TREE + 1

    def known(self) -> dict[int, CostTable]:
        """The tables so far, by rows: plain data for another process on this machine."""
        with self._lock:
            return dict(self._tables)

    def take(self, tables: Mapping[int, CostTable]) -> None:
        """Tables that another process on this machine has measured; they need not be again."""
        with self._lock:
            self._tables.update(tables)

    def _least(self, rows: int, sweeps: int) -> CostTable:
        return reduce(least_of, (self._sweep(rows) for _ in range(sweeps)))

    def _tokens(self) -> int:
        """What a sweep writes to a row at most."""
        return steps_of_a_sweep() * ((self._heads or BlankHeads()).shape.draft_heads + 1)

    def _sweep(self, rows: int) -> CostTable:
        heads = self._heads or BlankHeads()
        shape = heads.shape
        config = DecodingConfig(max_new_tokens=self._tokens(), ignore_eos=True)
        prompt = self._encode(CALIBRATION_PROMPT)[:SHORT]
        pruner = TopK(shape.prune_top_k) if self._heads is not None else None

        def open_session(planner: Planner) -> DecodingSession:
            parts = Parts(planner, pruner)
            return self._open_session(parts, heads, config, len(prompt) + far_of(rows), rows)

        return measure_costs(open_session, shape.acceptance_table, MAX_TREE, prompt)
