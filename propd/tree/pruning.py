"""Early pruning: what the early head knows after a few layers decides which branches go on.

The paper's rule: a child outside its parent's top-k of the early head is removed, with every
sequence that contains it. The root always stays, so each step writes at least one token; what is
written is decided later, by the whole model, so pruning can cost tokens per pass and never
changes the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from propd.tree.topology import inner_nodes


@dataclass(frozen=True)
class Pruning:
    """What pruning decided of T nodes, with the early head's word on each (None for roots)."""

    alive: tuple[bool, ...]
    ranks: tuple[int | None, ...]
    probabilities: tuple[float | None, ...]


def prune_top_k(
    parents: Sequence[int], reduced_ids: Sequence[int], early_logits: Tensor, top_k: int
) -> Pruning:
    """Keep the children inside their parent's top-k, and drop the rest with their sub-trees.

    parents: of the T nodes of one tree or of several in a row; -1 for roots. reduced_ids: the
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
        chances = (scores - early_logits.logsumexp(-1)[rows]).exp()
        told = torch.stack([places.double(), chances.double()]).tolist()  # one wait for the device
        for node, place, chance in zip(children, *told, strict=True):
            ranks[node], probabilities[node] = int(place), chance
    alive: list[bool] = []
    for parent, rank in zip(parents, ranks, strict=True):
        alive.append(rank is None or (alive[parent] and rank < top_k))
    return Pruning(tuple(alive), tuple(ranks), tuple(probabilities))
