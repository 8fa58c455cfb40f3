"""Acceptance by hand."""

from collections.abc import Collection, Sequence

import torch

from propd.tree.acceptance import Acceptance, accept, accept_typical

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


def typical(laws: dict[int, list[float]], ends: Collection[int] = ()) -> Acceptance:
    """Tokens 0 to 3 as drafted: root 0, children 1 and 2, 3 under 2; the bonus is the likeliest."""
    return accept_typical(
        (-1, 0, 0, 2), (0, 1, 2, 3),
        lambda node: torch.tensor(laws[node]), lambda law: int(law.argmax()), ends, 0.09, 0.3,
    )  # fmt: skip


def test_typical_acceptance_keeps_the_longest_probable_path() -> None:
    """Node 1 is likelier, but the path over node 2 is longer; both pass 0.09 (Medusa's rule)."""
    laws = {0: [0.0, 0.6, 0.4, 0.0], 1: [1.0, 0, 0, 0], 2: [0.5, 0, 0, 0.5], 3: [0.1, 0.9, 0, 0]}
    outcome = typical(laws)
    assert (outcome.path, outcome.bonus, outcome.ended) == ((2, 3), 1, False)


def test_typical_acceptance_asks_more_where_the_model_is_sure() -> None:
    """At entropy near 0 the bar is 0.09; 0.05 is below it, and the law is flat nowhere."""
    sure = {0: [0.0, 0.95, 0.05, 0.0], 1: [0.3, 0.3, 0.2, 0.2]}
    assert typical(sure).path == (1,)
    flat = {0: [0.25] * 4, 1: [0.25] * 4, 2: [0.25] * 4, 3: [0.25] * 4}
    assert typical(flat).path == (2, 3)  # 0.25 > 0.3 exp(-ln 4) = 0.075


def test_typical_acceptance_ends_at_an_end_token() -> None:
    laws = {0: [0.0, 0.1, 0.9, 0.0], 1: [0.25] * 4, 2: [0.0, 0.0, 0.0, 1.0], 3: [0.25] * 4}
    outcome = typical(laws, {2})
    assert (outcome.path, outcome.bonus, outcome.ended) == ((2,), None, True)
    assert typical(laws, {3}) == Acceptance((2, 3), None, True)


def test_a_cut_keeps_the_first_tokens() -> None:
    outcome = Acceptance((2, 3), 14, False)
    assert outcome.written(TOKENS) == [12, 13, 14]
    assert outcome.cut(2) == Acceptance((2, 3), None, False)
    assert outcome.cut(1).written(TOKENS) == [12]
    assert outcome.cut(3) == outcome
