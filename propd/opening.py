"""What a session is opened with: settings, room, and your own parts in place of the method's."""

from __future__ import annotations

from dataclasses import dataclass

from propd.core import DecodingConfig
from propd.memory import check_memory
from propd.methods import (
    MEDUSA_NODES,
    asks_for_costs,
    check_heads,
    make_cost,
    make_planner,
    make_pruner,
    method_settings,
)
from propd.models.backbone import Backbone
from propd.models.heads import AnyShape
from propd.planning.checked import CheckedPlanner
from propd.planning.cost_book import NO_COSTS, CostBook
from propd.planning.planner import Planner
from propd.planning.pruner import Pruner


@dataclass(frozen=True)
class Opening:
    """A checked config, and what does not stand in it."""

    config: DecodingConfig
    rows: int
    """Sequences at once, at most."""
    longest: int
    """Tokens of the longest prompt."""
    planner: Planner | None = None
    """Your own; None: the method's."""
    pruner: Pruner | None = None
    """Your own; None: the method's, if it prunes."""

    def check(self, backbone: Backbone, heads: AnyShape | None) -> None:
        """Refuse a method that lacks its heads, and what does not fit into the memory."""
        method = method_settings(self.config.method)
        if method.tree != "root":
            check_heads(method, heads)
        if self.planner is not None:
            tree = self.planner.max_nodes
        else:
            sizes = {"root": 0, "dynamic": self.config.max_nodes}
            tree = sizes.get(method.tree, MEDUSA_NODES)
        slots = min(self.longest + self.config.max_new_tokens, backbone.max_positions) + tree + 1
        check_memory(backbone, self.rows, slots, tree + 1)

    def parts(self, heads: AnyShape | None, costs: CostBook) -> tuple[Planner, Pruner | None]:
        """The planner and the pruner of the session; costs are measured only if one asks."""
        config, method = self.config, method_settings(self.config.method)
        asks = asks_for_costs(method, config, bool(self.planner), bool(self.pruner))
        cost = make_cost(config, costs.table(self.rows) if asks else NO_COSTS, method.pruning)
        planner = (
            CheckedPlanner(self.planner)
            if self.planner is not None
            else make_planner(method, heads, config, cost)
        )
        return planner, self.pruner or make_pruner(method, heads, config, cost)
