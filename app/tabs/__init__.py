"""The places of the studio, in the order of their tabs. A line in `PLACES` adds one."""

from __future__ import annotations

from collections.abc import Callable

from app.studio import Studio
from app.tabs import compare, lab, learn, runs, watch

PLACES: dict[str, Callable[[Studio], None]] = {
    "watch": watch.build,
    "compare": compare.build,
    "learn": learn.build,
    "lab": lab.build,
    "runs": runs.build,
}
"""Name, which is also the first part of a permalink, to what builds it into the open tab."""
