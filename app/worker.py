"""What a worker process does: it holds an engine and does one work after another.

It is told what to do through a pipe and tells through it; see `app.crew` for the other end.
"""

from __future__ import annotations

import logging
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from typing import Final

from app.performing import perform
from app.runs import EngineRoom, about, prepare
from app.strings import page
from propd.errors import ProPDError
from propd.planning.experience import Experience

STAGE: Final = "stage"
READY: Final = "ready"
UNABLE: Final = "unable"
OVER: Final = "over"
STOP: Final = "stop"
log = logging.getLogger(__name__)


def serve(pipe: Connection, model: str, threads: int, known: Experience) -> None:
    """The whole life of the process: it ends when the pipe closes.

    It tells of its stages while it loads, then that it is ready or unable; after each work, however
    that ended, it tells that it is over. known: what an engine beside this one has learned.
    """
    with suppress(EOFError, OSError, KeyboardInterrupt):  # the page has ended
        room = EngineRoom(model)
        if _load(room, pipe, threads, known):
            while True:
                asked = pipe.recv()
                if asked != STOP:  # it came too late: what should stop was over
                    _do(room, pipe, *asked)


def _load(room: EngineRoom, pipe: Connection, threads: int, known: Experience) -> bool:
    import torch  # with the model: a page that only draws needs neither

    torch.set_num_threads(threads)
    try:
        room.engine = prepare(room.model, lambda stage: pipe.send((STAGE, stage)), known)
    except ProPDError as error:
        pipe.send((UNABLE, str(error)))
        return False
    except Exception:
        log.exception("loading %s failed", room.model)
        pipe.send((UNABLE, page.UNEXPECTED))
        return False
    pipe.send((READY, (about(room.engine), room.engine.experience())))
    return True


def _do(room: EngineRoom, pipe: Connection, work: object, known: Experience) -> None:
    with closing(perform(room.name, work, known)) as telling:  # type: ignore[arg-type, type-var]
        for told in telling:
            pipe.send(told)
            if pipe.poll():
                pipe.recv()  # it can only be STOP
                break
    pipe.send((OVER, None))
