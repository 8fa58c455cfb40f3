"""One thread that does all work with the model, whichever thread asks for it.

OpenMP, by which PyTorch shares a product out, gives each thread that multiplies a team of its own,
and keeps it. With more threads in all teams than there are cores, it lets them sleep between two
products instead of waiting awake, and every step gets slower. A page answers each message
from another thread of its server, so work would end up there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

Item = TypeVar("Item")
OVER = object()


class OneThread:
    """Does what it is asked, one thing after another; it begins when it is first asked."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._began = False
        self._lock = threading.Lock()

    def ask(self, function: Callable[[], Item]) -> Future[Item]:
        """Call a function there; the future has its result, or what it raised."""
        with self._lock:
            if not self._began:
                self._began = True
                # a daemon: the program can end while a model is being loaded
                threading.Thread(target=self._work, daemon=True, name=self._name).start()
        answer: Future[Item] = Future()
        self._asked.put((function, answer))
        return answer

    def iterate(self, items: Iterator[Item]) -> Iterator[Item]:
        """The items of a generator that runs there; closing this one closes that one.

        It does not wait until that one is closed: whoever closes may be the server's own loop, or
        this very thread as it collects garbage, or a program that ends. What is asked next comes
        after it anyway.
        """
        try:
            while (item := self.ask(lambda: next(items, OVER)).result()) is not OVER:
                yield item  # type: ignore[misc]
        finally:
            self.ask(items.close)  # type: ignore[attr-defined]

    def _work(self) -> None:
        while True:
            function, answer = self._asked.get()
            try:
                answer.set_result(function())
            except BaseException as error:
                answer.set_exception(error)
            del function, answer  # waiting, it must not hold an engine that is no longer needed
