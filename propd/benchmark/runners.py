"""What a benchmark runs: our methods, and the same protocol for everybody else's.

All take prompts of token ids and give token ids back, so that nobody is timed with the chat
template. Our own methods also make the text, as they always do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

from propd.core import DecodingConfig, StepEvent
from propd.engine import Engine
from propd.models.spread import cache_nbytes
from propd.requests import MAX_ROWS
from propd.session import Session

Prompts = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Answer:
    """What a group of prompts was answered with."""

    token_ids: Sequence[Sequence[int]]
    """For each prompt, end tokens included."""
    first_seconds: float | None = None
    """Until every prompt had its first token; None if it cannot tell."""
    events: Sequence[StepEvent] = ()
    """Of our own methods."""


class Runner(Protocol):
    """Anything that continues prompts greedily."""

    name: str
    most_rows: int
    """Prompts it can answer together, at most."""

    def answer(self, prompts: Prompts, max_new_tokens: int) -> Answer:
        """Greedy answers to a group of prompts of token ids, decoded together."""
        ...


class Method:
    """One of our methods."""

    most_rows = MAX_ROWS

    def __init__(self, engine: Engine, name: str) -> None:
        self.name, self._engine = name, engine
        self._config = DecodingConfig(method=name)

    def answer(self, prompts: Prompts, max_new_tokens: int) -> Answer:
        """As `Runner`; what `Engine.generate_batch` does once the prompts are token ids."""
        began = first = perf_counter()
        events: list[StepEvent] = []
        with self._open(prompts, max_new_tokens) as session:
            for event in session.run(prompts):
                if event.kind == "prefill":
                    first = perf_counter()
                events.append(event)
        texts: list[list[int]] = [[] for _ in prompts]
        for event in events:
            texts[event.row] += event.token_ids
        return Answer(texts, first - began, events)

    def cache_bytes(self, prompts: Prompts, max_new_tokens: int) -> int:
        """Size of the cache that a group of these prompts decodes in."""
        with self._open(prompts, max_new_tokens) as session:
            cache = session.decoding.cache
            return cache_nbytes(cache)

    def _open(self, prompts: Prompts, max_new_tokens: int) -> Session:
        config = replace(self._config, max_new_tokens=max_new_tokens)
        longest = max(map(len, prompts))
        return self._engine.open(config, max_rows=len(prompts), longest_prompt=longest)
