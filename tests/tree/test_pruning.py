"""Early pruning by hand."""

import torch

from propd.tree.pruning import prune_top_k
from propd.tree.topology import inner_nodes

# root 0 with children 1 (token 4), 2 (token 1); 1 has child 3 (token 0); 2 has child 4 (token 2)
PARENTS = (-1, 0, 0, 1, 2)
IDS = (0, 4, 1, 0, 2)
LOGITS = torch.tensor(
    [
        [0.0, 1.0, 2.0, 3.0, 4.0],  # after the root: 4 best, token 1 fourth
        [0.0, 1.0, 2.0, 3.0, 4.0],  # after node 1: token 0 last
        [0.0, 1.0, 9.0, 3.0, 4.0],  # after node 2: token 2 best
    ]
)


def test_a_child_outside_its_parents_top_k_goes_with_its_sub_tree() -> None:
    """Node 2 is fourth; node 4 is the best of its parent and goes with it."""
    pruning = prune_top_k(PARENTS, IDS, LOGITS, top_k=2)
    assert pruning.ranks == (None, 0, 3, 4, 0)
    assert pruning.alive == (
        True,
        True,
        False,
        False,
        False,
    )


def test_a_wide_cut_keeps_everything() -> None:
    assert prune_top_k(PARENTS, IDS, LOGITS, top_k=5).alive == (True,) * 5


def test_the_root_is_never_pruned() -> None:
    """Progress: with everything else gone, a step still writes the model's own next token."""
    assert prune_top_k(PARENTS, (0, 0, 0, 0, 0), LOGITS, top_k=1).alive == (True,) + (False,) * 4


def test_probabilities_are_those_of_the_early_head() -> None:
    told = prune_top_k(PARENTS, IDS, LOGITS, top_k=2).probabilities
    assert told[0] is None
    expected = LOGITS.softmax(-1)[[0, 0, 1, 2], [4, 1, 0, 2]]
    assert torch.allclose(torch.tensor(told[1:]), expected)


def test_only_inner_nodes_are_scored() -> None:
    assert inner_nodes(PARENTS) == [0, 1, 2]


def test_two_trees_in_a_row_are_pruned_each_by_itself() -> None:
    """A batch is one forest: the second tree's parents and roots must be its own."""
    parents = (*PARENTS, -1, 5, 5)
    ids = (*IDS, 0, 2, 3)
    logits = torch.cat([LOGITS, torch.tensor([[0.0, 0.0, 1.0, 2.0, 9.0]])])
    pruning = prune_top_k(parents, ids, logits, top_k=2)
    assert pruning.alive == (True, True, False, False, False, True, False, True)
    assert pruning.ranks == (None, 0, 3, 4, 0, None, 2, 1)
