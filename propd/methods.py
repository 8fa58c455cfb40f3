"""The named methods, as settings of the one loop in `propd.decoding`.

The command line checks what it is asked before torch is imported, so this module must not need it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from propd.core import CostTable, DecodingConfig
from propd.errors import InvalidRequest
from propd.planning.chances import AcceptanceEstimator
from propd.planning.cost import CostModel, CurveCost, FrozenCost, LineCost
from propd.planning.dynamic import DynamicPlanner
from propd.planning.exploration import Explorer
from propd.planning.guesser import DEEPEST, Guesser
from propd.planning.planner import FixedPlanner, Planner
from propd.tree.growth import grow
from propd.tree.topology import ROOT_ONLY

if TYPE_CHECKING:
    from propd.heads.protocol import HeadsShape
    from propd.planning.pruner import Pruner

MEDUSA_NODES = 63


@dataclass(frozen=True)
class MethodSettings:
    """One way to run the loop."""

    name: str
    label: str
    description: str
    tree: Literal["root", "chain", "fixed", "dynamic"]
    pruning: bool = False
    guesses: Literal["heads", "text", "both"] = "heads"
    values: Literal["rank", "contextual"] = "rank"
    prune_when: Literal["always", "pays"] = "always"
    cost_model: Literal["curve", "line"] = "curve"


METHODS: dict[str, MethodSettings] = {
    m.name: m
    for m in (
        MethodSettings(
            "propd",
            "ProPD",
            "Tree of a size chosen in every step, guessed by heads and text; branches pruned after "
            "a few layers.",
            tree="dynamic",
            pruning=True,
            guesses="both",
            values="contextual",
            prune_when="pays",
        ),
        MethodSettings(
            "propd-paper",
            "ProPD, as in the paper",
            "Heads alone, running accuracies by rank, time as a line, pruned in every step.",
            tree="dynamic",
            pruning=True,
            cost_model="line",
        ),
        MethodSettings(
            "propd-heads",
            "ProPD, heads alone",
            "Ablation: no guesses of the text.",
            tree="dynamic",
            pruning=True,
            values="contextual",
            prune_when="pays",
        ),
        MethodSettings(
            "propd-unpruned",
            "ProPD, unpruned",
            "Ablation, dynamic trees only: a size chosen in every step, all of it verified.",
            tree="dynamic",
            guesses="both",
            values="contextual",
        ),
        MethodSettings(
            "propd-static",
            "ProPD, static tree",
            f"Ablation, early pruning only: the same tree of {MEDUSA_NODES} nodes, pruned.",
            tree="fixed",
            pruning=True,
        ),
        MethodSettings(
            "medusa",
            "Medusa",
            f"The same tree of {MEDUSA_NODES} nodes in every step, all of it verified.",
            tree="fixed",
        ),
        MethodSettings(
            "bpd",
            "Blockwise (BPD)",
            "One chain of the heads' best guesses.",
            tree="chain",
        ),
        MethodSettings(
            "lookup",
            "Prompt lookup",
            "No heads: what followed the same words earlier in the text, in a tree of a size "
            "chosen in every step.",
            tree="dynamic",
            guesses="text",
            values="contextual",
        ),
        MethodSettings(
            "autoregressive",
            "Autoregressive",
            "Plain decoding: one token a pass.",
            tree="root",
        ),
    )
}


def method_settings(name: str) -> MethodSettings:
    """The method of this name."""
    if not isinstance(name, str) or name not in METHODS:
        raise InvalidRequest(f"There is no method '{name}'; use one of {', '.join(METHODS)}.")
    return METHODS[name]


def settled(config: DecodingConfig) -> DecodingConfig:
    """The config with nothing left to the method."""
    method = method_settings(config.method)
    chosen = {
        name: getattr(method, name)
        for name in ("prune_when", "guesses", "values", "cost_model")
        if getattr(config, name) == "auto"
    }
    if config.cost_model == "line" and "prune_when" in chosen:
        chosen["prune_when"] = "always"  # a line of sizes cannot tell what pruning saves
    return replace(config, **chosen)


def asks_heads(config: DecodingConfig) -> bool:
    """Whether a run with this settled config needs draft heads."""
    return method_settings(config.method).tree != "root" and config.guesses != "text"


def check_heads(config: DecodingConfig, shape: HeadsShape | None) -> None:
    """Refuse what lacks its heads, and guesses that the method's trees cannot be made of."""
    if config.guesses == "text" and method_settings(config.method).tree != "dynamic":
        raise InvalidRequest(
            f"The method '{config.method}' drafts the same tree in every step and the text alone "
            "seldom fills it; use guesses both or heads, or the method lookup."
        )
    if config.guesses != "heads" and config.values == "rank" and _is_dynamic(config):
        raise InvalidRequest(
            "Guesses of the text have no running accuracy by rank; use values contextual, or "
            "guesses heads."
        )
    if shape is None and asks_heads(config):
        raise InvalidRequest(
            f"The method '{config.method}' needs draft heads and this model has none; use lookup "
            "or autoregressive, give heads of this model (docs/heads.md), or train some with "
            "'python -m propd train'."
        )


