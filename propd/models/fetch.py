"""``python -m propd.models.fetch [MODEL]`` fetches a model and prints its folder."""

from __future__ import annotations

import sys

from propd.errors import ProPDError
from propd.models.registry import DEFAULT_MODEL
from propd.models.sources import resolve


def main(arguments: list[str]) -> int:
    """Fetch the named model, the default one if none is named."""
    model = arguments[0] if arguments else DEFAULT_MODEL
    try:
        folder = resolve(model, lambda message: print(message, file=sys.stderr))
    except ProPDError as error:
        print(error, file=sys.stderr)
        return 2
    print(folder.path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
