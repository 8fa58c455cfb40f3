"""Live runs: the engine in the background, its events as messages for the page."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import propd
from app import languages, patience, settings, zero_gpu
from app.one_thread import OneThread
from app.performing import ROOMS, Message, Told, Work, perform, seconds_of
from app.strings import page, serving
from propd.core import DecodingConfig
from propd.errors import InvalidRequest, ProPDError
from propd.event_json import event_to_json
from propd.methods import METHODS, MethodSettings, asks_heads, settled
from propd.planning.experience import Experience
from propd.recording import header_for
from propd.trace import header_to_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What the page must know of a loaded model; plain data."""

    name: str
    numbers: str
    """The kind of its weights, or where they are dense their dtype."""
    device: str
    threads: int
    heads: bool
    """Whether it has draft heads."""


def about(engine: Any) -> About:
    """An engine in short."""
    numbers = engine.dtype if engine.weights == "dense" else engine.weights
    told = (engine.name, numbers, engine.device, engine.threads)
    return About(*told, heads=engine.heads is not None)


def prepare(model: str, report: Callable[[str], None], known: Experience | None = None) -> Any:
    """An engine that is ready for its first visitor. known: what another one has learned."""
    engine = propd.load(model, weights=settings.WEIGHTS, report=report)
    if known is not None:
        engine.learn(known)
    if not zero_gpu.ON:  # there the GPU comes with the first request
        report(page.MEASURING)
        engine.warm_up()
    return engine


class EngineRoom:
    """Loads the engine once, in the background, so that the page opens without waiting for it."""

    places = 1
    """Visitors whose work is done at the same time: two would share the processor, and each would
    measure the other."""

    def __init__(self, model: str = settings.MODEL) -> None:
        self.model = model
        self.name = uuid.uuid4().hex
        self.stage = page.LOADING_FIRST
        self.engine: Any = None
        self.reason = ""
        self.began = time.monotonic()
        self.done = threading.Event()
        self._about: About | None = None
        self._thread = OneThread("engine")
        ROOMS[self.name] = self

    def open(self) -> None:
        """Begin to load. On ZeroGPU the page waits: only this thread can place weights there."""
        self.began = time.monotonic()
        if zero_gpu.ON:
            self._load()
        else:
            self._thread.ask(self._load)

    def close(self) -> None:
        """End what runs beside the page; here nothing does."""

    def _load(self) -> None:
        try:
            engine = prepare(self.model, self._report)
            self._about = about(engine)
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

    @property
    def ready(self) -> bool:
        """Whether work can be done."""
        return self.engine is not None

    @property
    def about(self) -> About | None:
        """The model, once it is loaded."""
        if self._about is None and self.engine is not None:
            return about(self.engine)
        return self._about

    def perform(self, work: Work) -> Iterator[Told]:
        """Do work with the model, which is loaded. Closing the iterator cancels it."""
        known = self.engine.experience()
        given, limit = seconds_of(self.name, work, known), settings.GPU_MOST
        if zero_gpu.ON and given > limit:
            raise InvalidRequest(serving.GPU_TIME.format(given=given, limit=limit))
        telling = perform(self.name, work, known)
        return telling if zero_gpu.ON else self._thread.iterate(telling)

    def learn(self, experience: Experience) -> None:
        """What work has taught an engine, if it was a copy of this one."""
        self.engine.learn(experience)

    def status(self) -> str:
        """One line about the model for the page."""
        if (ready := self.about) is not None:
            words = {"numbers": ready.numbers, "device": ready.device, "threads": ready.threads}
            sentence = page.READY_THREADS if ready.device == "cpu" else page.READY
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
        ready = self.about
        if ready is None or ready.heads:
            return methods
        return [m for m in methods if not asks_heads(settled(DecodingConfig(method=m.name)))]

    async def watch(self) -> AsyncIterator[str]:
        """The status line until it no longer changes; asynchronous, so it holds no thread."""
        while not self.done.is_set():
            yield self.status()
            await asyncio.sleep(0.5)
        yield self.status()


class Run:
    """One request: its messages to the page, coalesced and bounded."""

    def __init__(self, prompt: str, config: DecodingConfig, continuing: Sequence[int] = ()) -> None:
        self.id = uuid.uuid4().hex
        self.prompt, self.config, self.continuing = prompt, config, tuple(continuing)
        self.header: Message = {"prompt": prompt, "method": config.method}
        self.events: list[Message] = []

    @property
    def passes(self) -> int:
        """One a token at most, and the prompt."""
        return self.config.max_new_tokens + 1

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

    An error reaches the page as a last message "failed" and is raised as a toast's text, a
    `ProPDError`; what was sent before stays on screen.
    """
    while not room.done.wait(timeout=0.5):
        yield work.message("loading", stage=languages.told(room.stage))
    if not room.ready:
        yield work.message("failed", whole=True)
        raise ProPDError(page.NO_MODEL.format(reason=room.reason))
    with closing(room.perform(work)) as telling:  # type: ignore[type-var]
        for kind, told in telling:
            if kind == "message":
                yield told
            elif kind == "learned":
                room.learn(told)
            elif kind == "waiting":
                yield work.message("loading", stage=languages.told(told))
            else:
                last, sentence = told
                yield last
                raise ProPDError(sentence)
