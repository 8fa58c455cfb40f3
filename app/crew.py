"""Worker processes behind one page: visitors do not wait for one another, and a process that dies
takes one run with it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import Empty, SimpleQueue
from typing import Any

from app import patience, settings
from app.performing import Told, Work
from app.runs import About, EngineRoom
from app.strings import page
from app.strings import serving as words
from app.worker import OVER, READY, STAGE, STOP, serve
from propd.errors import ProPDError
from propd.planning.experience import Experience

log = logging.getLogger(__name__)
# A fork would inherit the threads' locks of the page, and OpenMP hangs in one.
context = multiprocessing.get_context("spawn")


class Lost(Exception):
    """The process has ended, or does not answer."""


class Worker:
    """One process, seen from the page; used by one thread at a time."""

    def __init__(self, model: str, threads: int) -> None:
        self.model, self.threads = model, threads
        self.process: BaseProcess | None = None
        self.pipe: Connection | None = None

    def start(self, report: Callable[[str], None], known: Experience) -> tuple[About, Experience]:
        """Begin anew and wait until the model is loaded; `ProPDError` if that cannot be."""
        self.end()
        self.pipe, other = context.Pipe()
        self.process = context.Process(
            target=serve, args=(other, self.model, self.threads, known), daemon=True
        )
        self.process.start()
        other.close()  # else this end would never learn that the process has died
        while True:
            kind, told = self._hear()
            if kind == READY:
                return told
            if kind != STAGE:
                raise ProPDError(told)
            report(told)

    def perform(self, work: Work, known: Experience) -> Iterator[Told]:
        """Do work; closing the iterator cancels it. `Lost` if the process dies of it."""
        self._say((work, known))
        over = False
        try:
            while not over:
                kind, told = self._hear()
                over = kind == OVER
                if not over:
                    yield kind, told
        except GeneratorExit:
            self._stop()
            raise

    def end(self) -> None:
        """End the process, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
        if self.pipe is not None:
            self.pipe.close()
        self.process = self.pipe = None

    @property
    def alive(self) -> bool:
        """Whether there is a process that could do work."""
        return self.process is not None and self.process.is_alive()

    def _stop(self) -> None:
        """Cancel: the work ends at its next message; a process that does not come to one goes."""
        try:
            self._say(STOP)
            until = time.monotonic() + settings.STOP_SECONDS
            while self._hear(max(0.0, until - time.monotonic()))[0] != OVER:
                pass
        except Lost:
            self.end()

    def _say(self, what: Any) -> None:
        try:
            if self.pipe is None:
                raise Lost
            self.pipe.send(what)
        except OSError as error:
            raise Lost from error

    def _hear(self, seconds: float | None = None) -> tuple[Any, Any]:
        try:
            if self.pipe is None or not self.pipe.poll(seconds):
                raise Lost
            return self.pipe.recv()
        except (EOFError, OSError) as error:
            raise Lost from error


class Crew(EngineRoom):
    """A room whose engines are in other processes; this one only serves the page."""

    def __init__(self, workers: int, threads: int = 0, model: str = settings.MODEL) -> None:
        """threads: of each process; 0 shares the cores out."""
        super().__init__(model)
        self.places = workers
        each = threads or max(1, (os.cpu_count() or 1) // workers)
        self.workers = [Worker(model, each) for _ in range(workers)]
        self.known = Experience()
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        self._working = workers
        """How many can be used, now or soon."""

    def open(self) -> None:
        """Begin to load: one after another, so that the first is there as early as can be."""
        self.began = time.monotonic()

        def start() -> None:
            for number, worker in enumerate(self.workers, start=1):
                self._report(words.STARTING.format(number=number, workers=self.places))
                self._start(worker)

        threading.Thread(target=start, daemon=True, name="start-workers").start()

    def close(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.end()

    @property
    def ready(self) -> bool:
        """Whether some process can do work, or soon will."""
        return self._working > 0

    def perform(self, work: Work) -> Iterator[Told]:
        """Do work in the next free process. Closing the iterator cancels it."""
        while (worker := self._next()) is None:
            if not self.ready:
                raise ProPDError(page.NO_MODEL.format(reason=self.reason))
            yield "waiting", self.stage
        try:
            yield from worker.perform(work, self.known)
        except Lost as error:
            worker.end()  # it may still be dying
            log.error("a worker process ended, and with it a run")
            raise ProPDError(words.LOST) from error
        finally:
            self._back(worker)

    def learn(self, experience: Experience) -> None:
        """For processes that start later: those that run have what they learned themselves."""
        self.known = self.known.joined(experience)

    def _next(self) -> Worker | None:
        try:
            return self._idle.get(timeout=0.5)
        except Empty:
            return None

    def _back(self, worker: Worker) -> None:
        """The process is free, or another takes its place."""
        if worker.alive:
            self._idle.put(worker)
        else:
            threading.Thread(target=self._start, args=(worker,), daemon=True).start()

    def _start(self, worker: Worker) -> None:
        try:
            self._about, known = worker.start(self._report, self.known)
        except (ProPDError, Lost) as error:
            self.reason = str(error) or words.LOST
            self._working -= 1
            if not self._working:
                self.done.set()
            return
        self.learn(known)
        self._idle.put(worker)
        if not self.done.is_set():
            patience.remember(self.model, time.monotonic() - self.began)
            self.done.set()
