"""The named methods, as settings of the one loop in `propd.decoding`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from propd.core import DecodingConfig
from propd.errors import InvalidRequest
from propd.models.heads import HeadsConfig
from propd.planning.acceptance import AcceptanceEstimator
from propd.planning.cost import CostModel
from propd.planning.planner import DynamicPlanner, FixedPlanner, Planner
from propd.tree.growth import grow
from propd.tree.topology import ROOT_ONLY

MEDUSA_NODES = 63


@dataclass(frozen=True)
class MethodSettings:
    """One way to run the loop."""

    name: str
    label: str
    description: str
    tree: Literal["root", "chain", "fixed", "dynamic"]
    pruning: bool
    values: Literal["rank", "contextual"] = "rank"


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


def check_heads(settings: MethodSettings, heads: HeadsConfig | None) -> HeadsConfig:
    """The heads, which this method cannot do without."""
    if heads is None:
        raise InvalidRequest(
            f"The method '{settings.name}' needs draft heads and this model has none; "
            "use autoregressive, or train heads with 'python -m propd train'."
        )
    return heads


def make_planner(
    settings: MethodSettings, heads: HeadsConfig | None, config: DecodingConfig, cost: CostModel
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
        return FixedPlanner(grow(heads.acceptance_table, MEDUSA_NODES))
    estimator = AcceptanceEstimator(heads.acceptance_table)
    return DynamicPlanner(estimator, cost, config.max_nodes, settings.values)
