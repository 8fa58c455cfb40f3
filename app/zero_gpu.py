"""ZeroGPU: a GPU that a Space is lent for one request, in a process forked for it.

Elsewhere nothing here does anything, whether the package `spaces` is installed or not: ZeroGPU
Spaces bring it, so it stands in no requirements.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from app import settings  # noqa: F401  (before gradio, which `spaces` imports)


def _package() -> Any:
    try:
        import spaces
    except ImportError:
        return None
    return spaces


spaces = _package()

ON = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
"""Whether this process runs in such a Space."""

Stream = TypeVar("Stream", bound=Callable[..., Any])


def lent(seconds: Callable[..., int]) -> Callable[[Stream], Stream]:
    """A decorator for a generator function at the top of a module that needs the GPU.

    seconds: for how long it is asked, from the same arguments. What goes in and out is pickled, and
    what the function changes is lost: it runs in a fork of this process.
    """

    def decorate(function: Stream) -> Stream:
        return function if spaces is None else spaces.GPU(duration=seconds)(function)

    return decorate
