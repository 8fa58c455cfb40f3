"""Who may look at whom, on 2,000 random trees: drafted, pruned, and placed in a batch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from itertools import chain, combinations, pairwise

import numpy as np
import torch

from propd.core import TokenTree
from propd.models.placement import APART, Block, Placement, place_nodes, share_out
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
    assert placed.end == max(past + count for past, count in zip(pasts, counts, strict=True))
    rows = range(first_row, first_row + len(trees))
    assert [row for block in placed.blocks for row in rows_of(block)] == list(rows)
    for block in placed.blocks:
        part = slice(block.rows.start - first_row, block.rows.stop - first_row)
        check_block(block, trees[part], pasts[part])
        assert (block.nodes.start, block.nodes.stop) == (
            placed.starts[part.start],
            placed.starts[part.stop],
        )
    node = 0
    for row, (tree, past, count) in enumerate(zip(trees, pasts, counts, strict=True)):
        for depth in tree.depths:
            assert placed.turns[node].flatten().tolist() == [complex(past + depth, 1000)] * 2
            node += 1
        span = slice(placed.starts[row], placed.starts[row + 1])
        assert placed.cache_slots[span].tolist() == list(range(past, past + count))
        assert placed.cache_rows[span].tolist() == [first_row + row] * count


def rows_of(block: Block) -> range:
    return range(block.rows.start, block.rows.stop)


def check_block(block: Block, trees: Sequence[TokenTree], pasts: Sequence[int]) -> None:
    """Who sees whom in the rectangle, and which node stands where."""
    counts = [len(tree.parents) for tree in trees]
    end = max(past + count for past, count in zip(pasts, counts, strict=True))
    assert block.mask.shape == (len(trees), 1, max(counts), end)
    assert set(block.mask.unique().tolist()) <= {0.0, -torch.inf}
    seen = (block.mask[:, 0] == 0).numpy()
    assert seen.any(axis=-1).all()  # a row that sees nothing would give NaN
    line, start = torch.arange(sum(counts)), 0
    rectangle = block.to_rectangle(line)
    assert rectangle.shape == (len(trees), max(counts))
    assert block.to_line(rectangle).tolist() == line.tolist()
    for row, (tree, past, count) in enumerate(zip(trees, pasts, counts, strict=True)):
        expected = [
            set(range(past)) | {past + up for up in above} for above in relation(tree.parents)
        ]
        assert as_sets(seen[row, :count]) == expected
        assert rectangle[row, :count].tolist() == line[start:][:count].tolist()
        start += count


def groups(source: random.Random) -> list[tuple[list[TokenTree], list[int], int]]:
    """The trees in batches of 1 to 6, behind pasts of 1 to 99 tokens."""
    found, left = [], list(random_trees())
    while left:
        rows = [left.pop() for _ in range(min(len(left), source.randint(1, 6)))]
        found.append((rows, [source.randint(1, 99) for _ in rows], source.randint(0, 3)))
    return found


def test_in_a_batch_every_row_sees_its_own_past_and_tree() -> None:
    """And no row of the mask is empty, the padding of small trees included."""
    padded = cut = 0
    for trees, pasts, first_row in groups(random.Random(2)):
        placed = place(trees, pasts, first_row)
        check_placement(placed, trees, pasts, first_row)
        padded += any(block.padded is not None for block in placed.blocks)
        cut += len(placed.blocks) > 1
    assert padded > 100 and cut > 20


def test_rows_of_unequal_length_attend_apart() -> None:
    """By hand: a row of 1,000 among rows of 100 would make each of them look at 1,000."""
    assert share_out([100] * 8, [4] * 8) == [slice(0, 8)]
    assert share_out([100, 100, 1000, 100], [4] * 4) == [slice(0, 2), slice(2, 3), slice(3, 4)]
    assert share_out([1000, 100, 100], [1] * 3) == [slice(0, 1), slice(1, 3)]
    assert share_out([30, 90], [1, 1]) == [slice(0, 2)]  # what is saved is less than a block costs


def test_the_cut_is_the_cheapest_of_all() -> None:
    """Against every way to cut up to 7 rows."""
    source = random.Random(4)
    for _ in range(60):
        rows = source.randint(2, 7)
        pasts = [source.choice((20, 100, 400, 2000)) for _ in range(rows)]
        counts = [source.choice((1, 4, 16)) for _ in range(rows)]

        def work(
            parts: Sequence[slice], pasts: list[int] = pasts, nodes: list[int] = counts
        ) -> int:
            spent = APART * (len(parts) - 1)
            for part in parts:
                spent += len(pasts[part]) * max(pasts[part]) * (max(nodes[part]) + 2)
            return spent

        cuts = chain.from_iterable(combinations(range(1, rows), n) for n in range(rows))
        ways = [[slice(*pair) for pair in pairwise((0, *cut, rows))] for cut in cuts]
        assert work(share_out(pasts, counts)) == min(map(work, ways))


def test_after_pruning_the_mask_is_that_of_the_survivors() -> None:
    """The pruned mask is cut out of the drafted one; it must be what the small tree would get."""
    source = random.Random(3)
    for trees, pasts, _ in groups(source):
        masks = tuple(ancestor_mask(tree.parents) for tree in trees)
        names = tuple(tuple(100 * row + n for n in tree.ranks) for row, tree in enumerate(trees))
        placed = place(trees, pasts, 0)
        hidden = torch.arange(placed.starts[-1])[:, None]
        sources = tuple(("head",) * len(row) for row in names)
        nodes = Nodes(tuple(trees), names, sources, masks, hidden, placed)
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
