"""Early pruning by hand."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from propd.core import Milliseconds, Source
from propd.planning.budget import EARLY, Budget, Share
from propd.planning.cost import LineCost, Work
from propd.planning.drafts import Guesses, HeadDrafts
from propd.planning.feedback import Feedback, row_feedback
from propd.planning.pruner import Threshold, TopK
from propd.tree.growth import grow
from propd.tree.pruning import EarlyView, Pruning, Score, look, prune
from propd.tree.topology import inner_nodes

# root 0 with children 1 (token 4), 2 (token 1); 1 has child 3 (token 0); 2 has child 4 (token 2)
PARENTS = (-1, 0, 0, 1, 2)
DEPTHS = (0, 1, 1, 2, 2)
IDS = (0, 4, 1, 0, 2)
LOGITS = torch.tensor(
    [
        [0.0, 1.0, 2.0, 3.0, 4.0],  # after the root: 4 best, token 1 fourth
        [0.0, 1.0, 2.0, 3.0, 4.0],  # after node 1: token 0 last
        [0.0, 1.0, 9.0, 3.0, 4.0],  # after node 2: token 2 best
    ]
)


def said(logits: torch.Tensor) -> Score:
    """An early head that says these logits, a row for each inner node."""

    def score(rows: Sequence[int], tokens: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        scores = logits[list(rows), list(tokens)]
        ranks = (logits[list(rows)] > scores[:, None]).sum(-1)
        return ranks, logits.softmax(-1)[list(rows), list(tokens)]

    return score


def top_k(parents: tuple[int, ...], ids: tuple[int, ...], logits: torch.Tensor, k: int) -> Pruning:
    view = EarlyView(parents, (0,) * len(ids), (1.0,) * len(ids), *look(parents, ids, said(logits)))
    return prune(view, TopK(k).keep(view))


def view(
    probabilities: tuple[float | None, ...], values: tuple[float, ...] = (1.0,) * 5
) -> EarlyView:
    return EarlyView(PARENTS, DEPTHS, values, (None,) * 5, probabilities)


def test_a_child_outside_its_parents_top_k_goes_with_its_sub_tree() -> None:
    """Node 2 is fourth; node 4 is the best of its parent and goes with it."""
    pruning = top_k(PARENTS, IDS, LOGITS, 2)
    assert pruning.ranks == (None, 0, 3, 4, 0)
    assert pruning.alive == (True, True, False, False, False)


def test_a_wide_cut_keeps_everything() -> None:
    assert top_k(PARENTS, IDS, LOGITS, 5).alive == (True,) * 5


def test_the_root_is_never_pruned() -> None:
    """Progress: with everything else gone, a step still writes the model's own next token."""
    assert top_k(PARENTS, (0, 0, 0, 0, 0), LOGITS, 1).alive == (True,) + (False,) * 4
    assert prune(view((None,) * 5), [False] * 5).alive == (True,) + (False,) * 4


def test_probabilities_are_those_of_the_early_head() -> None:
    _, told = look(PARENTS, IDS, said(LOGITS))
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
    pruning = top_k(parents, ids, logits, 2)
    assert pruning.alive == (True, True, False, False, False, True, False, True)
    assert pruning.ranks == (None, 0, 3, 4, 0, None, 2, 1)


def test_the_threshold_cuts_improbable_children_with_their_sub_trees() -> None:
    """Node 4 is likely after node 2 and goes, because node 2 is not."""
    seen = view((None, 0.5, 0.05, 0.1, 0.9))
    assert prune(seen, Threshold(0.1).keep(seen)).alive == (True, True, False, True, False)


AGREED = (1.0, 0.5, 0.02, 0.5 * 0.4, 0.02 * 0.9)
"""Values of nodes that were drafted as the early head of the next tests sees them."""


