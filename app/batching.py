"""Batches: the same prompts decoded so many at a time, size by size, as messages for the page."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from app import settings
from app.drawn import drawn_small
from app.options import config_of, whole
from app.performing import Message
from app.progress import Progress
from app.strings import compare as words
from propd.core import DecodingConfig, StepEvent
from propd.errors import InvalidRequest
from propd.recording import asked as told

LATEST = 4
"""Passes in a message while a batch runs: each has a tree for every row."""
RESENT = 3
"""Messages that hold all passes of a batch that just ended: the page may skip one."""
LONGEST_PROMPT = 4000
"""Characters."""
MEASURING = 48
"""Passes, about, to learn what a batch costs and to warm it up."""


@dataclass(frozen=True)
class Plan:
    """What is decoded; made by `plan`, which checks it."""

    prompts: tuple[str, ...]
    """As many as the largest batch."""
    sizes: tuple[int, ...]
    config: DecodingConfig


def plan(prompts: str, sizes: Any, method: str, max_new_tokens: float) -> Plan:
    """A checked plan: anyone can send anything to the server. prompts: one a line."""
    lines = [line.strip() for line in str(prompts).splitlines() if line.strip()]
    given = [sizes] if isinstance(sizes, (int, float)) else list(sizes or [])
    chosen = tuple(sorted({whole(words.BATCH_SIZES, size) for size in given[:64]}))
    most = settings.BATCH_SIZES[-1]
    if not chosen:
        raise InvalidRequest(words.NO_SIZE)
    if not 1 <= chosen[0] <= chosen[-1] <= most:
        wrong = chosen[0] if chosen[0] < 1 else chosen[-1]
        raise InvalidRequest(words.ROWS.format(given=wrong, limit=most))
    if len(lines) < chosen[-1]:
        raise InvalidRequest(words.FEW_PROMPTS.format(given=len(lines), needed=chosen[-1]))
    if max(map(len, lines[: chosen[-1]])) > LONGEST_PROMPT:
        raise InvalidRequest(words.LONG_PROMPT.format(limit=f"{LONGEST_PROMPT:,}"))
    # A row that ends early would leave the batch smaller than it is said to be.
    config = replace(config_of(method, max_new_tokens, prune_when="auto"), ignore_eos=True)
    config = replace(config, record_probabilities=False)
    total, limit = sum(chosen) * config.max_new_tokens, settings.MAX_ALL_TOKENS
    if total > limit:
        raise InvalidRequest(words.TOO_MANY_ROWS.format(given=f"{total:,}", limit=f"{limit:,}"))
    return Plan(tuple(lines[: chosen[-1]]), chosen, config)


class Batch:
    """So many rows, decoded together: their passes."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.passes: list[Message] = []
        self.first: dict[str, str] = {}
        """For each row, the text of its prefill."""
        self.tokens = 0
        self.over = False
        self.resend = 0

    def take(self, event: StepEvent) -> None:
        """One more event; those of a pass come one after another."""
        self.tokens += len(event.token_ids)
        row = str(event.row)
        if event.kind == "prefill":
            self.first[row] = event.text
            return
        if not self.passes or row in self.passes[-1]["rows"]:
            ms = round(event.milliseconds.total, 2)
            self.passes.append({"index": len(self.passes), "ms": ms, "rows": {}})
        self.passes[-1]["rows"][row] = drawn_small(event)

    def end(self) -> None:
        """All rows have ended."""
        self.over, self.resend = True, RESENT

    def message(self, whole: bool) -> Message:
        """What the page gets to know: the latest passes, or all of them."""
        passes: list[Message] = []
        if whole:
            passes = self.passes
        elif self.resend:
            self.resend -= 1
            passes = self.passes
        elif not self.over:
            passes = self.passes[-LATEST:]
        return {
            "rows": self.rows,
            "state": "done" if self.over else "running" if self.first else "waiting",
            "first": self.first,
            "passes": {str(one["index"]): one for one in passes},
        }

    def figures(self) -> Message:
        """Over the passes in which all rows ran: rows end one by one, and then few are left.

        `player/batch_figures.js` counts the same for the page.
        """
        full = [one for one in self.passes if len(one["rows"]) == self.rows]
        trees = [row for one in full for row in one["rows"].values()]
        tokens, count = sum(row["tokens"] for row in trees), max(len(trees), 1)
        seconds = sum(one["ms"] for one in full) / 1000
        drafted = sum(len(row["nodes"]["fate"]) - 1 for row in trees)
        return {
            "rows": self.rows,
            "passes": len(full),
            "tokens_per_second": round(tokens / seconds, 4) if seconds else 0.0,
            "tokens_per_pass": round(tokens / count, 4),
            "mean_tree_size": round(drafted / count, 4),
        }


