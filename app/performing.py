"""Work done with an engine and told as plain data, here or in another process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from math import ceil
from typing import Any, Literal, Protocol
from weakref import WeakValueDictionary

from app import settings
from app.strings import page
from app.zero_gpu import lent
from propd.errors import ProPDError
from propd.planning.experience import Experience

Message = dict[str, Any]
Told = tuple[Literal["message", "learned", "failed", "waiting"], Any]
"""What is told of work: a message for the page; what the engine has learned; a last message and a
sentence; or, before it begins, what is waited for."""
log = logging.getLogger(__name__)


class Work(Protocol):
    """Something that a visitor asks of the model. It can be pickled."""

    @property
    def passes(self) -> int:
        """Passes through the model that it may take at most."""
        ...

    def message(self, phase: str, *, whole: bool = False, stage: str = "") -> Message:
        """What the page gets to know; whole: all of it, because it is the last message."""
        ...

    def stream(self, engine: Any) -> Iterator[Message]:
        """Do it; closing the iterator cancels it."""
        ...


class Summable(Work, Protocol):
    """Work that can be told in numbers when it is done."""

    def summary(self) -> Message:
        """All of it, for programs."""
        ...


class Summed:
    """Work for programs: as told to the page, and then one last message, its summary.

    The summary is made where the work is done: in another process all else of it is lost.
    """

    def __init__(self, work: Summable) -> None:
        self.work = work

    @property
    def passes(self) -> int:
        """Those of the work."""
        return self.work.passes

    def message(self, phase: str, *, whole: bool = False, stage: str = "") -> Message:
        """Those of the work."""
        return self.work.message(phase, whole=whole, stage=stage)

    def stream(self, engine: Any) -> Iterator[Message]:
        """Do it, and sum it up."""
        yield from self.work.stream(engine)
        yield self.work.summary()


class HasEngine(Protocol):
    """Where the engine is found; it may be put there later."""

    engine: Any


ROOMS: WeakValueDictionary[str, HasEngine] = WeakValueDictionary()
"""By name. A forked process finds the engine here: it is inherited and never pickled."""


def seconds_of(room: str, work: Work, known: Experience) -> int:
    """For how long ZeroGPU is asked; a shorter time waits less and must not be too short."""
    return ceil(settings.GPU_BEGIN + settings.GPU_PASS * work.passes)


@lent(seconds_of)
def perform(room: str, work: Work, known: Experience) -> Iterator[Told]:
    """Do work with the engine of a room, which may be a copy in a forked process.

    known: what the engine has learned until now; what it learns here is told as soon as it is
    known, since a run may be stopped at any message. An error meant for people is told too, as a
    last message and its sentence: across processes an exception would lose its words.
    """
    engine = ROOMS[room].engine
    engine.learn(known)
    known = engine.experience()
    try:
        with closing(work.stream(engine)) as messages:  # type: ignore[type-var]
            for message in messages:
                yield "message", message
                if (now := engine.experience()) != known:
                    known = now
                    yield "learned", now
    except ProPDError as error:
        yield "failed", (work.message("failed", whole=True), str(error))
    except Exception:
        log.exception("a run failed")
        yield "failed", (work.message("failed", whole=True), page.UNEXPECTED)
