"""From the outcome of a step to the event that tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from propd.core import (
    Fate,
    FinishReason,
    Milliseconds,
    Node,
    SizeDecision,
    StepEvent,
    TokenTree,
)
from propd.tree.acceptance import Acceptance
from propd.tree.pruning import Pruning

NOTHING_TO_DECIDE = SizeDecision((0,), (), (), 0, "fixed")


@dataclass(frozen=True)
class StepRecord:
    """What a step leaves behind: N drafted nodes with the root, M of them verified.

    The defaults are those of a pass that drafts nothing.
    """

    kind: Literal["prefill", "decode"]
    tree: TokenTree
    token_ids: tuple[int, ...]
    """(N,)."""
    choices: Sequence[int]
    """(M,) the model's token after each verified node."""
    acceptance: Acceptance
    """Its path counts verified nodes."""
    milliseconds: Milliseconds
    past_length: int
    probabilities: tuple[float, ...] = (1.0,)
    """(N,) draft probabilities."""
    pruning: Pruning | None = None
    final_probabilities: Sequence[float | None] = (None,)
    """(M,)."""
    decision: SizeDecision = NOTHING_TO_DECIDE
    prune_layer: int | None = None
    prune_top_k: int | None = None


def build_event(
    record: StepRecord, index: int, elapsed_s: float, finish_reason: FinishReason | None
) -> StepEvent:
    """The event of a step, its nodes numbered as they were drafted."""
    kept = record.pruning.kept if record.pruning else tuple(range(len(record.token_ids)))
    verified = {node: place for place, node in enumerate(kept)}
    accepted = tuple(kept[place] for place in record.acceptance.path)
    nodes = tuple(
        _node(record, node, verified.get(node), node in accepted)
        for node in range(len(record.token_ids))
    )
    tokens = [nodes[node].token_id for node in accepted]
    last = accepted[-1] if accepted else 0
    bonus = None
    if record.acceptance.bonus is not None:
        tokens.append(record.acceptance.bonus)
        bonus = Node(record.acceptance.bonus, last, nodes[last].depth + 1, 0, "bonus", 1.0)
    return StepEvent(
        index=index,
        kind=record.kind,
        nodes=nodes,
        bonus=bonus,
        accepted=accepted,
        token_ids=tuple(tokens),
        decision=record.decision,
        milliseconds=record.milliseconds,
        past_length=record.past_length,
        elapsed_s=elapsed_s,
        finish_reason=finish_reason,
        prune_layer=record.prune_layer,
        prune_top_k=record.prune_top_k,
    )


def _node(record: StepRecord, node: int, place: int | None, accepted: bool) -> Node:
    tree, pruning = record.tree, record.pruning
    fate: Fate = "accepted" if accepted else "rejected"
    if node == 0:
        fate = "root"
    elif place is None:
        fate = "pruned"
    return Node(
        token_id=record.token_ids[node],
        parent=tree.parents[node],
        depth=tree.depths[node],
        rank=tree.ranks[node],
        fate=fate,
        value=tree.values[node],
        draft_probability=record.probabilities[node] if node else None,
        early_rank=pruning.ranks[node] if pruning else None,
        early_probability=pruning.probabilities[node] if pruning else None,
        final_probability=None if place is None else record.final_probabilities[place],
        choice_id=None if place is None else record.choices[place],
    )


def final_probabilities(
    parents: Sequence[int], token_ids: Sequence[int], logits: Tensor
) -> list[float | None]:
    """The model's probability of each verified node given its path; None for the root.

    logits: (M, V), row p the scores of what follows node p.
    """
    if len(parents) == 1:
        return [None]
    rows = torch.tensor(parents[1:], device=logits.device)
    tokens = torch.tensor(token_ids[1:], device=logits.device)
    totals = logits.float().logsumexp(-1)
    chances = (logits[rows, tokens].float() - totals[rows]).exp()
    return [None, *chances.tolist()]
