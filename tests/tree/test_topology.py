"""Tree tensors by hand: a reader can learn the data structure from these."""

import numpy as np

from propd.core import TokenTree
from propd.tree.topology import ancestor_mask, inner_nodes, limit_depth, select

#        0
#      / | \
#     1  2  3
#     |     | \
#     4     5  6
#           |
#           7
PARENTS = (-1, 0, 0, 0, 1, 3, 3, 5)
DEPTHS = (0, 1, 1, 1, 2, 2, 2, 3)
MASK = """
1.......
11......
1.1.....
1..1....
11..1...
1..1.1..
1..1..1.
1..1.1.1
"""
TREE = TokenTree(PARENTS, (0, 0, 1, 2, 0, 0, 1, 0), DEPTHS, tuple(1 - d / 4 for d in DEPTHS))


def test_the_mask_shows_ancestors_and_self() -> None:
    drawn = np.array([[c == "1" for c in row] for row in MASK.split()])
    assert (ancestor_mask(PARENTS) == drawn).all()


def test_inner_nodes_have_children() -> None:
    assert inner_nodes(PARENTS) == [0, 1, 3, 5]
    assert inner_nodes((-1,)) == []


def test_select_renumbers_parents() -> None:
    """Guards sub-trees after pruning: parents count the survivors, not the drafted nodes."""
    tree = select(TREE, (0, 3, 5, 7))
    assert tree.parents == (-1, 0, 1, 2)
    assert tree.depths == (0, 1, 2, 3)
    assert tree.ranks == (0, 2, 0, 0)


def test_limit_depth_cuts_what_is_deeper() -> None:
    assert limit_depth(TREE, 1).parents == (-1, 0, 0, 0)
    assert limit_depth(TREE, 0).size == 0
    assert limit_depth(TREE, 9) == TREE
