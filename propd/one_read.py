"""The loop for a GPU: the device decides by itself, and the host reads once a step.

Every value that Python looks at makes it wait until the GPU is done, and then the GPU waits for
Python. In the loop of `propd.decoding` that happens three times a step: guesses, early look,
choices. Here the device prunes, walks down the tree and drafts for the token it arrives at, all
without a word, and one read at the end tells what became of the step together with the guesses for
the next. What is written is judged by the host, from the model's choices, as everywhere.

Three things differ from the other loop, and none of them can change the text:

- Trees are filled up to shapes that come again (`bucket_of`), as graphs need it.
- How many nodes may go on after pruning is settled before it: as many as are expected to survive,
  rounded up. When more survive, the least probable ones stay behind.
- Nodes keep their cache slots after pruning, so that nothing moves before the step is judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from propd.core import DecodingConfig, SizeDecision, StepEvent, TokenTree
from propd.decoding import DecodingSession, Verified
from propd.graphs import Eager, Graphs, record_cuda
from propd.heads.protocol import DraftHeads, can_guess_ahead, told_drafts
from propd.host import read, send
from propd.models.kv_cache import KVCache
from propd.nodes import Nodes
from propd.planning.chances import RunningRatio
from propd.planning.drafts import Drafted, Drafts, sources_of
from propd.planning.planner import Outlook, size_of
from propd.planning.pruner import Pruner, can_keep_on_device
from propd.rows import Row
from propd.sent import Sent, bucket_of, placement_of, pruning_read, survivors_of, tensors_of
from propd.shelf import Kept, Shelf
from propd.tree.forest import Forest, pack, unpack
from propd.tree.pruning import EarlyTensors, Pruning
from propd.tree.sampling import choose
from propd.tree.topology import ROOT_ONLY, ancestor_mask
from propd.verification import Verdict

COLUMNS = 256
"""Attention looks at so many slots, or at twice as many, ..."""
MARGIN = 1.25
"""Room for survivors, relative to what is expected."""


def session_class(
    device: torch.device,
    heads: DraftHeads | None,
    pruner: Pruner | None,
    config: DecodingConfig,
    shelf: Shelf,
) -> Callable[..., DecodingSession]:
    """The loop to run where this one is asked for: this one on CUDA, unless somebody's own part,
    dependent heads or typical acceptance need the host in the middle of a step."""
    able = heads is None or can_guess_ahead(heads)
    able = able and (pruner is None or can_keep_on_device(pruner))
    if device.type == "cuda" and able and config.acceptance == "exact":
        return partial(OneReadSession, shelf=shelf)
    return DecodingSession


class OneReadSession(DecodingSession):
    """Sequences decoded together on a device that the host waits for once a step.

    Beyond its base it owns a count of what pruning leaves, and until it is closed the graphs of
    its passes, which then go to the shelf with the cache that they write to.
    """

    def __init__(self, *given: Any, shelf: Shelf | None = None, **named: Any) -> None:
        """As its base. shelf: where an engine keeps caches and graphs between requests."""
        self._shelf, self.graphs = shelf, Eager()
        super().__init__(*given, **named)
        law = self.config
        self._law = law.temperature, law.top_k, law.top_p, law.min_p
        """What a captured choice does beside the weights: part of its key."""
        self.left = RunningRatio()
        """Nodes that survived, of those drafted."""
        self._wanted = self.planner.max_nodes > 0
        self._too_late = False
        """Whether the planner wants drafts and did not in the step before: it has changed its mind,
        and to ask the heads now would let the device wait for the host once more."""
        self._sent: Sent

    # Cache and graphs come from the shelf and go there.

    def _new_cache(self, slots: int) -> KVCache:
        kept = self._shelf and self._shelf.take(self.max_rows, slots, self.heads)
        if kept:
            self.graphs = kept.graphs
            return kept.cache
        device = self.backbone.device
        if device.type == "cuda" and torch.cuda.is_available():
            self.graphs = Graphs(partial(record_cuda, device))
        return super()._new_cache(slots)

    def close(self) -> None:
        """As its base, but what another request can use is not freed."""
        if self._shelf and not self.closed and isinstance(self.graphs, Graphs):
            self._shelf.put(Kept(self.cache, self.graphs, self.heads))
            self.cache, self.graphs = self.backbone.new_cache(0, 0), Eager()
        super().close()

    def _pass(self) -> list[StepEvent]:
        try:
            return super()._pass()
        except BaseException:
            self._shelf = None  # nobody knows what a broken step has left in the cache
            raise

    # Drafting, a step ahead.

    def _wants_drafts(self, outlook: Outlook) -> bool:
        # what the planner wants now it will want in the next step, too
        self._wanted = super()._wants_drafts(outlook)
        ready = all(row.said is not None for row in self.rows)
        self._too_late = self._wanted and self.heads is not None and not ready
        return self._wanted and not self._too_late

    def _plan(
        self, outlook: Outlook, drafts: Sequence[Drafts]
    ) -> tuple[list[TokenTree], SizeDecision]:
        if not self._too_late:
            return super()._plan(outlook, drafts)
        trees = [ROOT_ONLY] * outlook.rows  # guesses come with this step's read, for the next
        return trees, size_of(trees)

    def _ask(self, heads: DraftHeads) -> Sequence[Drafts]:
        return [row.said for row in self.rows if row.said is not None]

    def _draft_ahead(self) -> None:
        if self._sent.arrived:
            shape, guess = self._sent.shape, self._guess
            guesses = self.graphs(("guess", shape), guess, *self._sent.arrived)
            self._sent = replace(self._sent, guesses=guesses)

    def _guess(self, hidden: Tensor, roots: Tensor) -> tuple[Tensor, ...]:
        heads = self.heads
        return heads.guess(hidden, roots) if heads and can_guess_ahead(heads) else ()

    def _begin(self, row: Row, token: int, final: Tensor) -> Verdict:
        logits = self.backbone.logits(final)
        numbers = send(np.array(self._numbers(row, 1)), final.device)
        choice = choose(logits, numbers, self.config)
        guesses = self._guess(final, choice) if self.planner.max_nodes else ()
        chosen, *told = read(choice, *guesses)
        row.said = told_drafts(*told)[0] if told else None
        return self._judge(row, ROOT_ONLY, (token,), logits, chosen)

    def _numbers(self, row: Row, count: int) -> list[float]:
        return [0.0] * count if row.chooser.greedy else row.chooser.peek(count)

    # Through the layers.

    def _room(self, nodes: int) -> int:
        return bucket_of(nodes)

    def _embed(self, trees: Sequence[TokenTree], drafted: Sequence[Sequence[Drafted]]) -> Nodes:
        tokens = tuple(
            (row.root, *(node.token_id for node in nodes))
            for row, nodes in zip(self.rows, drafted, strict=True)
        )
        visible = tuple(ancestor_mask(tree.parents) for tree in trees)
        pasts = self.cache.lengths[: len(trees)]
        shape = self._rows_bucket(), bucket_of(max(map(len, tokens)))
        numbers = [
            self._numbers(row, max(tree.depths) + 1)
            for row, tree in zip(self.rows, trees, strict=True)
        ]
        sources = sources_of(drafted)
        forest = pack(trees, tokens, sources, visible, pasts, numbers, shape)
        packed = send(forest, self.backbone.device)
        end = COLUMNS
        while end < max(pasts) + shape[1]:
            end *= 2
        end = min(end, self.cache.capacity)
        self.cache.touch(end)
        self._sent = Sent(packed, shape, end)
        place_all = partial(self._place_all, shape, end)
        hidden, *place = self.graphs(("embed", shape, end), place_all, packed)
        return Nodes(tuple(trees), tokens, sources, visible, hidden, placement_of(shape, place))

    def _rows_bucket(self) -> int:
        """Rows that a pass is run with: 1, 2, 4, ... or all that the cache has."""
        return min(1 << (len(self.rows) - 1).bit_length(), self.max_rows)

    def _place_all(self, shape: tuple[int, int], end: int, packed: Tensor) -> tuple[Tensor, ...]:
        forest = unpack(packed, shape)
        hidden = self.backbone.embed(forest.tokens.flatten())
        return hidden, *tensors_of(self.backbone.place_forest(forest, end))

    def _run_early(self, nodes: Nodes) -> Nodes:
        return self._run("early", nodes, 0, self.prune_layer)

    def _run_late(self, nodes: Nodes) -> Nodes:
        return self._run("late", nodes, self.prune_layer, self.backbone.layer_count)

    def _run(self, name: str, nodes: Nodes, first: int, last: int) -> Nodes:
        """Some layers; behind the last one the final norm."""
        rows, _, count, end = nodes.place.mask.shape
        backbone, cache = self.backbone, self.cache

        def layers(hidden: Tensor, *place: Tensor) -> tuple[Tensor, ...]:
            where = placement_of((rows, count), place)
            hidden = backbone.run_layers(hidden, first, last, where, cache)
            return (backbone.final_norm(hidden) if last == backbone.layer_count else hidden,)

        key = name, first, last, rows, count, end
        (hidden,) = self.graphs(key, layers, nodes.hidden, *tensors_of(nodes.place))
        return replace(nodes, hidden=hidden)

    def _prune(
        self, nodes: Nodes, decision: SizeDecision, past: int
    ) -> tuple[Nodes, Pruning | None]:
        pruner, heads, sent = self.pruner, self.heads, self._sent
        largest = max(tree.size for tree in nodes.trees)
        if pruner is None or heads is None or not decision.prunes or not largest:
            return nodes, None
        forest = unpack(sent.packed, sent.shape)
        ranks, chances = self._look(heads, nodes.hidden, forest)
        seen = EarlyTensors(forest, ranks, chances, len(self.rows), nodes.starts[-1], past)
        keep = pruner.keeps(seen) if can_keep_on_device(pruner) else torch.ones_like(forest.real)
        room = min(bucket_of(1 + self._expected(largest)), sent.shape[1])
        picked, alive, wished = forest.pick(keep, chances, room)
        first = sent.shape[1] * torch.arange(len(picked), device=picked.device)[:, None]
        hidden = nodes.hidden.index_select(0, (picked + first).flatten())
        looked = (alive, ranks, chances, wished)
        self._sent = replace(sent, picked=picked, alive=alive, looked=looked)
        return replace(nodes, hidden=hidden, place=nodes.place.at(picked)), None

    def _look(self, heads: DraftHeads, hidden: Tensor, forest: Forest) -> tuple[Tensor, Tensor]:
        """The early head's ranks and chances of all nodes, (R, N)."""
        shape = forest.tokens.shape
        first = shape[1] * torch.arange(shape[0], device=hidden.device)[:, None]
        parents, tokens = (forest.parents + first).flatten(), forest.tokens.flatten()
        seen = hidden.to(self.backbone.dtype)
        look: Any = heads.look_early  # of `AheadHeads`: it takes tensors
        ranks, chances = look(self.prune_layer, seen, parents, tokens)
        return ranks.view(shape), chances.double().view(shape)

    def _expected(self, drafted: int) -> int:
        """Survivors of the largest tree that there shall be room for."""
        return min(drafted, math.ceil(MARGIN * min(1.0, self.left.value) * drafted))

    # The model's word, and what the host makes of it.

    def _score(self, nodes: Nodes) -> Tensor:
        sent, ahead = self._sent, self._wanted and self.heads is not None
        pruned = () if sent.picked is None or sent.alive is None else (sent.picked, sent.alive)
        key = "score", self._law, sent.shape, nodes.place.mask.shape[2], bool(pruned), ahead
        score = partial(self._choose, sent.shape, ahead)
        inputs = nodes.hidden, sent.packed, *pruned
        logits, choices, *arrived = self.graphs(key, score, *inputs)
        self._sent = replace(sent, choices=(choices,), arrived=tuple(arrived))
        return logits

    def _choose(
        self, shape: tuple[int, int], ahead: bool, final: Tensor, packed: Tensor, *pruned: Tensor
    ) -> tuple[Tensor, ...]:
        """Logits, choices, and with ``ahead`` where they lead; see `Sent`."""
        forest, (rows, count) = unpack(packed, shape), shape
        everything = torch.arange(count, device=packed.device).expand(shape)
        picked, alive = pruned if pruned else (everything, forest.real)
        logits = self.backbone.logits(final)
        chosen = choose(logits, forest.numbers.gather(1, picked).flatten(), self.config)
        choices = torch.full_like(forest.tokens, -1).scatter(1, picked, chosen.view(rows, -1))
        choices = choices.masked_fill(~alive, -1)
        if not ahead:
            return logits, choices
        last = forest.walk(choices, alive)[:, None]
        place = (picked == last).long().argmax(-1)
        hidden = final.view(rows, -1, final.shape[-1])
        hidden = hidden[torch.arange(rows, device=final.device), place]
        # a row of padding arrives nowhere: any token will do
        return logits, choices, hidden, choices.gather(1, last).squeeze(1).clamp_min(0)

    def _verify(self, kept: Nodes, pruning: Pruning | None, logits: Tensor) -> Verified:
        sent, sizes = self._sent, [len(tokens) for tokens in kept.token_ids]
        choices, *told = read(*sent.choices, *sent.looked, *sent.guesses)
        self._remember(told[len(sent.looked) :])
        places = [tuple(range(size)) for size in sizes]
        if sent.looked:
            pruning = pruning_read(sizes, *told[:3])
            self._count(sizes, told[3])
            alive = [row[:size] for row, size in zip(told[0], sizes, strict=False)]
            places = [tuple(n for n, lives in enumerate(row) if lives) for row in alive]
            kept = survivors_of(kept, places)
        self._sent = replace(sent, kept=tuple(places))
        verdicts = [
            self._judge(
                row,
                kept.trees[slot],
                kept.token_ids[slot],
                logits[kept.span(slot)],
                [choices[slot][place] for place in places[slot]],
            )
            for slot, row in enumerate(self.rows)
        ]
        return Verified(kept, pruning, verdicts)

    def _remember(self, guesses: Sequence[Any]) -> None:
        """What the heads guessed ahead, for the next step."""
        said = told_drafts(*guesses) if guesses else [None] * len(self.rows)
        for row, drafts in zip(self.rows, said, strict=False):
            row.said = drafts

    def _count(self, sizes: Sequence[int], wished: Sequence[int]) -> None:
        rows = len(sizes)
        self.left.observe(sum(wished[:rows]) - rows, sum(sizes) - rows)

    def _commit(self, kept: Nodes, verdicts: Sequence[Verdict]) -> None:
        paths = [
            [places[node] for node in (0, *verdict.acceptance.path)]
            for places, verdict in zip(self._sent.kept, verdicts, strict=True)
        ]
        self.cache.commit_all(paths)
        for slot, (row, verdict) in enumerate(zip(self.rows, verdicts, strict=True)):
            row.settle(verdict, kept.hidden[kept.span(slot)], kept.token_ids[slot])
