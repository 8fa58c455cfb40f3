"""The named methods, as settings of the one loop in `propd.decoding`.

The command line checks what it is asked before torch is imported, so this module must not need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from propd.core import CostTable, DecodingConfig
from propd.errors import InvalidRequest
from propd.planning.chances import AcceptanceEstimator
from propd.planning.cost import CostModel, CurveCost, FrozenCost, LineCost
from propd.planning.exploration import Explorer
from propd.planning.planner import DynamicPlanner, FixedPlanner, Planner
from propd.tree.growth import grow
from propd.tree.topology import ROOT_ONLY

if TYPE_CHECKING:
    from propd.models.heads import AnyShape
    from propd.planning.pruner import Pruner

MEDUSA_NODES = 63


@dataclass(frozen=True)
class MethodSettings:
    """One way to run the loop."""

    name: str
    label: str
    description: str
    tree: Literal["root", "chain", "fixed", "dynamic"]
    pruning: bool


METHODS: dict[str, MethodSettings] = {
    m.name: m
    for m in (
        MethodSettings(
            "propd",
            "ProPD",
            "Tree of a size chosen in every step; branches pruned after a few layers.",
            tree="dynamic",
            pruning=True,
        ),
        MethodSettings(
            "propd-static",
            "ProPD, static tree",
            f"Ablation, early pruning only: the same tree of {MEDUSA_NODES} nodes, pruned.",
            tree="fixed",
            pruning=True,
        ),
        MethodSettings(
            "propd-unpruned",
            "ProPD, unpruned",
            "Ablation, dynamic trees only: a size chosen in every step, all of it verified.",
            tree="dynamic",
            pruning=False,
        ),
        MethodSettings(
            "medusa",
            "Medusa",
            f"The same tree of {MEDUSA_NODES} nodes in every step, all of it verified.",
            tree="fixed",
            pruning=False,
        ),
        MethodSettings(
            "bpd",
            "Blockwise (BPD)",
            "One chain of the heads' best guesses.",
            tree="chain",
            pruning=False,
        ),
        MethodSettings(
            "autoregressive",
            "Autoregressive",
            "Plain decoding: one token a pass.",
            tree="root",
            pruning=False,
        ),
    )
}


def method_settings(name: str) -> MethodSettings:
    """The method of this name."""
    if name not in METHODS:
        raise InvalidRequest(f"There is no method '{name}'; use one of {', '.join(METHODS)}.")
    return METHODS[name]


def check_heads(settings: MethodSettings, heads: AnyShape | None) -> AnyShape:
    """The heads, which this method cannot do without."""
    if heads is None:
        raise InvalidRequest(
            f"The method '{settings.name}' needs draft heads and this model has none; "
            "use autoregressive, or train heads with 'python -m propd train'."
        )
    return heads


def asks_for_costs(
    settings: MethodSettings, config: DecodingConfig, own_planner: bool, own_pruner: bool
) -> bool:
    """Whether the method's planner or pruner needs times measured on this machine."""
    planner = settings.tree == "dynamic" and not own_planner
    pruner = settings.pruning and config.prune_rule == "budget" and not own_pruner
    return config.cost_table is None and (planner or pruner)


def make_cost(config: DecodingConfig, table: CostTable, pruned: bool) -> CostModel:
    """The cost model that a method runs with; frozen if the config brings its own table."""
    table = config.cost_table or table
    cost = LineCost.from_table(table, pruned) if config.cost_model == "line" else CurveCost(table)
    return FrozenCost(cost) if config.cost_table else cost


def make_planner(
    settings: MethodSettings, heads: AnyShape | None, config: DecodingConfig, cost: CostModel
) -> Planner:
    """The planner that a method runs with. ``heads`` may be None for plain decoding only."""
    if settings.tree == "root":
        return FixedPlanner(ROOT_ONLY)
    heads = check_heads(settings, heads)
    if settings.tree == "chain":
        # the best guess of each head, one after another
        return FixedPlanner(grow([row[:1] for row in heads.acceptance_table], heads.draft_heads))
    if settings.tree == "fixed":
        # as Medusa's gen_results.py: grown once, offline, from measured rank accuracies
        return FixedPlanner(grow(heads.acceptance_table, MEDUSA_NODES), settings.pruning)
    return DynamicPlanner(
        AcceptanceEstimator(heads.acceptance_table),
        cost,
        config,
        prunes=config.prune_when if settings.pruning else "never",
        explorer=None if config.cost_table else Explorer(),
    )


def make_pruner(
    settings: MethodSettings, heads: AnyShape | None, config: DecodingConfig, cost: CostModel
) -> Pruner | None:
    """The pruner that a method runs with; None for a method that does not prune."""
    if not settings.pruning:
        return None
    from propd.planning.budget import Budget  # these need torch
    from propd.planning.pruner import Threshold, TopK

    heads = check_heads(settings, heads)
    if config.prune_rule == "threshold":
        return Threshold(config.prune_threshold)
    if config.prune_rule == "budget":
        return Budget(cost, heads.draft_heads)
    return TopK(config.prune_top_k or heads.prune_top_k)
