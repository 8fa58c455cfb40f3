"""Early pruning: what the early head knows after a few layers decides which branches go on.

The root always stays, so each step writes at least one token; what is written is decided later, by
the whole model, so pruning can cost tokens per pass and never changes the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from propd.planning.feedback import Feedback
from propd.tree.topology import inner_nodes


@dataclass(frozen=True)
class EarlyView:
    """What a pruner sees: T nodes of R rows, row after row, roots included.

    Example, one row, a root with two children, the first of which has one child::

        parents = (-1, 0, 0, 1)   depths = (0, 1, 1, 2)   ranks = (None, 0, 7, 2)
    """

    parents: tuple[int, ...]
    """Index of each node's parent; -1 for roots."""
    depths: tuple[int, ...]
    values: tuple[float, ...]
    """The planner's estimate of the path's chance; 1.0 for roots."""
    ranks: tuple[int | None, ...]
    """Place among the early head's successors of the parent, 0 is best; None for roots."""
    probabilities: tuple[float | None, ...]
    """The early head's probability, given the parent; None for roots."""
    past: int = 0
    """Tokens in the cache of the longest row."""


@dataclass(frozen=True)
class Pruning:
    """What pruning decided of T nodes, with the early head's word on each (None for roots)."""

    alive: tuple[bool, ...]
    ranks: tuple[int | None, ...]
    probabilities: tuple[float | None, ...]


class Pruner(Protocol):
    """Decides which drafted nodes reach the late layers.

    To bring your own: answer in `keep` for each of T nodes. The loop keeps the roots and drops what
    hangs below a dropped node, whatever the answer; the text stays right whatever you drop.
    """

    name: str
    """As events tell it."""

    def keep(self, view: EarlyView) -> Sequence[bool]:
        """(T,) whether each node shall go on."""
        ...

    def learn(self, feedback: Feedback) -> None:
        """What became of the nodes."""
        ...


class TopK:
    """The paper's rule: a child outside its parent's top-k of the early head goes."""

    name = "topk"

    def __init__(self, k: int) -> None:
        self.k = k

    def keep(self, view: EarlyView) -> list[bool]:
        """Ties with the k-th stay."""
        return [rank is None or rank < self.k for rank in view.ranks]

    def learn(self, feedback: Feedback) -> None:
        """Nothing to learn."""


class Threshold:
    """A child that the early head calls less probable than a fixed chance goes (ours)."""

    name = "threshold"

    def __init__(self, least: float) -> None:
        self.least = least

    def keep(self, view: EarlyView) -> list[bool]:
        """Equal to the threshold stays."""
        return [chance is None or chance >= self.least for chance in view.probabilities]

    def learn(self, feedback: Feedback) -> None:
        """Nothing to learn."""


def told_of(pruner: Pruner) -> dict[str, Any]:
    """What an event tells of the rule, in its own fields."""
    told: dict[str, Any] = {"prune_rule": pruner.name}
    if isinstance(pruner, TopK):
        told["prune_top_k"] = pruner.k
    if isinstance(pruner, Threshold):
        told["prune_threshold"] = pruner.least
    return told


def look(
    parents: Sequence[int], reduced_ids: Sequence[int], early_logits: Tensor
) -> tuple[tuple[int | None, ...], tuple[float | None, ...]]:
    """The early head's rank and probability of each of T nodes, given its parent; None for roots.

    parents: of the nodes of one tree or of several in a row; -1 for roots. reduced_ids: the
    reduced-vocabulary id of every node (a root's is not looked at). early_logits: (I, reduced
    vocabulary), one row for each of `inner_nodes`, in order.
    """
    row_of = {node: row for row, node in enumerate(inner_nodes(parents))}
    children = [node for node, parent in enumerate(parents) if parent >= 0]
    ranks: list[int | None] = [None] * len(parents)
    probabilities: list[float | None] = [None] * len(parents)
    if children:
        device = early_logits.device
        rows = torch.tensor([row_of[parents[node]] for node in children], device=device)
        tokens = torch.tensor([reduced_ids[node] for node in children], device=device)
        scores = early_logits[rows, tokens]
        places = (early_logits[rows] > scores[:, None]).sum(-1)
        chances = (scores.float() - early_logits.float().logsumexp(-1)[rows]).exp()
        told = torch.stack([places.double(), chances.double()]).tolist()  # one wait for the device
        for node, place, chance in zip(children, *told, strict=True):
            ranks[node], probabilities[node] = int(place), chance
    return tuple(ranks), tuple(probabilities)


def prune(view: EarlyView, keep: Sequence[bool]) -> Pruning:
    """Drop what is not kept, with its sub-trees; roots stay."""
    alive: list[bool] = []
    for parent, stays in zip(view.parents, keep, strict=True):
        alive.append(parent < 0 or (alive[parent] and bool(stays)))
    return Pruning(tuple(alive), view.ranks, view.probabilities)
