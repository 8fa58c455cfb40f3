"""Requests decoded together, with their text: rows join, end and leave while others run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from propd.core import StepEvent
from propd.decoding import DecodingSession
from propd.errors import InvalidRequest
from propd.text import TextStream, TokenTexts


class Session:
    """An open decoding session; a context manager. `propd.engine.Engine.open` makes one.

    Weights and heads are shared with other sessions and read-only; cache, estimators and trees are
    this session's own and freed when it is closed (or, on a GPU, left to the next request).
    """

    def __init__(
        self,
        decoding: DecodingSession,
        tokenizer: Any,
        token_text: TokenTexts,
        encode: Callable[[str], list[int]],
        longest: int,
    ) -> None:
        """longest: tokens of the longest prompt that there is room for."""
        self._tokenizer, self._token_text, self._encode = tokenizer, token_text, encode
        self._stop, self._longest = decoding.config.stop, longest
        self._streams, self._next = dict[int, TextStream](), 0
        self.decoding = decoding
        if self._stop:
            decoding.ends = self._push

    @property
    def rows(self) -> list[int]:
        """Numbers of the rows that are being decoded."""
        return [row.number for row in self.decoding.rows]

    def join(self, prompt: str) -> StepEvent:
        """Take a prompt in and read it. The event's ``row`` is the number of the new row."""
        ids = self._encode(prompt)
        if len(ids) > self._longest:
            raise InvalidRequest(
                f"The prompt has {len(ids):,} tokens and the session was opened for "
                f"{self._longest:,}; open one with a larger longest_prompt."
            )
        event = self._with_text(self._join(ids))
        self.decoding.let_go()
        return event

    def step(self) -> list[StepEvent]:
        """One pass for all rows: an event for each; rows that ended have left."""
        events = [self._with_text(event) for event in self.decoding.step()]
        self.decoding.let_go()
        return events

    def cancel(self, row: int) -> None:
        """Let a row go before its end; what it has written stays with whoever has its events."""
        found = next((r for r in self.decoding.rows if r.number == row), None)
        if found is None:
            raise InvalidRequest(f"Row {row} is not being decoded; the rows are {self.rows}.")
        self.decoding.leave(found)
        self._streams.pop(row, None)

    def run(
        self, prompts: Sequence[Sequence[int]], continuing: Sequence[int] = ()
    ) -> Iterator[StepEvent]:
        """Decode prompts of token ids, as many at once as there are rows. Closing it cancels.

        Rows are numbered from 0, so none may be open. continuing: the last tokens of every prompt,
        if they are the beginning of its answer.
        """
        if self.rows:
            raise InvalidRequest(f"The rows {self.rows} are being decoded; end or cancel them.")
        self._streams |= {
            number: TextStream(self._tokenizer, self._stop, continuing)
            for number in range(len(prompts))
        }
        self._next = max(self._next, len(prompts))
        running = self.decoding.run(prompts, stepped=len(continuing))
        with closing(running) as events:  # type: ignore[type-var]
            for event in events:
                if event.row in self._streams:  # else it was cancelled since its step began
                    yield self._with_text(event)

    def check_integrity(self) -> None:
        """Raise if the session's cache and rows disagree."""
        self.decoding.check_integrity()

    def close(self) -> None:
        """Free the cache; cancels what still runs. May be called twice."""
        self.decoding.close()
        self._streams.clear()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _join(self, ids: list[int]) -> StepEvent:
        number = self._next
        self._streams[number] = TextStream(self._tokenizer, self._stop)
        try:
            event = self.decoding.join(number, ids)
        except BaseException:
            del self._streams[number]
            raise
        self._next += 1
        return event

    def _push(self, row: int, token_ids: Sequence[int]) -> int | None:
        return self._streams[row].push(token_ids)

    def _with_text(self, event: StepEvent) -> StepEvent:
        """Add the texts. With stop strings the stream has the tokens already."""
        stream, name = self._streams[event.row], self._token_text
        if not self._stop:
            stream.push(event.token_ids)
        if event.finish_reason:
            if event.finish_reason != "stop":
                stream.flush()
            del self._streams[event.row]
        pieces = stream.take()
        nodes = tuple(
            replace(
                node,
                text=name(node.token_id),
                choice_text="" if node.choice_id is None else name(node.choice_id),
            )
            for node in event.nodes
        )
        bonus = event.bonus and replace(event.bonus, text=name(event.bonus.token_id))
        return replace(event, nodes=nodes, bonus=bonus, pieces=pieces, text="".join(pieces))
