"""What requests taught an engine, as plain numbers that can go to another process and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from propd.core import CostTable


@dataclass(frozen=True)
class Experience:
    """What an engine knows now and did not know when it was loaded. It holds no text."""

    costs: Mapping[int, CostTable] = field(default_factory=dict)
    """What steps cost on this machine, by the rows of a batch."""

    def joined(self, later: Experience) -> Experience:
        """Both; of what both know, the later one's."""
        return Experience({**self.costs, **later.costs})
