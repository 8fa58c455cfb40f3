"""Who may look at whom, on 2,000 random trees: drafted, pruned, and placed in a batch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

from propd.core import TokenTree
from propd.models.placement import Placement, place_nodes
from propd.nodes import Nodes, kept_places, survivors
from propd.tree.topology import ancestor_mask, select
from tests.harness import depths_of, random_parents

TREES, LARGEST = 2000, 40


def relation(parents: Sequence[int]) -> list[set[int]]:
    """For each node, itself and its ancestors, found by walking up."""
    seen = []
    for node in range(len(parents)):
        above, up = set(), node
        while up >= 0:
            above.add(up)
            up = parents[up]
        seen.append(above)
    return seen


def as_sets(mask: np.ndarray) -> list[set[int]]:
    """For each row of a mask, the columns that are seen."""
    return [set(np.flatnonzero(row).tolist()) for row in mask]


def tree_of(parents: Sequence[int]) -> TokenTree:
    """A tree of this shape; rank and value tell the nodes apart."""
    count = len(parents)
    values = tuple(1 - node / count for node in range(count))
    return TokenTree(tuple(parents), tuple(range(count)), tuple(depths_of(parents)), values)


@cache
def random_trees() -> list[TokenTree]:
    """The trees of this file: chains, stars, and all between, roots alone included."""
    source = random.Random(0)
    return [tree_of(random_parents(source, source.randint(0, LARGEST))) for _ in range(TREES)]


def pruned_at_random(source: random.Random, parents: Sequence[int]) -> list[bool]:
    """Which nodes live when each is cut with its sub-tree by chance; from all to the root alone."""
    share = source.choice([0.0, 0.5, 0.8, 1.0])
    alive: list[bool] = []
    for parent in parents:
        alive.append(parent < 0 or (alive[parent] and source.random() < share))
    return alive


def test_a_node_sees_itself_and_its_ancestors() -> None:
    for tree in random_trees():
        mask = ancestor_mask(tree.parents)
        assert as_sets(mask) == relation(tree.parents)
        assert mask.any(axis=1).all()


def test_a_pruned_tree_is_the_same_tree_without_the_dead() -> None:
    """`select` renumbers; each survivor must keep its parent, depth, rank and value."""
    source = random.Random(1)
    for tree in random_trees():
        alive = pruned_at_random(source, tree.parents)
        kept = [node for node, lives in enumerate(alive) if lives]
        small = select(tree, kept)
        for place, node in enumerate(kept):
            parent = tree.parents[node]
            assert small.parents[place] == (-1 if parent < 0 else kept.index(parent))
        assert small.depths == tuple(depths_of(small.parents))
        assert (small.ranks, small.values) == (
            tuple(tree.ranks[node] for node in kept),
            tuple(tree.values[node] for node in kept),
        )


TABLE = torch.complex(torch.arange(200.0), torch.tensor(1000.0).expand(200))[:, None].expand(-1, 2)
"""In place of turns: a number that tells the position."""


def place(trees: Sequence[TokenTree], pasts: Sequence[int], first_row: int) -> Placement:
    masks = [ancestor_mask(tree.parents) for tree in trees]
    return place_nodes(TABLE, masks, [tree.depths for tree in trees], pasts, first_row)


def check_placement(
    placed: Placement, trees: Sequence[TokenTree], pasts: Sequence[int], first_row: int
) -> None:
    """Mask, positions, slots and rectangle of a batch, each against its plain meaning."""
    counts = [len(tree.parents) for tree in trees]
    end = max(past + count for past, count in zip(pasts, counts, strict=True))
    assert placed.mask.shape == (len(trees), 1, max(counts), end)
    assert set(placed.mask.unique().tolist()) <= {0.0, -torch.inf}
    seen = (placed.mask[:, 0] == 0).numpy()
    assert seen.any(axis=-1).all()  # a row that sees nothing would give NaN
    node = 0
    for row, (tree, past, count) in enumerate(zip(trees, pasts, counts, strict=True)):
        expected = [
            set(range(past)) | {past + up for up in above} for above in relation(tree.parents)
        ]
        assert as_sets(seen[row, :count]) == expected
        for depth in tree.depths:
            assert placed.turns[node].flatten().tolist() == [complex(past + depth, 1000)] * 2
            node += 1
        slots = placed.cache_slots[placed.starts[row] : placed.starts[row + 1]]
        assert slots.tolist() == list(range(past, past + count))
        rows = placed.cache_rows[placed.starts[row] : placed.starts[row + 1]]
        assert rows.tolist() == [first_row + row] * count
    line = torch.arange(sum(counts))
    rectangle = placed.to_rectangle(line)
    assert rectangle.shape == (len(trees), max(counts))
    assert placed.to_line(rectangle).tolist() == line.tolist()
    for row, count in enumerate(counts):
        assert rectangle[row, :count].tolist() == line[placed.starts[row] :][:count].tolist()


def groups(source: random.Random) -> list[tuple[list[TokenTree], list[int], int]]:
    """The trees in batches of 1 to 6, behind pasts of 1 to 99 tokens."""
    found, left = [], list(random_trees())
    while left:
        rows = [left.pop() for _ in range(min(len(left), source.randint(1, 6)))]
        found.append((rows, [source.randint(1, 99) for _ in rows], source.randint(0, 3)))
    return found


def test_in_a_batch_every_row_sees_its_own_past_and_tree() -> None:
    """And no row of the mask is empty, the padding of small trees included."""
    padded = 0
    for trees, pasts, first_row in groups(random.Random(2)):
        placed = place(trees, pasts, first_row)
        check_placement(placed, trees, pasts, first_row)
        padded += placed.padded is not None
    assert padded > 100


def test_after_pruning_the_mask_is_that_of_the_survivors() -> None:
    """The pruned mask is cut out of the drafted one; it must be what the small tree would get."""
    source = random.Random(3)
    for trees, pasts, _ in groups(source):
        masks = tuple(ancestor_mask(tree.parents) for tree in trees)
        names = tuple(tuple(100 * row + n for n in tree.ranks) for row, tree in enumerate(trees))
        placed = place(trees, pasts, 0)
        hidden = torch.arange(placed.starts[-1])[:, None]
        nodes = Nodes(tuple(trees), names, masks, hidden, placed)
        alive = pruned_at_random(source, nodes.parents())
        kept = kept_places(alive, placed.starts)
        small = [select(tree, places) for tree, places in zip(trees, kept, strict=True)]
        after = survivors(nodes, kept, small, place(small, pasts, 0))
        check_placement(after.place, small, pasts, 0)
        for tree, mask in zip(small, after.visible, strict=True):
            assert as_sets(mask) == relation(tree.parents)
        living = [node for node, lives in enumerate(alive) if lives]
        assert after.hidden.flatten().tolist() == living
        every_name = [name for row in names for name in row]
        assert [name for row in after.token_ids for name in row] == [every_name[n] for n in living]
