"""What a device has of a step that runs without a word to the host, and how the host reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from propd.models.placement import Placement, one_block
from propd.nodes import Nodes, at_places
from propd.tree.pruning import Pruning
from propd.tree.topology import select

NODES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
"""Nodes a row, the root included, that a pass is filled up to; larger ones to multiples of 32."""


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


def tensors_of(place: Placement) -> tuple[Tensor, ...]:
    """What a pass needs of a placement: turns, mask, rows and slots of the cache."""
    return place.turns, place.mask, place.cache_rows, place.cache_slots


def placement_of(shape: tuple[int, int], tensors: Sequence[Tensor]) -> Placement:
    """The placement of R rows of N nodes that has these tensors."""
    rows, count = shape
    starts = tuple(range(0, rows * count + 1, count))
    turns, mask, cache_rows, cache_slots = tensors
    blocks = (one_block(0, mask),)
    return Placement(0, starts, turns, cache_rows, cache_slots, blocks, ends_there=False)


def pruning_read(
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


def survivors_of(nodes: Nodes, places: Sequence[Sequence[int]]) -> Nodes:
    """The nodes as the host knows them; their tensors are sub-sampled already."""
    pairs = zip(nodes.trees, places, strict=True)
    trees = tuple(select(tree, row) for tree, row in pairs)
    tokens, sources = at_places(nodes.token_ids, places), at_places(nodes.sources, places)
    return replace(nodes, trees=trees, token_ids=tokens, sources=sources, visible=())
