"""What every command that needs a model does first."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from propd.engine import Engine


def load_engine(options: argparse.Namespace) -> Engine:
    """The engine that the options ask for."""
    from propd.library import load

    return load(
        options.model,
        heads=options.heads,
        dtype=options.dtype,
        device=options.device,
        numerics=options.numerics,
        weights=options.weights,
        device_map=options.device_map,
        one_read=options.one_read,
        report=report,
    )


def report(message: str) -> None:
    """A stage, on standard error: standard output is for results."""
    print(f"… {message}", file=sys.stderr, flush=True)
