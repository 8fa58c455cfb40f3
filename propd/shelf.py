"""Caches that wait for the next request, with the graphs of the passes that write to them.

A graph repeats a pass at fixed addresses, so it belongs to one cache, and capturing takes as long
as many passes: more than a short answer brings back. So a session that ends leaves both here, and
one that needs as many rows and no more room goes on with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from propd.errors import NoRoom
from propd.graphs import Eager
from propd.heads.protocol import DraftHeads
from propd.models.kv_cache import KVCache


@dataclass(frozen=True)
class Kept:
    """A cache without texts in it."""

    cache: KVCache
    graphs: Eager
    heads: DraftHeads | None
    """Those whose guesses were captured."""

    def fits(self, rows: int, slots: int, heads: DraftHeads | None) -> bool:
        """Whether a session of so many rows and slots a row can take it."""
        cache = self.cache
        return len(cache.lengths) == rows and cache.capacity >= slots and self.heads is heads


class Shelf:
    """Room for one cache, the last one that was given back; an engine's own.

    One, because it holds memory that nobody asked for. Sessions of several threads may share it.
    """

    def __init__(self) -> None:
        self._kept: Kept | None = None
        self._lock = Lock()

    def take(self, rows: int, slots: int, heads: DraftHeads | None) -> Kept | None:
        """What lies here, if it fits; otherwise it is let go, because another will come."""
        with self._lock:
            kept, self._kept = self._kept, None
        return kept if kept is not None and kept.fits(rows, slots, heads) else None

    def put(self, kept: Kept) -> None:
        """Leave a cache here; its texts are forgotten."""
        kept.cache.lengths = [0] * len(kept.cache.lengths)
        with self._lock:
            self._kept = kept

    def checked(self, check: Callable[[], None]) -> None:
        """Run a check that may find no room; then once more, without what lies here."""
        try:
            check()
        except NoRoom:
            with self._lock:
                kept, self._kept = self._kept, None
            if kept is None:
                raise
            del kept
            check()