def _is_dynamic(config: DecodingConfig) -> bool:
    return method_settings(config.method).tree == "dynamic"


def asks_for_costs(config: DecodingConfig, own_planner: bool, own_pruner: bool) -> bool:
    """Whether the method's planner or pruner needs times measured on this machine."""
    planner = _is_dynamic(config) and not own_planner
    prunes = method_settings(config.method).pruning
    pruner = prunes and config.prune_rule == "budget" and not own_pruner
    return config.cost_table is None and (planner or pruner)


def make_cost(config: DecodingConfig, table: CostTable) -> CostModel:
    """The cost model that a settled config runs with; frozen if it brings its own table."""
    table, pruned = config.cost_table or table, method_settings(config.method).pruning
    cost = LineCost.from_table(table, pruned) if config.cost_model == "line" else CurveCost(table)
    return FrozenCost(cost) if config.cost_table else cost


def make_planner(config: DecodingConfig, shape: HeadsShape | None, cost: CostModel) -> Planner:
    """The planner that a settled config runs with; shape: None without heads."""
    settings = method_settings(config.method)
    table = shape.acceptance_table if shape is not None else ()
    if settings.tree == "root":
        return FixedPlanner(ROOT_ONLY)
    if settings.tree == "chain":
        # the best guess of each head, one after another
        return FixedPlanner(grow([row[:1] for row in table], len(table)))
    if settings.tree == "fixed":
        # as Medusa's gen_results.py: grown once, offline, from measured rank accuracies
        return FixedPlanner(grow(table, MEDUSA_NODES), settings.pruning)
    return DynamicPlanner(
        AcceptanceEstimator(() if config.guesses == "text" else table),
        cost,
        config.tree_size or config.max_nodes,
        values="rank" if config.values == "rank" else "contextual",
        prunes=_prunes(config),
        explorer=None if config.cost_table or config.tree_size else Explorer(),
        size=config.tree_size,
    )


def _prunes(config: DecodingConfig) -> Literal["never", "always", "pays"]:
    if not method_settings(config.method).pruning or config.guesses == "text":
        return "never"
    return "always" if config.prune_when == "always" else "pays"


def make_guesser(config: DecodingConfig, shape: HeadsShape | None) -> Guesser | None:
    """What corrects and mixes the guesses; None where only their ranks count."""
    if not _is_dynamic(config) and config.guesses == "heads":
        return None
    if _is_dynamic(config) and config.values == "rank":
        return None
    if shape is None:
        return Guesser(0)
    return Guesser(len(shape.acceptance_table), phrases=shape.phrases)


def make_pruner(config: DecodingConfig, shape: HeadsShape | None, cost: CostModel) -> Pruner | None:
    """The pruner that a settled config runs with; None for a method that does not prune."""
    if not method_settings(config.method).pruning or shape is None:
        return None
    from propd.planning.budget import Budget  # these need torch
    from propd.planning.pruner import Threshold, TopK

    if config.prune_rule == "threshold":
        return Threshold(config.prune_threshold)
    if config.prune_rule == "budget":
        return Budget(cost, max(DEEPEST, shape.draft_heads))
    return TopK(config.prune_top_k or shape.prune_top_k)