class Sweep:
    """One request: a batch of each size. Closing `stream` cancels it."""

    def __init__(self, asked: Plan) -> None:
        self.asked = asked
        self.id = uuid.uuid4().hex
        self.header: Message = {"prompts": list(asked.prompts), "method": asked.config.method}
        self.batches = {rows: Batch(rows) for rows in asked.sizes}
        # the time of a pass grows more slowly than its rows
        self.progress = Progress([(rows, 4.0 + rows) for rows in asked.sizes])
        self.now: Message = {}

    @property
    def passes(self) -> int:
        """One a token at most, and the prompt, for every batch; measuring its costs counts too."""
        return len(self.asked.sizes) * (self.asked.config.max_new_tokens + 1 + MEASURING)

    def message(self, phase: str, *, whole: bool = False, stage: str = "") -> Message:
        """What the page gets to know; the last one (whole) has all passes."""
        return {
            "run": self.id,
            "phase": phase,
            "stage": {"loading": stage} if stage else {**self.now, **self._times(phase)},
            "header": self.header,
            "batches": {str(rows): batch.message(whole) for rows, batch in self.batches.items()},
        }

    def _times(self, phase: str) -> Message:
        batch = self.batches.get(self.now.get("rows", 0))
        wanted = self.asked.config.max_new_tokens * batch.rows if batch else 0
        share = min(1.0, batch.tokens / wanted) if batch else 0.0
        left = self.progress.left(share) if phase == "running" else None
        return {
            "elapsed": round(self.progress.elapsed()),
            "left": None if left is None else round(left),
        }

    def stream(self, engine: Any) -> Iterator[Message]:
        """Run everything with an engine; its messages, coalesced and bounded."""
        self.header = {**engine.describe(), **self.header, "config": told(self.asked.config)}
        for rows in self.asked.sizes:  # every batch is checked before the first one runs
            self._open(engine, rows).close()
        for batch in self.batches.values():
            self.now = {"stage": "measuring", "rows": batch.rows}
            yield self.message("running")
            self.progress.begin()
            engine.warm_up(batch.rows)
            self.now = {"stage": "batch", "rows": batch.rows}
            yield from self._run(engine, batch)
        yield self.message("done", whole=True)

    def _open(self, engine: Any, rows: int, **more: Any) -> Any:
        config = replace(self.asked.config, **more)
        return engine.stream_batch(self.asked.prompts[:rows], config, max_rows=rows)

    def _run(self, engine: Any, batch: Batch) -> Iterator[Message]:
        with closing(self._open(engine, batch.rows, max_new_tokens=3)) as warming:
            for _ in warming:
                pass
        sent = 0.0
        with closing(self._open(engine, batch.rows)) as events:
            for event in events:
                batch.take(event)
                if time.monotonic() - sent >= 1 / settings.MESSAGES_PER_SECOND:
                    yield self.message("running")
                    sent = time.monotonic()
        batch.end()
        self.progress.end()

    def record(self) -> Message:
        """The finished batches as a file keeps them."""
        last = self.message("done", whole=True)
        batches = {
            rows: {**batch, "passes": list(batch["passes"].values())}
            for rows, batch in last["batches"].items()
        }
        return {"header": self.header, "batches": batches}

    def summary(self) -> Message:
        """The finished batches in numbers, for programs."""
        return {
            "measured_on": self.header,
            "batches": [batch.figures() for batch in self.batches.values()],
        }
