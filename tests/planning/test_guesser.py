"""The guesses of the text, and how they are mixed with those of the heads."""

from __future__ import annotations

import random

import pytest

from propd.planning.drafts import NO_DRAFTS, Guesses, HeadDrafts, fill, known_ranks
from propd.planning.guesser import DEEPEST, PRIOR, Guesser
from propd.planning.text_index import FADING, LATEST, LONGEST, TextIndex
from propd.tree.growth import grow_by

HEADS = HeadDrafts((Guesses((7, 8), (0.6, 0.2)), Guesses((9, 8), (0.5, 0.1))))


def test_the_longest_match_counts() -> None:
    """After 1 2 came 3, after 5 2 came 4: behind "1 2" it says 3, behind "9 2" it has both."""
    text = TextIndex([1, 2, 3, 5, 2, 4, 1, 2])
    assert text.after(()) == (2, {3: 1.0})
    length, shares = TextIndex([1, 2, 3, 5, 2, 4, 9, 2]).after(())
    assert length == 1
    assert shares == pytest.approx({4: 1 / (1 + FADING), 3: FADING / (1 + FADING)})


def test_a_path_is_looked_up_behind_the_text() -> None:
    text = TextIndex([1, 2, 3, 4, 1])
    assert text.after((2,)) == (2, {3: 1.0})
    assert text.after((2, 3)) == (3, {4: 1.0})
    assert text.after((8,)) == (0, {})


def test_a_text_without_repetition_says_nothing() -> None:
    assert TextIndex(range(50)).after(()) == (0, {})
    assert TextIndex().after(()) == (0, {})


def test_matches_are_those_of_a_search_by_hand() -> None:
    """500 random texts against the definition: longest suffix that stood before, latest first."""
    source = random.Random(4)
    for _ in range(500):
        tokens = [source.randrange(4) for _ in range(source.randint(1, 40))]
        path = tuple(source.randrange(4) for _ in range(source.randint(0, 3)))
        whole = [*tokens, *path]
        expected: tuple[int, dict[int, float]] = (0, {})
        for length in range(min(LONGEST, len(whole)), 0, -1):
            end = whole[-length:]
            places = [
                at + length for at in range(len(tokens) - length) if tokens[at : at + length] == end
            ]
            if places:
                weights = [FADING**age for age in range(len(places[-LATEST:]))]
                shares: dict[int, float] = {}
                for at, weight in zip(places[: -LATEST - 1 : -1], weights, strict=True):
                    shares[tokens[at]] = shares.get(tokens[at], 0) + weight / sum(weights)
                expected = length, shares
                break
        found = TextIndex(tokens).after(path)
        assert found[0] == expected[0]
        assert found[1] == pytest.approx(expected[1])


def test_both_sources_in_one_list() -> None:
    """Behind "1 2" (a match of 2) came 8: it gets the text's weight and its share of the head's."""
    mixture = Guesser(heads=2).mix(HEADS, TextIndex([1, 2, 8, 1, 2]))
    said, weight = mixture.after(()), PRIOR[2]
    assert said is not None
    assert said.token_ids == (8, 7)
    assert said.probabilities == pytest.approx((weight + (1 - weight) * 0.2, (1 - weight) * 0.6))
    assert said.sources == ("both", "head")
    deeper = mixture.after((8,))
    assert deeper is not None and deeper.token_ids[0] == 1 and deeper.sources[0] == "text"


def test_without_a_match_the_heads_speak_alone() -> None:
    mixture = Guesser(heads=2).mix(HEADS, TextIndex([1, 2, 3]))
    assert mixture.after(()) == HEADS.by_depth[0]
    assert mixture.after((7, 9)) is None
    assert Guesser(heads=2).mix(HEADS, None).depth == 2


def test_the_text_alone_goes_as_deep_as_it_repeats() -> None:
    mixture = Guesser(heads=0).mix(NO_DRAFTS, TextIndex([*range(20), *range(20)][:21]))
    assert mixture.depth == DEEPEST
    tree = grow_by(mixture.after, 8, mixture.depth)
    assert [node.token_id for node in fill(tree, mixture)] == list(range(1, 9))
    assert Guesser(heads=0).mix(NO_DRAFTS, TextIndex([1, 2, 3])).depth == 0


def test_the_weight_goes_to_who_is_right() -> None:
    """The text says 8 and the head 7, after a match of 2."""
    for truth, grows in ((8, True), (7, False)):
        guesser = Guesser(heads=2)
        for _ in range(50):
            guesser.learn(guesser.mix(HEADS, TextIndex([1, 2, 8, 1, 2])), [truth])
        assert (guesser.weights[2] > PRIOR[2] + 0.1) == grows
        assert (guesser.weights[2] < PRIOR[2] - 0.1) == (not grows)
        assert guesser.weights[1] == PRIOR[1]  # of a length that was not met


def test_a_weight_never_silences_a_source_for_good() -> None:
    guesser = Guesser(heads=2)
    for _ in range(2000):
        guesser.learn(guesser.mix(HEADS, TextIndex([1, 2, 8, 1, 2])), [5])
    assert all(0.01 <= weight <= 0.99 for weight in guesser.weights[1:])


def test_learning_follows_the_true_path() -> None:
    """The second truth is looked up behind the first, not behind what was guessed."""
    guesser = Guesser(heads=0, rate=0.5)
    mixture = guesser.mix(NO_DRAFTS, TextIndex([4, 5, 6, 3, 4]))
    guesser.learn(mixture, [5, 6])
    assert guesser.weights[1] > PRIOR[1]  # 4 -> 5
    assert guesser.weights[2] > PRIOR[2]  # 4 5 -> 6
    assert known_ranks(mixture, [5, 6, 9]) == (0, 0, None)


def test_growth_by_path_takes_the_best_first_and_stops_where_nothing_pays() -> None:
    """0.5 -> 0.45 behind it -> 0.3: by value, and not depth by depth; 0.05 is under the least."""
    lists = {(): ((1, 2), (0.5, 0.3)), (1,): ((3, 4), (0.9, 0.1))}
    tree = grow_by(lambda path: lists.get(path), 10, 4, least=0.06)
    assert tree.values == pytest.approx((1.0, 0.5, 0.45, 0.3))
    assert tree.parents == (-1, 0, 1, 0)
    assert tree.ranks == (0, 0, 0, 1)
    assert grow_by(lambda path: lists.get(path), 10, 1).depths == (0, 1, 1)
    assert grow_by(lambda path: lists.get(path), 1, 4).parents == (-1, 0)
    assert grow_by(lambda path: None, 10, 4).size == 0


def test_a_tree_of_what_was_not_guessed_is_refused() -> None:
    tree = grow_by(lambda path: ((1, 2, 3), (0.5, 0.3, 0.1)), 3, 1)
    with pytest.raises(LookupError, match="nothing of rank"):
        fill(tree, HEADS)
