"""The loop: draft, grow, early layers, prune, late layers, verify, accept, commit.

Every method runs through it; they differ only in the planner and in whether they prune. It knows
token ids and time, and nothing of text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from propd.clock import BusyClock, StepWatch
from propd.core import DecodingConfig, FinishReason, StepEvent, TokenTree
from propd.events import StepRecord, build_event, final_probabilities
from propd.methods import MethodSettings
from propd.models.backbone import Backbone, Placement
from propd.models.heads import Heads
from propd.planning.planner import NO_DRAFTS, Drafts, Planner
from propd.tree.acceptance import accept_greedy
from propd.tree.pruning import Pruning, prune_top_k, successors_wanted
from propd.tree.topology import ROOT_ONLY, ancestor_mask, select

RANKS = 10
"""Guesses a head may put into the tree at one depth (Medusa's TOPK)."""
PREFILL_CHUNK = 512


@dataclass(frozen=True)
class Pass:
    """The nodes that are running through the layers: B = 1 row of them."""

    tree: TokenTree
    token_ids: tuple[int, ...]
    reduced_ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    hidden: Tensor
    """(1, N, H)."""
    place: Placement


class DecodingSession:
    """One request being decoded. Owns cache and planner; weights and heads are shared."""

    def __init__(
        self,
        backbone: Backbone,
        heads: Heads | None,
        settings: MethodSettings,
        planner: Planner,
        config: DecodingConfig,
        end_tokens: Sequence[int],
    ) -> None:
        self.backbone, self.heads, self.planner, self.config = backbone, heads, planner, config
        self.end_tokens = frozenset(() if config.ignore_eos else end_tokens)
        self.prunes = settings.pruning and heads is not None
        self.prune_layer = heads.config.prune_layer if heads is not None else 0
        self.top_k = config.prune_top_k or (heads.config.prune_top_k if heads is not None else 0)
        self.finish_reason: FinishReason | None = None
        self.clock = BusyClock()

    @torch.inference_mode()
    def run(self, prompt_ids: Sequence[int]) -> Iterator[StepEvent]:
        """Decode; one event for the prefill, then one a step. Closing the iterator cancels."""
        self.remaining = min(
            self.config.max_new_tokens, self.backbone.max_positions - len(prompt_ids)
        )
        capacity = len(prompt_ids) + self.remaining + self.planner.max_nodes + 1
        self.cache = self.backbone.new_cache(batch=1, capacity=capacity)
        self.index = 0
        yield self._hand_over(self.prefill(prompt_ids))
        while self.finish_reason is None:
            self.clock.resume()
            yield self._hand_over(self.step())

    def step(self) -> StepRecord:
        """One pass through the loop."""
        watch = StepWatch()
        drafts = self._draft()
        watch.lap("draft")
        tree, decision = self.planner.plan(drafts, deepest=self.remaining - 1)
        nodes = self._embed(tree, drafts)
        watch.lap("grow")
        nodes = self._run_early_layers(nodes)
        watch.lap("early")
        survivors, pruning = self._prune(nodes)
        watch.lap("prune")
        final = self._run_late_layers(survivors)
        watch.lap("late")
        logits = self.backbone.logits(final)
        choices: list[int] = logits[0].argmax(-1).tolist()
        accepted = accept_greedy(
            survivors.tree.parents, survivors.token_ids, choices, self.end_tokens
        )
        watch.lap("verify")
        self._commit(accepted.path, final, choices)
        self._finish(accepted.ended, len(accepted.path) + (accepted.bonus is not None))
        self._learn(tree.size, drafts, accepted.path, survivors, choices, watch)
        watch.lap("commit")
        return StepRecord(
            kind="decode",
            tree=tree,
            token_ids=nodes.token_ids,
            choices=choices,
            acceptance=accepted,
            milliseconds=watch.result(),
            past_length=self.cache.lengths[0] - len(accepted.path) - 1,
            probabilities=nodes.probabilities,
            pruning=pruning,
            final_probabilities=self._final_probabilities(survivors, logits),
            decision=decision,
            prune_layer=self.prune_layer if self.prunes else None,
            prune_top_k=self.top_k if self.prunes else None,
        )

    def prefill(self, prompt_ids: Sequence[int]) -> StepRecord:
        """Read the prompt; its last token is the root, and the first new token the bonus."""
        watch = StepWatch()
        final = torch.empty(0)
        for start in range(0, len(prompt_ids), PREFILL_CHUNK):
            chunk = prompt_ids[start : start + PREFILL_CHUNK]
            hidden = self.backbone.embed(self._ids(chunk))
            causal = torch.ones(len(chunk), len(chunk), dtype=torch.bool).tril()
            place = self._place(causal, range(len(chunk)))
            layers = self.backbone.layer_count
            final = self.backbone.run_layers(hidden, 0, layers, place, self.cache)[:, -1:]
            self.cache.commit(0, range(len(chunk)))
        watch.lap("late")
        final = self.backbone.final_norm(final)
        logits = self.backbone.logits(final)
        choices: list[int] = logits[0].argmax(-1).tolist()
        accepted = accept_greedy((-1,), (prompt_ids[-1],), choices, self.end_tokens)
        self.last_hidden, self.root = final[:, -1], choices[0]
        self._finish(accepted.ended, 1)
        watch.lap("verify")
        return StepRecord(
            kind="prefill",
            tree=ROOT_ONLY,
            token_ids=(prompt_ids[-1],),
            choices=choices,
            acceptance=accepted,
            milliseconds=watch.result(),
            past_length=0,
        )

    # The verbs of the loop, in its order.

    def _draft(self) -> Drafts:
        if not self.planner.uses_drafts or self.heads is None:
            return NO_DRAFTS
        logits = self.heads.draft_logits(self.last_hidden, self._ids([self.root])[0])[0]
        scores, reduced = logits.topk(RANKS, dim=-1)
        chances = (scores - logits.logsumexp(-1, keepdim=True)).exp()
        tokens = self.heads.token_map[reduced]
        told = torch.stack([tokens.double(), reduced.double(), chances.double()]).tolist()
        ids, places = ([tuple(map(int, row)) for row in part] for part in told[:2])
        return Drafts(tuple(ids), tuple(places), tuple(map(tuple, told[2])))

    def _embed(self, tree: TokenTree, drafts: Drafts) -> Pass:
        spots = list(zip(tree.depths, tree.ranks, strict=True))[1:]
        token_ids = (self.root, *(drafts.token_ids[d - 1][k] for d, k in spots))
        reduced_ids = (0, *(drafts.reduced_ids[d - 1][k] for d, k in spots))
        probabilities = (1.0, *(drafts.probabilities[d - 1][k] for d, k in spots))
        place = self._place(torch.from_numpy(ancestor_mask(tree.parents)), tree.depths)
        hidden = self.backbone.embed(self._ids(token_ids))
        return Pass(tree, token_ids, reduced_ids, probabilities, hidden, place)

    def _run_early_layers(self, nodes: Pass) -> Pass:
        hidden = self.backbone.run_layers(
            nodes.hidden, 0, self.prune_layer, nodes.place, self.cache
        )
        return replace(nodes, hidden=hidden)

    def _prune(self, nodes: Pass) -> tuple[Pass, Pruning | None]:
        if not self.prunes or self.heads is None or nodes.tree.size == 0:
            return nodes, None
        parents = torch.tensor(successors_wanted(nodes.tree), device=self.backbone.device)
        scores = self.heads.early_logits(nodes.hidden[0, parents])
        pruning = prune_top_k(nodes.tree, nodes.reduced_ids, scores, self.top_k)
        if len(pruning.kept) == len(nodes.token_ids):
            return nodes, pruning
        # K and V below the prune layer close up, so that one index counts in all layers
        self.cache.keep(slice(0, self.prune_layer), 0, pruning.kept)
        return _survivors(nodes, pruning.kept), pruning

    def _run_late_layers(self, nodes: Pass) -> Tensor:
        layers = self.backbone.layer_count
        hidden = self.backbone.run_layers(
            nodes.hidden, self.prune_layer, layers, nodes.place, self.cache
        )
        return self.backbone.final_norm(hidden)

    def _commit(self, path: Sequence[int], final: Tensor, choices: Sequence[int]) -> None:
        self.cache.commit(0, (0, *path))
        last = path[-1] if path else 0
        self.last_hidden, self.root = final[:, last], choices[last]

    def _finish(self, ended: bool, added: int) -> None:
        self.remaining -= added
        if ended:
            self.finish_reason = "eos"
        elif self.remaining <= 0:
            self.finish_reason = "length"

    def _learn(
        self,
        size: int,
        drafts: Drafts,
        path: Sequence[int],
        survivors: Pass,
        choices: Sequence[int],
        watch: StepWatch,
    ) -> None:
        # What the model put after the root and after each accepted node is what the heads for
        # depths 1, 2, ... should have said, in the tree or not.
        truths = [choices[node] for node in (0, *path)][: len(drafts.token_ids)]
        ranks = [
            row.index(truth) if truth in row else None
            for row, truth in zip(drafts.token_ids, truths, strict=False)
        ]
        self.planner.learn(size, ranks, watch.result().total)

    def _final_probabilities(self, nodes: Pass, logits: Tensor) -> Sequence[float | None]:
        if not self.config.record_probabilities:
            return (None,) * len(nodes.token_ids)
        self.clock.pause()  # for pictures only: it is not part of the decoding
        chances = final_probabilities(nodes.tree.parents, nodes.token_ids, logits[0])
        self.clock.resume()
        return chances

    # Helpers.

    def _hand_over(self, record: StepRecord) -> StepEvent:
        event = build_event(record, self.index, self.clock.seconds, self.finish_reason)
        self.index += 1
        self.clock.pause()
        return event

    def _ids(self, token_ids: Sequence[int]) -> Tensor:
        return torch.tensor([token_ids], device=self.backbone.device)

    def _place(self, visible: Tensor, depths: Sequence[int]) -> Placement:
        """Placement of nodes after the past. visible: (N, N) bool, who sees whom."""
        past, nodes = self.cache.lengths[0], len(depths)
        mask = torch.zeros(1, 1, nodes, past + nodes, dtype=self.backbone.dtype)
        mask[0, 0, :, past:].masked_fill_(~visible, float("-inf"))
        positions = torch.tensor([depths]) + past
        device = self.backbone.device
        return self.backbone.place(positions.to(device), mask.to(device))


def _survivors(nodes: Pass, kept: Sequence[int]) -> Pass:
    """Hidden states, positions and mask of the kept nodes: sub-sampled, not rebuilt."""
    index = torch.tensor(kept, device=nodes.hidden.device)
    return Pass(
        tree=select(nodes.tree, kept),
        token_ids=tuple(nodes.token_ids[node] for node in kept),
        reduced_ids=tuple(nodes.reduced_ids[node] for node in kept),
        probabilities=tuple(nodes.probabilities[node] for node in kept),
        hidden=nodes.hidden.index_select(1, index),
        place=nodes.place.select(index),
    )
