"""From the outcome of a step to the event that tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

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
from propd.host import read, send
from propd.nodes import Nodes
from propd.planning.drafts import Drafted, Drafts
from propd.planning.feedback import RowFeedback, row_feedback
from propd.tree.pruning import Pruning
from propd.verification import Verdict

NOTHING_TO_DECIDE = SizeDecision((0,), (), (), 0, "fixed")


@dataclass(frozen=True)
class StepRecord:
    """What a step leaves behind of one row: N drafted nodes with the root, M of them verified.

    The defaults are those of a pass that drafts nothing.
    """

    kind: Literal["prefill", "decode"]
    tree: TokenTree
    token_ids: tuple[int, ...]
    """(N,)."""
    verdict: Verdict
    """Its path counts verified nodes."""
    milliseconds: Milliseconds
    past_length: int
    drafted: Sequence[Drafted] = ()
    """(N - 1,) what was guessed for every node but the root."""
    kept: tuple[int, ...] = (0,)
    """(M,) the verified nodes."""
    early_ranks: tuple[int | None, ...] | None = None
    """(N,) places under the early head; None when the step did not prune."""
    early_probabilities: tuple[float | None, ...] | None = None
    final_probabilities: Sequence[float | None] = (None,)
    """(M,)."""
    decision: SizeDecision = NOTHING_TO_DECIDE
    prune_layer: int | None = None
    prune_rule: str | None = None
    prune_top_k: int | None = None
    prune_threshold: float | None = None


@dataclass(frozen=True)
class Step:
    """What a step leaves behind of all its rows."""

    nodes: Nodes
    """As they were drafted."""
    kept: Nodes
    """Those that were verified."""
    pruning: Pruning | None
    verdicts: Sequence[Verdict]
    drafts: Sequence[Drafts]
    drafted: Sequence[Sequence[Drafted]]
    """For each row, what stands at every node of its tree but the root."""
    heads_ran: bool
    decision: SizeDecision
    milliseconds: Milliseconds
    pasts: Sequence[int]

    def record(self, slot: int, final: Sequence[float | None]) -> StepRecord:
        """The record of one row. final: (M,) the model's probabilities of its verified nodes."""
        tree, span = self.nodes.trees[slot], self._span(slot)
        return StepRecord(
            kind="decode",
            tree=tree,
            token_ids=self.nodes.token_ids[slot],
            verdict=self.verdicts[slot],
            milliseconds=self.milliseconds,
            past_length=self.pasts[slot],
            drafted=self.drafted[slot],
            kept=self._kept(slot),
            early_ranks=self.pruning.ranks[span] if self.pruning else None,
            early_probabilities=self.pruning.probabilities[span] if self.pruning else None,
            final_probabilities=final,
            decision=self.decision,
        )

    def feedback(self, slot: int) -> RowFeedback:
        """What the step taught about one row."""
        kept, verdict = self._kept(slot), self.verdicts[slot]
        return row_feedback(
            self.drafts[slot],
            self.nodes.trees[slot],
            self.nodes.token_ids[slot],
            self._alive(slot),
            self.pruning.probabilities[self._span(slot)] if self.pruning else None,
            [kept[place] for place in verdict.acceptance.path],
            verdict.truths(),
            self.nodes.sources[slot],
        )

    def _span(self, slot: int) -> slice:
        return slice(self.nodes.starts[slot], self.nodes.starts[slot + 1])

    def _alive(self, slot: int) -> Sequence[bool]:
        if self.pruning is None:
            return (True,) * (self.nodes.trees[slot].size + 1)
        return self.pruning.alive[self._span(slot)]

    def _kept(self, slot: int) -> tuple[int, ...]:
        return tuple(node for node, lives in enumerate(self._alive(slot)) if lives)


def build_event(
    record: StepRecord, index: int, elapsed_s: float, finish_reason: FinishReason | None
) -> StepEvent:
    """The event of a step, its nodes numbered as they were drafted."""
    acceptance = record.verdict.acceptance
    verified = {node: place for place, node in enumerate(record.kept)}
    accepted = tuple(record.kept[place] for place in acceptance.path)
    nodes = tuple(
        _node(record, node, verified.get(node), node in accepted)
        for node in range(len(record.token_ids))
    )
    tokens = [nodes[node].token_id for node in accepted]
    last = accepted[-1] if accepted else 0
    bonus = None
    if acceptance.bonus is not None:
        tokens.append(acceptance.bonus)
        bonus = Node(acceptance.bonus, last, nodes[last].depth + 1, 0, "bonus", 1.0)
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
        prune_rule=record.prune_rule,
        prune_top_k=record.prune_top_k,
        prune_threshold=record.prune_threshold,
    )


def _node(record: StepRecord, node: int, place: int | None, accepted: bool) -> Node:
    tree, ranks, early = record.tree, record.early_ranks, record.early_probabilities
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
        draft_probability=record.drafted[node - 1].probability if node else None,
        source=record.drafted[node - 1].source if node else "head",
        early_rank=ranks[node] if ranks else None,
        early_probability=early[node] if early else None,
        final_probability=None if place is None else record.final_probabilities[place],
        choice_id=None if place is None else record.verdict.choices[place],
    )


def final_probabilities(
    parents: Sequence[int], token_ids: Sequence[int], logits: Tensor
) -> list[float | None]:
    """The model's probability of each verified node given its path; None for the root.

    logits: (M, V), row p the scores of what follows node p.
    """
    if len(parents) == 1:
        return [None]
    rows = send(parents[1:], logits.device)
    tokens = send(token_ids[1:], logits.device)
    totals = logits.float().logsumexp(-1)
    chances = (logits[rows, tokens].float() - totals[rows]).exp()
    return [None, *read(chances)[0]]