def test_the_budget_keeps_the_paths_that_pay() -> None:
    """At 10 ms + 1 ms a node: 0.5 for a node pays (1.5 / 15 > 1 / 14), 0.02 does not."""
    seen = view((None, 0.5, 0.02, 0.4, 0.9), AGREED)
    budget = Budget(_late_costs(10.0, 1.0), depths=2)
    assert budget.keep(seen) == [True, True, False, True, False]


def test_the_budget_of_a_costly_machine_is_small() -> None:
    seen = view((None, 0.5, 0.02, 0.4, 0.9), AGREED)
    kept = [sum(Budget(_late_costs(10.0, ms), 2).keep(seen)) for ms in (0.0, 3.0, 30.0)]
    assert kept == [5, 2, 1]


def test_the_budget_hears_the_drafts_too() -> None:
    """Node 1 was drafted with .8 and the early head gives it .01: .7 x .01 + .3 x .8 = .247 pays
    where .02 of both does not (node 2), nor what is likely behind it (node 4)."""
    seen = view((None, 0.01, 0.02, 0.01, 0.9), (1.0, 0.8, 0.02, 0.8 * 0.02, 0.02 * 0.9))
    budget = Budget(_late_costs(10.0, 1.0), depths=2)
    assert budget.keep(seen) == [True, True, False, False, False]


def test_of_what_the_text_guessed_the_early_head_is_hardly_asked() -> None:
    """Nodes 1 and 2 alike, .5 by the drafts and 0 by the early head, one of a head (.15 of the
    mixture), one of the text (.49): at 10 ms + 2 ms a node only the second pays."""
    seen = replace(view((None, 0.0, 0.0, 0.0, 0.0), (1.0, 0.5, 0.5, 0.001, 0.001)),
                   sources=("head", "head", "text", "head", "head"))  # fmt: skip
    budget = Budget(_late_costs(10.0, 2.0), depths=2)
    assert budget.keep(seen) == [True, False, True, False, False]


def test_each_source_has_a_weight_of_its_own() -> None:
    budget = Budget(_late_costs(10.0, 1.0), depths=2)
    for _ in range(100):
        budget.learn(said_of(0.1, 0.9, "text"))
    assert budget.weights["text"] > 0.2
    assert budget.weights["head"] == EARLY["head"]
    assert budget.weights["both"] == EARLY["both"]


def said_of(drafted: float, early: float, source: Source = "head") -> Feedback:
    """A step of one row whose true first node the two had given these chances."""
    tree = grow([[drafted, 0.01]], 2)
    row = row_feedback(
        HeadDrafts((Guesses((7, 8), (drafted, 0.01)),)), tree, (1, 7, 8), (True,) * 3,
        (None, early, 0.01), [1], [7], ("head", source, "head"),
    )  # fmt: skip
    assert row.said == ((source, drafted, early),)
    return Feedback(Work(1, 3, 3), Milliseconds(), (row,))


def test_the_budget_asks_more_whoever_knew_more() -> None:
    """Whoever gave the true nodes more gets more of the weight."""
    for drafted, early, direction in ((0.1, 0.9, 1), (0.9, 0.1, -1)):
        budget = Budget(_late_costs(10.0, 1.0), depths=2)
        for _ in range(100):
            budget.learn(said_of(drafted, early))
        assert (budget.weights["head"] - EARLY["head"]) * direction > 0.15


def test_a_share_keeps_the_best_of_it_whatever_the_time() -> None:
    """Of four drafted nodes a half: the two best paths of the mixture; the root beside them."""
    seen = view((None, 0.5, 0.02, 0.4, 0.9), AGREED)
    for ms in (0.0, 30.0):
        share = Share(_late_costs(10.0, ms), 2, 0.5)
        assert share.keep(seen) == [True, True, False, True, False]


def _late_costs(base: float, slope: float) -> LineCost:
    class Late(LineCost):
        def estimate(self, work):  # type: ignore[no-untyped-def]
            return base + slope * work.late

    return Late()
