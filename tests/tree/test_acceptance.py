"""Acceptance by hand."""

from collections.abc import Collection, Sequence

from propd.tree.acceptance import Acceptance, accept

# tokens: root A, children b and c, d under c
PARENTS, TOKENS = (-1, 0, 0, 2), (10, 11, 12, 13)


def greedy(choices: Sequence[int], ends: Collection[int] = ()) -> Acceptance:
    return accept(PARENTS, TOKENS, choices.__getitem__, ends)


def test_the_models_own_path_is_kept() -> None:
    outcome = greedy((12, 99, 13, 14))
    assert (outcome.path, outcome.bonus, outcome.ended) == ((2, 3), 14, False)


def test_without_a_right_child_only_the_bonus_comes() -> None:
    assert greedy((77, 0, 0, 0)).path == ()


def test_a_right_token_under_a_wrong_parent_is_not_kept() -> None:
    """Guards matching by path: token 13 stands under c, and the model went to b."""
    outcome = greedy((11, 13, 0, 0))
    assert (outcome.path, outcome.bonus) == ((1,), 13)


def test_an_end_token_in_the_path_ends_it() -> None:
    outcome = greedy((12, 0, 13, 14), {12})
    assert (outcome.path, outcome.bonus, outcome.ended) == ((2,), None, True)


def test_an_end_token_as_bonus_ends_the_text() -> None:
    outcome = greedy((12, 0, 55, 0), {55})
    assert (outcome.path, outcome.bonus, outcome.ended) == ((2,), 55, True)
