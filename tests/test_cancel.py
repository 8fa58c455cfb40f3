"""A run may be cancelled anywhere; nothing of it stays behind."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections import Counter
from typing import Any

import pytest
import torch

from propd.decoding import DecodingSession
from propd.methods import METHODS
from tests.harness import (
    BEFORE_COMMIT,
    BREAKABLE,
    PRUNING_METHODS,
    TOO_LATE,
    Broken,
    break_at,
    join,
    leave_all,
    mend,
    open_session,
    plain_texts,
    random_prompt,
    run,
    small_world,
    step,
    texts,
)

RUNS_A_SESSION = 5
SETTINGS: dict[str, Any] = {"max_new_tokens": 6, "temperature": 1.0, "seed": 9}
PROMPTS = [random_prompt(random.Random(seed), small_world(), longest=8) for seed in range(3)]


class Consumer:
    """Reads sessions and gives up at random: the way it ends is drawn anew every time.

    What was told up to the cancel must be the beginning of the true text, so every run is also the
    test of the one that was cancelled before it in the same session.
    """

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)
        self.truth = plain_texts(small_world(), PROMPTS, **SETTINGS)
        self.ends: Counter[str] = Counter()
        self.broke: tuple[str, str] | None = None

    def cancel_one(self, session: DecodingSession) -> None:
        """Start a run, cancel it, and hold the session to what it promises."""
        end = self.source.choice([self.close, self.leave, self.break_off, self.break_and_go_on])
        self.told: list[list[int]] = [[] for _ in PROMPTS]
        end(session)
        for told, true in zip(self.told, self.truth, strict=True):
            assert told == true[: len(told)]
        if session.closed:  # a step that had judged could not be taken back
            assert self.broke in TOO_LATE
            return
        session.check_integrity()
        leave_all(session)
        session.check_integrity()

    def close(self, session: DecodingSession) -> None:
        """The consumer closes the stream between two events."""
        stream = session.run(PROMPTS)
        for _, event in zip(range(self.source.randrange(10)), stream, strict=False):
            self.told[event.row] += event.token_ids
        stream.close()  # type: ignore[attr-defined]
        self.ends["closed"] += 1

    def leave(self, session: DecodingSession) -> None:
        """One row is taken out by hand; the others run to their ends, undisturbed."""
        self.join_all(session)
        for _ in range(self.source.randrange(4)):
            if session.rows:
                self.step(session)
        gone = self.source.choice(session.rows) if session.rows else None
        if gone:
            session.leave(gone)
        while session.rows:
            self.step(session)
        for number, (told, true) in enumerate(zip(self.told, self.truth, strict=True)):
            assert told == true or (gone and gone.number == number)
        self.ends["left"] += 1

    def break_off(self, session: DecodingSession) -> None:
        """A call inside a step raises and the whole run is given up."""
        self.join_all(session)
        part, method = self.break_somewhere(session, BREAKABLE)
        try:
            while session.rows:
                self.step(session)
        except Broken:
            self.ends[f"{part}.{method}"] += 1
        mend(session)

    def break_and_go_on(self, session: DecodingSession) -> None:
        """A call before the commit raises once: the step never was, and the next one does it."""
        self.join_all(session)
        part, method = self.break_somewhere(session, BEFORE_COMMIT)
        while session.rows:
            try:
                self.step(session)
            except Broken:
                self.ends[f"{part}.{method}"] += 1
        mend(session)
        assert self.told == self.truth

    def join_all(self, session: DecodingSession) -> None:
        for number, prompt in enumerate(PROMPTS):
            self.told[number] += join(session, number, prompt).token_ids

    def step(self, session: DecodingSession) -> None:
        for event in step(session):
            self.told[event.row] += event.token_ids

    def break_somewhere(
        self, session: DecodingSession, where: tuple[tuple[str, str], ...]
    ) -> tuple[str, str]:
        part, method = self.broke = self.source.choice(where)
        break_at(session, part, method, self.source.randint(1, 3))
        return part, method


def tensor_bytes() -> int:
    """Bytes of every tensor that is alive."""
    gc.collect()
    alive = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
    return sum(tensor.numel() * tensor.element_size() for tensor in alive)


def cancel_many(consumer: Consumer, cancels: int) -> None:
    """So many cancels, a few in each session, over all methods."""
    methods = [*METHODS, *PRUNING_METHODS]
    for number in range(cancels // RUNS_A_SESSION):
        session = open_session(small_world(), methods[number % len(methods)], rows=3, **SETTINGS)
        for _ in range(RUNS_A_SESSION):
            if session.closed:
                session = open_session(small_world(), session.config.method, rows=3, **SETTINGS)
            consumer.cancel_one(session)


def test_a_thousand_cancels_leave_nothing_behind() -> None:
    """Integrity after each, the true text in each next run, and memory back where it was.

    Tensors must come back to the byte over 800 cancels. Python's own memory is traced over the
    last 100, because tracing is slow, and may grow by 200 kB: free lists take some 80 kB and then
    stop, and cancels that kept their events or their session would cost 10 kB each.
    """
    consumer = Consumer(seed=1)
    cancel_many(consumer, 200)  # whatever is made once is made now
    tensors = tensor_bytes()
    cancel_many(consumer, 700)
    tracemalloc.start()
    cancel_many(consumer, 100)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert tensor_bytes() == tensors
    assert grown < 200_000
    assert set(consumer.ends) == {"closed", "left", *map(".".join, BREAKABLE)}
    assert min(consumer.ends.values()) >= 3
    for method in METHODS:
        session = open_session(small_world(), method, rows=2, **SETTINGS)
        assert texts(run(session, PROMPTS)) == consumer.truth


def test_a_kept_session_is_noticed() -> None:
    """Or the test above could not see a leak."""
    tensors, kept = tensor_bytes(), []
    for _ in range(2):
        kept.append(open_session(small_world(), rows=3))
    assert tensor_bytes() - tensors == 2 * 2 * kept[0].cache.keys.numel() * 4


def test_a_stale_draft_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that keeps a cancelled step's nodes fails the same test."""

    def leave_without_forgetting(session: DecodingSession, row: object) -> None:
        session.rows.remove(row)  # type: ignore[arg-type]

    monkeypatch.setattr(DecodingSession, "leave", leave_without_forgetting)
    with pytest.raises(AssertionError):
        cancel_many(Consumer(seed=1), 50)


