"""What a session is opened with: settings, room, and your own parts in place of the method's."""

from __future__ import annotations

from dataclasses import dataclass

from propd.core import DecodingConfig
from propd.errors import InvalidRequest
from propd.heads.protocol import HeadsShape
from propd.memory import check_memory
from propd.methods import (
    MEDUSA_NODES,
    asks_for_costs,
    check_heads,
    make_cost,
    make_guesser,
    make_planner,
    make_pruner,
    method_settings,
)
from propd.models.backbone import Backbone
from propd.planning.checked import CheckedPlanner
from propd.planning.cost_book import NO_COSTS, CostBook
from propd.planning.parts import Parts
from propd.planning.planner import Planner
from propd.planning.pruner import Pruner
from propd.requests import MAX_TREE


@dataclass(frozen=True)
class Opening:
    """A checked and settled config, and what does not stand in it."""

    config: DecodingConfig
    rows: int
    """Sequences at once, at most."""
    longest: int
    """Tokens of the longest prompt."""
    planner: Planner | None = None
    """Your own; None: the method's."""
    pruner: Pruner | None = None
    """Your own; None: the method's, if it prunes."""

    def check(self, backbone: Backbone, shape: HeadsShape | None, costs: CostBook) -> None:
        """Refuse a method that lacks its heads, and what does not fit into the memory."""
        method = method_settings(self.config.method)
        check_heads(self.config, shape)
        layer = self.config.prune_layer
        if layer is not None and shape is None:
            raise InvalidRequest(
                f"The layer before early pruning is {layer} and this model has no heads that look "
                "early; leave it open, or give heads of this model (docs/heads.md)."
            )
        if layer is not None and shape is not None and layer not in shape.prune_layers:
            known = ", ".join(map(str, sorted(shape.prune_layers)))
            raise InvalidRequest(
                f"There is no early head after layer {layer}; these heads have one after {known}."
            )
        if self.planner is not None:
            tree = self.planner.max_nodes
        else:
            sizes = {"root": 0, "dynamic": self.config.tree_size or self.config.max_nodes}
            tree = sizes.get(method.tree, MEDUSA_NODES)
        limit = backbone.max_positions
        slots = min(self.longest + self.config.max_new_tokens, limit) + tree + 1
        if self._asks_for_costs and costs.slots(self.rows):  # then a sweep runs first
            slots = max(slots, min(costs.slots(self.rows), limit + MAX_TREE + 1))
            tree = MAX_TREE
        check_memory(backbone, self.rows, slots, tree + 1)

    @property
    def _asks_for_costs(self) -> bool:
        return asks_for_costs(self.config, bool(self.planner), bool(self.pruner))

    def parts(self, shape: HeadsShape | None, costs: CostBook) -> Parts:
        """What the session runs with; costs are measured only if one asks."""
        config = self.config
        cost = make_cost(config, costs.table(self.rows) if self._asks_for_costs else NO_COSTS)
        planner = (
            CheckedPlanner(self.planner)
            if self.planner is not None
            else make_planner(config, shape, cost)
        )
        pruner = self.pruner or make_pruner(config, shape, cost)
        return Parts(planner, pruner, make_guesser(config, shape))
