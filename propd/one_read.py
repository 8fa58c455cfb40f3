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
from typing import Any

import torch
from torch import Tensor

from propd.core import DecodingConfig, SizeDecision, TokenTree
from propd.decoding import DecodingSession, Verified
from propd.graphs import Eager, Graphs
from propd.heads.protocol import DraftHeads, can_guess_ahead, told_drafts
from propd.host import read, send
from propd.models.placement import Placement
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
    """The loop to run: this one on CUDA, unless somebody's own part, dependent heads or typical
    acceptance need the host in the middle of a step."""
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
    choices: Tensor | None = None
    """(R, N) the model's own token after each verified node, -1 elsewhere."""
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
        numbers = send(torch.tensor(self._numbers(row, 1), dtype=torch.float64), final.device)
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
        hidden, *place = self.graphs(("embed", shape, end), self._place_all, packed)
        return Nodes(tuple(trees), tokens, visible, hidden, _placement(shape, *place))
