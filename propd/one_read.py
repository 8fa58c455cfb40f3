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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from propd.core import DecodingConfig, SizeDecision, TokenTree
from propd.decoding import DecodingSession, Verified
from propd.graphs import Eager, Graphs
from propd.heads.protocol import DraftHeads, can_guess_ahead, told_drafts
from propd.host import read, send
from propd.models.placement import Placement, one_block
from propd.nodes import Nodes, at_places
from propd.planning.chances import RunningRatio
from propd.planning.drafts import Drafted, Drafts
from propd.planning.pruner import Pruner, can_keep_on_device
from propd.rows import Row
from propd.tree.forest import Forest, pack, unpack
from propd.tree.pruning import EarlyTensors, Pruning
from propd.tree.sampling import choose
from propd.tree.topology import ROOT_ONLY, ancestor_mask, select
from propd.verification import Verdict

NODES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
"""Nodes a row, the root included, that a pass is filled up to; larger ones to multiples of 32."""
COLUMNS = 256
"""Attention looks at so many slots, or at twice as many, ..."""
MARGIN = 1.25
"""Room for survivors, relative to what is expected."""


def session_class(
    device: torch.device, heads: DraftHeads | None, pruner: Pruner | None, config: DecodingConfig
) -> type[DecodingSession]:
    """The loop to run where this one is asked for: this one on CUDA, unless somebody's own part,
    dependent heads or typical acceptance need the host in the middle of a step."""
    able = heads is None or can_guess_ahead(heads)
    able = able and (pruner is None or can_keep_on_device(pruner))
    if device.type == "cuda" and able and config.acceptance == "exact":
        return OneReadSession
    return DecodingSession


