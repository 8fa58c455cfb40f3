"""What a forecast rests on: a machine, heads and early looks, measured or told by data sheets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from propd.core import TokenTree
from propd.errors import InvalidRequest
from propd.forecast import early, guesses, machine
from propd.forecast.early import Cut
from propd.forecast.machine import Machine
from propd.forecast.settings import MOST_LAYERS, Settings, Table, check_changes, check_table
from propd.methods import MEDUSA_NODES
from propd.planning.cost_file import FORMAT, read_costs
from propd.tree.growth import grow

MOST_CUTS = 64
MOST_POINTS = 128
"""Of each curve of costs."""
PAST = 256


@dataclass(frozen=True)
class Basis:
    """Where the settings begin, and the shapes behind them."""

    machine: Machine
    acceptance: Table
    cuts: tuple[Cut, ...]
    layer: int
    top_k: int


@lru_cache(maxsize=256)
def fixed_tree(acceptance: Table) -> TokenTree:
    """Medusa's: the same in every step."""
    return grow(acceptance, MEDUSA_NODES)


def settle(basis: Basis, changes: Mapping[str, Any]) -> Settings:
    """All settings: those of the basis, but for the changes (checked here)."""
    changes = check_changes(changes)
    line, heads = machine.fit(basis.machine), guesses.fit(basis.acceptance)
    own: dict[str, Any] = {
        "rows": 1,
        "past": PAST,
        **line._asdict(),
        "step": 1,
        "draft_ms": machine.draft_ms(basis.machine),
        "look_ms": machine.look_ms(basis.machine),
        **heads._asdict(),
        "heads": len(basis.acceptance),
        "layer": basis.layer,
        "top_k": basis.top_k,
        "kept": 1.0,
        "recall": 1.0,
    }
    settings = Settings(**own | changes)
    settings = replace(settings, layer=min(settings.layer, basis.machine.layers - 1))
    cut = cut_at(basis, settings)
    tree = fixed_tree(guesses.acceptance(basis.acceptance, settings))
    return replace(
        settings,
        kept=changes.get("kept", early.mean_kept(tree, cut)),
        recall=changes.get("recall", cut.recall),
    )


def cut_at(basis: Basis, settings: Settings) -> Cut:
    """What pruning leaves at the settings' layer and k."""
    return early.between(basis.cuts, settings.layer / basis.machine.layers, settings.top_k)


def basis_to_json(basis: Basis) -> dict[str, Any]:
    """As `basis_from_json` reads it."""
    costs = basis.machine.costs
    return {
        "costs": {"format": FORMAT, **asdict(costs)},
        "cost_layer": basis.machine.layer,
        "layers": basis.machine.layers,
        "acceptance": basis.acceptance,
        "cuts": [asdict(cut) for cut in basis.cuts],
        "layer": basis.layer,
        "top_k": basis.top_k,
    }


def basis_from_json(data: Any) -> Basis:
    """Read what may come from a stranger; `InvalidRequest` when it is no basis."""
    try:
        cuts = data["cuts"]
        if not isinstance(cuts, (list, tuple)) or not 1 <= len(cuts) <= MOST_CUTS:
            raise ValueError(f"cuts are no list of 1 to {MOST_CUTS}")
        read = tuple(_cut(cut) for cut in cuts)
        if len({tuple(map(len, cut.stay)) for cut in read}) > 1:
            raise ValueError("the cuts tell of different places")
        layers = _whole(data["layers"], 2, MOST_LAYERS)
        costs = read_costs(_lists(data["costs"]))
        if max(map(len, (costs.draft, costs.early, costs.prune, costs.late))) > MOST_POINTS:
            raise ValueError(f"a curve has more than {MOST_POINTS} points")
        return Basis(
            Machine(costs, _whole(data["cost_layer"], 1, layers), layers),
            check_table(data["acceptance"], "acceptance"),
            read,
            _whole(data["layer"], 1, layers - 1),
            _whole(data["top_k"], 1, 100_000),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRequest(f"These are no statistics of a run ({error}).") from error


def _lists(costs: Any) -> Any:
    """Points may be tuples here and lists in a file."""
    if not isinstance(costs, dict):
        return costs
    plain = {name: value for name, value in costs.items() if not isinstance(value, (list, tuple))}
    points = {name: [list(p) for p in value] for name, value in costs.items() if name not in plain}
    return plain | points


def _cut(data: Any) -> Cut:
    stay = check_table(data["stay"], "stay")
    if not stay:
        raise ValueError("stay is empty")
    depth, recall = check_table([[data["depth"], data["recall"]]], "depth and recall")[0]
    return Cut(depth, _whole(data["top_k"], 1, 100_000), stay, recall)


def _whole(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{str(value)[:20]} is no whole number from {least} to {most}")
    return value
