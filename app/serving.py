"""How the page is served: by the command line, or by variables as a Space sets them."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app import settings, zero_gpu
from app.crew import Crew
from app.runs import EngineRoom
from app.strings import serving as words
from propd.errors import InvalidRequest

VARIABLES = {"workers": "PROPD_WORKERS", "threads": "PROPD_THREADS", "queue": "PROPD_QUEUE"}
LIMITS = {
    "workers": (0, settings.MOST_WORKERS),
    "threads": (0, 1024),
    "queue": (1, settings.MOST_WAITING),
}
HELP = {"workers": words.WORKERS, "threads": words.THREADS, "queue": words.QUEUE}


@dataclass(frozen=True)
class Serving:
    """What whoever starts the page decides; `serving` checks it.

    Host, port and root path are Gradio's: GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, GRADIO_ROOT_PATH.
    """

    workers: int = 0
    """Processes that hold an engine each; 0: the page's own holds the only one."""
    threads: int = 0
    """Of each process; 0: the cores are shared out."""
    queue: int = settings.QUEUE_SIZE
    """Visitors who may wait."""
    share: bool = False
    """Whether Gradio shall open a public address."""

    def room(self) -> EngineRoom:
        """Where the model will be; it is not opened yet."""
        return Crew(self.workers, self.threads) if self.workers else EngineRoom()


def serving(arguments: Sequence[str], variables: Mapping[str, str] = os.environ) -> Serving:
    """How to serve, from the command line or, where that is silent, from variables.

    `InvalidRequest` with one sentence if a number is none or beyond its limits.
    """
    parser = argparse.ArgumentParser(prog="python app.py", description=words.COMMAND)
    for name, variable in VARIABLES.items():
        told = HELP[name].format(variable=variable)
        parser.add_argument(f"--{name}", metavar="N", help=told)
    parser.add_argument("--share", action="store_true", help=words.SHARE)
    given = parser.parse_args(arguments)
    numbers = {
        name: _number(name, f"--{name}", getattr(given, name))
        if getattr(given, name) is not None
        else _number(name, variable, variables.get(variable))
        for name, variable in VARIABLES.items()
    }
    asked = Serving(numbers["workers"], numbers["threads"], numbers["queue"], given.share)
    if zero_gpu.ON and asked.workers:
        told = words.ZERO_GPU.format(name=VARIABLES["workers"], given=asked.workers)
        raise InvalidRequest(told)
    return asked


def _number(name: str, said: str, given: str | None) -> int:
    """A whole number within the limits. said: where it stood; None and "" mean the default."""
    least, most = LIMITS[name]
    if not given:
        return int(getattr(Serving, name))
    limits = {"name": said, "least": least, "most": most}
    if not re.fullmatch(r"\s*-?\d{1,18}\s*", given):
        raise InvalidRequest(words.NO_WHOLE_NUMBER.format(given=given[:40], **limits))
    if not least <= int(given) <= most:
        raise InvalidRequest(words.OUT_OF_RANGE.format(given=int(given), **limits))
    return int(given)