def bucket_of(nodes: int) -> int:
    """The smallest number of nodes that a pass is run with and that is no smaller than this."""
    return next((size for size in NODES if size >= nodes), -(-nodes // 32) * 32)


@dataclass(frozen=True)
class Sent:
    """What the device has of the step that runs, and the host has not read yet."""

    packed: Tensor
    """The trees, see `propd.tree.forest`."""
    shape: tuple[int, int]
    """(R, N) of the forest; rows beyond those of the session are padding."""
    end: int
    """Slots that attention looks at."""
    picked: Tensor | None = None
    """(R, M) the nodes that went on after pruning; None: all did."""
    alive: Tensor | None = None
    """(R, N) bool: those of them that the pruner let live; likewise None."""
    looked: tuple[Tensor, ...] = ()
    """Of a step that pruned: alive, the early head's ranks and chances, (R, N), and the number of
    nodes that the pruner would have let live, (R,)."""
    choices: tuple[Tensor, ...] = ()
    """One, (R, N): the model's own token after each verified node, -1 elsewhere."""
    arrived: tuple[Tensor, ...] = ()
    """Hidden states (R, H) of the last right nodes, and the tokens (R,) that follow."""
    guesses: tuple[Tensor, ...] = ()
    """What the heads put after these, see `guesses_of`."""
    kept: tuple[tuple[int, ...], ...] = ()
    """Read: for each row, the places of its verified nodes."""


class OneReadSession(DecodingSession):
    """Sequences decoded together on a device that the host waits for once a step.

    Beyond its base it owns the graphs of its passes and a count of what pruning leaves.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        """As its base."""
        super().__init__(*given, **named)
        on_gpu = self.backbone.device.type == "cuda" and torch.cuda.is_available()
        self.graphs: Eager = Graphs() if on_gpu else Eager()
        self.left = RunningRatio()
        """Nodes that survived, of those drafted."""
        self._wanted = self.planner.max_nodes > 0
        self._sent: Sent

    # Drafting, a step ahead.

    def _draft(self, wanted: bool) -> Sequence[Drafts]:
        self._wanted = wanted  # what the planner wants now it will want in the next step, too
        return super()._draft(wanted)

    def _ask(self, heads: DraftHeads) -> Sequence[Drafts]:
        said = [row.said for row in self.rows if row.said is not None]
        # short of some when the planner has changed its mind: that takes a read more
        return said if len(said) == len(self.rows) else super()._ask(heads)

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
        guesses = self._guess(final, choice) if self._wanted else ()
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
        packed = send(pack(trees, tokens, visible, pasts, numbers, shape), self.backbone.device)
        end = COLUMNS
        while end < max(pasts) + shape[1]:
            end *= 2
        end = min(end, self.cache.capacity)
        self.cache.touch(end)
        self._sent = Sent(packed, shape, end)
        place_all = partial(self._place_all, shape, end)
        hidden, *place = self.graphs(("embed", shape, end), place_all, packed)
        return Nodes(tuple(trees), tokens, visible, hidden, _placement(shape, place))

    def _rows_bucket(self) -> int:
        """Rows that a pass is run with: 1, 2, 4, ... or all that the cache has."""
        return min(1 << (len(self.rows) - 1).bit_length(), self.max_rows)

    def _place_all(self, shape: tuple[int, int], end: int, packed: Tensor) -> tuple[Tensor, ...]:
        forest = unpack(packed, shape)
        hidden = self.backbone.embed(forest.tokens.flatten())
        return hidden, *_tensors(self.backbone.place_forest(forest, end))

    def _run_early(self, nodes: Nodes) -> Nodes:
        return self._run("early", nodes, 0, self.prune_layer)

    def _run_late(self, nodes: Nodes) -> Nodes:
        return self._run("late", nodes, self.prune_layer, self.backbone.layer_count)

    def _run(self, name: str, nodes: Nodes, first: int, last: int) -> Nodes:
        """Some layers; behind the last one the final norm."""
        rows, _, count, end = nodes.place.mask.shape
        backbone, cache = self.backbone, self.cache

        def layers(hidden: Tensor, *place: Tensor) -> tuple[Tensor, ...]:
            where = _placement((rows, count), place)
            hidden = backbone.run_layers(hidden, first, last, where, cache)
            return (backbone.final_norm(hidden) if last == backbone.layer_count else hidden,)

        key = name, rows, count, end
        (hidden,) = self.graphs(key, layers, nodes.hidden, *_tensors(nodes.place))
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
        key = "score", sent.shape, nodes.place.mask.shape[2], bool(pruned), ahead
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
            pruning = _pruning(sizes, *told[:3])
            self._count(sizes, told[3])
            alive = [row[:size] for row, size in zip(told[0], sizes, strict=False)]
            places = [tuple(n for n, lives in enumerate(row) if lives) for row in alive]
            kept = _survivors(kept, places)
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


def _tensors(place: Placement) -> tuple[Tensor, ...]:
    return place.turns, place.mask, place.cache_rows, place.cache_slots


def _placement(shape: tuple[int, int], tensors: Sequence[Tensor]) -> Placement:
    """The placement of R rows of N nodes that has these tensors."""
    rows, count = shape
    starts = tuple(range(0, rows * count + 1, count))
    turns, mask, cache_rows, cache_slots = tensors
    blocks = (one_block(0, mask),)
    return Placement(0, starts, turns, cache_rows, cache_slots, blocks, ends_there=False)


def _pruning(
    sizes: Sequence[int],
    alive: Sequence[Sequence[bool]],
    ranks: Sequence[Sequence[float]],
    chances: Sequence[Sequence[float]],
) -> Pruning:
    """What was read of pruning, without padding; roots have no ranks."""
    spans = [range(size) for size in sizes]
    return Pruning(
        tuple(alive[r][n] for r, span in enumerate(spans) for n in span),
        tuple(int(ranks[r][n]) if n else None for r, span in enumerate(spans) for n in span),
        tuple(chances[r][n] if n else None for r, span in enumerate(spans) for n in span),
    )


def _survivors(nodes: Nodes, places: Sequence[Sequence[int]]) -> Nodes:
    """The nodes as the host knows them; their tensors are sub-sampled already."""
    pairs = zip(nodes.trees, places, strict=True)
    trees = tuple(select(tree, row) for tree, row in pairs)
    return replace(nodes, trees=trees, token_ids=at_places(nodes.token_ids, places), visible=())