def test_a_join_that_failed_leaves_its_place_clean() -> None:
    """A prompt that was read and then failed (out of memory) must not stay in the cache, or the
    next prompt in that row is read as its continuation."""
    session = open_session(small_world(), "medusa", **SETTINGS)
    break_at(session, "backbone", "logits", 1)
    with pytest.raises(Broken):
        join(session, 0, [1, 2, 3] * 20)
    mend(session)
    session.check_integrity()
    assert texts(run(session, PROMPTS)) == plain_texts(small_world(), PROMPTS, **SETTINGS)


def test_a_closed_run_does_not_go_on_in_the_next() -> None:
    """Closing the iterator cancels: its rows must not turn up in the session's next run."""
    session = open_session(small_world(), "medusa", rows=2, **SETTINGS)
    stream = session.run(PROMPTS)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert texts(run(session, PROMPTS)) == plain_texts(small_world(), PROMPTS, **SETTINGS)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_step_that_failed_while_judging_closes_the_session(
    monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """By then other rows have drawn random numbers: a second try would draw the next ones, and
    write a text that the seed does not give."""
    session = open_session(small_world(), "medusa", rows=3, **SETTINGS)
    for number, prompt in enumerate(PROMPTS):
        join(session, number, prompt)
    judge, left = session._judge, [call]

    def broken(*given: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise Broken
        return judge(*given)

    monkeypatch.setattr(session, "_judge", broken)
    with pytest.raises(Broken):
        step(session)
    assert session.closed
