"""What usually follows: counted, stored, and what it does to a list of the heads."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from propd.heads.phrase_files import PHRASES, load_phrases, save_phrases
from propd.planning.drafts import NO_DRAFTS, Guesses, HeadDrafts
from propd.planning.guesser import Guesser
from propd.planning.phrases import (
    DOUBT,
    FLOOR,
    HINT,
    LONGEST,
    TRUST,
    context_number,
    count_phrases,
    reweigh,
)
from propd.planning.text_index import TextIndex


def test_the_shares_by_hand() -> None:
    """1 2 3 twice and 1 2 4 once; after 9 2 came 4, so a single 2 knows 3 and 4 equally often."""
    phrases = count_phrases([([1, 2, 3], 1), ([1, 2, 3], 1), ([1, 2, 4], 1), ([9, 2, 4], 1)])
    single = 4 / (4 + DOUBT * 2)  # nothing is shorter, so what is left of it is nobody's
    assert phrases.after([2]) == pytest.approx({3: single / 2, 4: single / 2}, rel=1e-3)
    own = 3 / (3 + DOUBT * 2)
    rest = (1 - own) * single / 2
    assert phrases.after([8, 1, 2]) == pytest.approx(
        {3: own * 2 / 3 + rest, 4: own / 3 + rest}, rel=1e-3
    )
    assert list(phrases.after([1, 2])) == [3, 4]  # the most probable first
    assert phrases.after([9, 2]) == phrases.after([2])  # met once: the shorter end counts
    assert phrases.after([3]) == {} and phrases.after([]) == {}


def test_what_stands_in_a_prompt_is_context_only() -> None:
    phrases = count_phrases([([1, 2, 3, 4], 3)])
    assert set(phrases.after([3])) == {4}
    assert phrases.after([1]) == {} and phrases.after([2]) == {}


def test_contexts_are_the_longest_that_were_met_often_enough() -> None:
    """300 random texts: which context answers, and with whom, against a search through them."""
    source = random.Random(7)
    texts = [[source.randrange(5) for _ in range(12)] for _ in range(60)]
    phrases = count_phrases((text, 2) for text in texts)
    for _ in range(300):
        tail = [source.randrange(6) for _ in range(source.randint(1, 5))]
        for length in range(min(LONGEST, len(tail)), 0, -1):
            followed = Counter(
                text[at]
                for text in texts
                for at in range(max(2, length), len(text))
                if text[at - length : at] == tail[-length:]
            )
            if followed.total() >= (1 if length == 1 else 2):
                assert set(followed) <= set(phrases.after(tail))
                break
        else:
            assert phrases.after(tail) == {}


def test_contexts_of_any_length_and_id_have_numbers_of_their_own() -> None:
    top = (1 << 20) - 2
    contexts = [(), (0,), (0, 0), (0, 0, 0), (top,), (top, top), (top, top, top), (0, top), (1,)]
    assert len({context_number(context) for context in contexts}) == len(contexts)
    assert context_number((top, top, top)) < 2**63


def test_a_list_weighed_anew_by_hand() -> None:
    said = Guesses((7, 8, 9), (0.5, 0.3, 0.1))
    found = reweigh(said, {8: 0.8, 5: 0.2})
    products = [0.5**TRUST * FLOOR**HINT, 0.3**TRUST * 0.8**HINT, 0.1**TRUST * FLOOR**HINT]
    expected = [0.9 * product / sum(products) for product in products]
    assert found.token_ids == (8, 7, 9)
    assert found.probabilities == pytest.approx((expected[1], expected[0], expected[2]))
    assert sum(found.probabilities) == pytest.approx(0.9)  # nothing is promised on top
    assert reweigh(said, {}) is said


def test_phrases_tell_the_guesses_of_a_depth_apart_by_their_path() -> None:
    """After 7 usually comes 2, after 8 comes 1; the second head says 1 and 2 for both."""
    heads = HeadDrafts((Guesses((7, 8), (0.5, 0.4)), Guesses((1, 2), (0.5, 0.4))))
    phrases = count_phrases([([7, 2], 1), ([8, 1], 1)])
    mixture = Guesser(heads=2, phrases=phrases).mix(heads, None, (3,))
    assert [mixture.after((first,)).token_ids[0] for first in (7, 8)] == [2, 1]  # type: ignore[union-attr]
    assert mixture.after(()).token_ids == (7, 8)  # type: ignore[union-attr]
    after_eight = Guesser(heads=2, phrases=count_phrases([([3, 8], 1)])).mix(heads, None, (3,))
    assert after_eight.after(()).token_ids == (8, 7)  # type: ignore[union-attr]


def test_phrases_guess_nothing_of_their_own() -> None:
    phrases = count_phrases([([1, 2, 3], 1)])
    guesser = Guesser(heads=0, phrases=phrases)
    assert guesser.mix(NO_DRAFTS, None, (1,)).after(()) is None
    assert guesser.mix(NO_DRAFTS, TextIndex([5, 1]), (5, 1)).after(()) is None


def test_what_is_saved_loads(tmp_path: Path) -> None:
    assert load_phrases(tmp_path, 10) is None
    phrases = count_phrases([([1, 2, 3, 1, 2, 3, 1, 2, 4], 1)])
    save_phrases(tmp_path, phrases)
    again = load_phrases(tmp_path, 10)
    assert again is not None and len(again) == len(phrases) > 4
    assert again.after([9, 1, 2]) == phrases.after([9, 1, 2]) != {}


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("tokens", lambda a: a + 20, "names words outside the 10 of the model"),
        ("chances", lambda a: a * np.float16("nan"), "chance that is not between 0 and 1"),
        ("chances", lambda a: a + np.float16(1), "chance that is not between 0 and 1"),
        ("contexts", lambda a: a[::-1].copy(), "do not ascend"),
        ("contexts", lambda a: a.astype(np.float32), "must be whole numbers"),
        ("starts", lambda a: a[:-1], "do not add up"),
        ("starts", lambda a: a[::-1].copy(), "do not add up"),
        ("tokens", lambda a: a[:-1], "do not add up"),
        ("tokens", lambda a: a[None], "not of one dimension"),
        ("starts", None, "and must hold"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, change, sentence: str) -> None:  # type: ignore[no-untyped-def]
    """It would crash inside the loop, or answer with words that do not exist."""
    save_phrases(tmp_path, count_phrases([([1, 2, 3, 1, 2, 3, 1, 2, 4], 1)]))
    arrays = load_file(tmp_path / PHRASES)
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name])
    save_file(arrays, tmp_path / PHRASES)
    with pytest.raises(ValueError, match=sentence):
        load_phrases(tmp_path, 10)
