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

from propd.core import TokenTree
from propd.tree.topology import inner_nodes


@dataclass(frozen=True)
class Pruning:
    """What pruning decided, with the early head's word on every node (None for the root)."""

    kept: tuple[int, ...]
    """Surviving nodes, ascending, the root first."""
    ranks: tuple[int | None, ...]
    probabilities: tuple[float | None, ...]


def successors_wanted(tree: TokenTree) -> list[int]:
    """Nodes whose successors the early head must score: those with children."""
    return inner_nodes(tree.parents)


def prune_top_k(
    tree: TokenTree, reduced_ids: Sequence[int], early_logits: Tensor, top_k: int
) -> Pruning:
    """Keep the children inside their parent's top-k, and drop the rest with their sub-trees.

    reduced_ids: the reduced-vocabulary id of every node (the root's is not looked at).
    early_logits: (I, reduced vocabulary), one row for each node of `successors_wanted`, in order.
    """
    if tree.size == 0:
        return Pruning((0,), (None,), (None,))
    row_of = {node: row for row, node in enumerate(successors_wanted(tree))}
    device = early_logits.device
    rows = torch.tensor([row_of[parent] for parent in tree.parents[1:]], device=device)
    tokens = torch.tensor(reduced_ids[1:], device=device)
    scores = early_logits[rows, tokens]
    ranks = (early_logits[rows] > scores[:, None]).sum(-1)
    chances = (scores - early_logits.logsumexp(-1)[rows]).exp()
    told = torch.stack([ranks.double(), chances.double()]).tolist()  # one wait for the device
    places = [int(rank) for rank in told[0]]
    alive = [True]
    for node in range(1, len(tree.parents)):
        alive.append(alive[tree.parents[node]] and places[node - 1] < top_k)
    kept = tuple(node for node, lives in enumerate(alive) if lives)
    return Pruning(kept, (None, *places), (None, *told[1]))
