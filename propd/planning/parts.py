"""What decides in a session."""

from __future__ import annotations

from typing import NamedTuple

from propd.planning.guesser import Guesser
from propd.planning.planner import Planner
from propd.planning.pruner import Pruner


class Parts(NamedTuple):
    """Planner, pruner and guesser; a session owns them, and they learn from it alone."""

    planner: Planner
    pruner: Pruner | None = None
    """None: nothing is pruned."""
    guesser: Guesser | None = None
    """None: the heads' guesses as they are."""
