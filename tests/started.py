"""`python app.py` as a process of its own, for what is measured from outside."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
EVERY = 0.1
"""Seconds between two looks at the memory."""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Memory:
    """Looks at a process and all it starts; ``peak`` is the most they held together, in bytes.

    Pages that several processes share are counted once (proportional set size) where the system
    tells; elsewhere they count for each.
    """

    def __init__(self, process: psutil.Process) -> None:
        self.process, self.peak = process, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._over.set()
        self._thread.join()

    def now(self) -> int:
        """What they hold now."""
        return sum(map(_held, [self.process, *self.process.children(recursive=True)]))

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            try:
                self.peak = max(self.peak, self.now())
            except psutil.Error:
                continue


def _held(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    except psutil.Error:
        return 0


class App:
    """A running app, seen from outside."""

    def __init__(self, process: subprocess.Popen[Any], port: int, began: float) -> None:
        self.process, self.began = process, began
        self.address = f"http://127.0.0.1:{port}/"
        self.memory = Memory(psutil.Process(process.pid))

    def since(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.began

    def until(self, comes_true: Callable[[], bool], patience: float) -> float:
        """Wait; the seconds since the start when it came true."""
        while not comes_true():
            if self.process.poll() is not None:
                raise RuntimeError(f"the app ended with {self.process.returncode}")
            if self.since() > patience:
                raise RuntimeError(f"nothing came of it in {patience:.0f} seconds")
            time.sleep(0.05)
        return self.since()

    def answers(self) -> bool:
        """Whether the page is served."""
        try:
            return httpx.get(self.address, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def started(python: str | Path, *arguments: str, **variables: str) -> Iterator[App]:
    """The app under some Python, on a port of its own; its output goes to this command's."""
    port = free_port()
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), **variables}
    began = time.monotonic()
    process = subprocess.Popen([str(python), "app.py", *arguments], cwd=ROOT, env=environment)
    app = App(process, port, began)
    try:
        yield app
    finally:
        app.memory.end()
        for one in [*psutil.Process(process.pid).children(recursive=True)]:
            one.kill()
        process.kill()
        process.wait()
