"""Live runs: the engine in the background, its events as messages for the page."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from typing import Any, Protocol

import propd
from app import languages, patience, settings
from app.strings import page
from propd.core import DecodingConfig
from propd.errors import ProPDError
from propd.event_json import event_to_json
from propd.methods import METHODS, MethodSettings, asks_heads, settled
from propd.recording import header_for
from propd.trace import header_to_json

Message = dict[str, Any]
log = logging.getLogger(__name__)


class EngineRoom:
    """Loads the engine once, in the background, so that the page opens without waiting for it."""

    def __init__(self, model: str = settings.MODEL) -> None:
        self.model = model
        self.stage = page.LOADING_FIRST
        self.engine: Any = None
        self.reason = ""
        self.began = time.monotonic()
        self.done = threading.Event()

    def open(self) -> None:
        """Begin to load."""
        self.began = time.monotonic()
        threading.Thread(target=self._load, daemon=True, name="load-model").start()

    def _load(self) -> None:
        try:
            engine = propd.load(self.model, weights=settings.WEIGHTS, report=self._report)
            self._report(page.MEASURING)
            engine.warm_up()
            self.engine = engine
            patience.remember(self.model, time.monotonic() - self.began)
        except ProPDError as error:
            self.reason = str(error)
        except Exception:
            # A thread must not die silently: the page would wait for ever.
            log.exception("loading %s failed", self.model)
            self.reason = page.UNEXPECTED
        finally:
            self.done.set()

    def _report(self, stage: str) -> None:
        self.stage = stage

    def status(self) -> str:
        """One line about the model for the page."""
        if self.engine is not None:
            words = {name: getattr(self.engine, name) for name in ("dtype", "device", "threads")}
            sentence = page.READY_THREADS if words["device"] == "cpu" else page.READY
            return sentence.format(model=self.model, **words)
        if self.done.is_set():
            return page.NO_MODEL.format(reason=self.reason)
        seconds = int(time.monotonic() - self.began)
        before = patience.last_time(self.model)
        told = page.LOADING_BEFORE.format(seconds=round(before)) if before else ""
        return page.LOADING.format(model=self.model, stage=self.stage, seconds=seconds, before=told)

    def methods(self) -> list[MethodSettings]:
        """What the model can run, the best known first; all, while nothing is known of it."""
        first = [METHODS[name] for name in settings.METHODS_FIRST]
        methods = [*first, *(method for method in METHODS.values() if method not in first)]
        if self.engine is None or self.engine.heads is not None:
            return methods
        return [m for m in methods if not asks_heads(settled(DecodingConfig(method=m.name)))]

    async def watch(self) -> AsyncIterator[str]:
        """The status line until it no longer changes; asynchronous, so it holds no thread."""
        while not self.done.is_set():
            yield self.status()
            await asyncio.sleep(0.5)
        yield self.status()


class Work(Protocol):
    """Something that a visitor asks of the model."""

    def message(self, phase: str, *, whole: bool = False, stage: str = "") -> Message:
        """What the page gets to know; whole: all of it, because it is the last message."""
        ...

    def stream(self, engine: Any) -> Iterator[Message]:
        """Do it; closing the iterator cancels it."""
        ...


class Run:
    """One request: its messages to the page, coalesced and bounded."""

    def __init__(self, prompt: str, config: DecodingConfig, continuing: Sequence[int] = ()) -> None:
        self.id = uuid.uuid4().hex
        self.prompt, self.config, self.continuing = prompt, config, tuple(continuing)
        self.header: Message = {"prompt": prompt, "method": config.method}
        self.events: list[Message] = []

    def message(self, phase: str, *, whole: bool = False, stage: str = "") -> Message:
        """What the page gets to know: the latest events, or all of them when the run is over.

        Events are keyed by their index: Gradio sends the difference to the message before, and
        a key that appears or goes costs far less than a list in which everything moves up.
        """
        events = self.events if whole else self.events[-settings.MESSAGE_EVENTS :]
        return {
            "run": self.id,
            "phase": phase,
            "stage": stage,
            "header": self.header,
            "events": {str(event["index"]): event for event in events},
        }

    def stream(self, engine: Any) -> Iterator[Message]:
        """Run the engine; several events may share a message. Closing it cancels the run."""
        events = engine.stream(self.prompt, self.config, continuing=self.continuing)
        told = engine.text_of(self.continuing)
        self.header = header_to_json(
            header_for(engine.describe(), self.prompt, self.config, self.continuing, told)
        )
        sent = 0.0
        with closing(events):
            for event in events:
                self.events.append(event_to_json(event))
                if time.monotonic() - sent >= 1 / settings.MESSAGES_PER_SECOND:
                    yield self.message("running")
                    sent = time.monotonic()
        yield self.message("done", whole=True)


def answer(
    room: EngineRoom, prompt: str, config: DecodingConfig, continuing: Sequence[int] = ()
) -> Iterator[Message]:
    """Answer a prompt, waiting for the model if need be. Closing the generator cancels the run.

    continuing: tokens that the answer is made to begin with.
    """
    yield from attend(room, Run(prompt, config, continuing))


def attend(room: EngineRoom, work: Work) -> Iterator[Message]:
    """The messages of work that needs the model, which may still be loading.

    An error reaches the page as a last message "failed" and is raised again as a toast's text, a
    `ProPDError`; what was sent before stays on screen.
    """
    while not room.done.wait(timeout=0.5):
        yield work.message("loading", stage=languages.told(room.stage))
    try:
        if room.engine is None:
            raise ProPDError(page.NO_MODEL.format(reason=room.reason))
        yield from work.stream(room.engine)
    except ProPDError:
        yield work.message("failed", whole=True)
        raise
    except Exception as error:
        log.exception("a run failed")
        yield work.message("failed", whole=True)
        raise ProPDError(page.UNEXPECTED) from error
