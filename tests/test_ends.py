"""An end token ends the text exactly there, wherever the loop meets it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import pytest

from propd.core import StepEvent
from propd.methods import METHODS
from propd.tree.acceptance import Acceptance, accept
from tests.harness import (
    ACCEPT,
    Events,
    open_session,
    plain_texts,
    random_prompt,
    run,
    small_world,
    tokens,
)

LENGTH = 12
GREEDY: dict[str, Any] = {"max_new_tokens": LENGTH}
DRAWN: dict[str, Any] = {"max_new_tokens": LENGTH, "temperature": 1.0, "seed": 2}
PROMPTS = [random_prompt(random.Random(seed), small_world(), longest=6) for seed in range(5)]


@cache
def whole_texts(drawn: bool) -> list[list[int]]:
    """The answers when nothing is declared to be the end."""
    return plain_texts(small_world(), PROMPTS, **(DRAWN if drawn else GREEDY))


def decode(method: str, rows: int, drawn: bool, ends: Iterable[int]) -> list[Events]:
    """All prompts through one session that knows these end tokens."""
    settings = DRAWN if drawn else GREEDY
    return run(open_session(small_world(), method, rows=rows, end_tokens=ends, **settings), PROMPTS)


def check_end(events: Events, whole: Sequence[int], ends: Iterable[int]) -> None:
    """The text is the whole one up to its first end token, and the events say so."""
    first = min((whole.index(end) for end in ends if end in whole), default=None)
    if first is None:
        assert tokens(events) == whole
        assert events[-1].finish_reason == "length"
    else:
        assert tokens(events) == whole[: first + 1]
        assert events[-1].finish_reason == "eos"
    assert all(event.finish_reason is None for event in events[:-1])


def where(event: StepEvent) -> str:
    """The place where a text met its end."""
    if event.kind == "prefill":
        return "prefill"
    if event.bonus is not None:
        return "bonus"
    last = event.accepted[-1]
    children = [node for node in event.nodes if node.parent == last and node.fate != "pruned"]
    if event.nodes[last].choice_id in [child.token_id for child in children]:
        return "path that would go on"
    return "inside the tree" if children else "leaf"


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("method", METHODS)
def test_a_token_declared_the_end_ends_every_text_there(method: str, rows: int) -> None:
    """Of all outputs (5 prompts, greedy and drawn, every method, alone and in batches of 4) every
    position is declared the end once: 12 positions of each, all texts exact.

    A token that came before ends the text there, so one run a token covers all its positions.
    """
    met: Counter[str] = Counter()
    for drawn in (False, True):
        texts = whole_texts(drawn)
        assert all(len(text) == LENGTH for text in texts)
        for end in sorted({token for text in texts for token in text}):
            told = decode(method, rows, drawn, [end])
            for events, text in zip(told, texts, strict=True):
                check_end(events, text, [end])
                met[where(events[-1])] += end in text
    places = {"prefill", "bonus"}
    if METHODS[method].guesses != "text" and METHODS[method].tree != "root":
        places |= {"inside the tree"}
    if METHODS[method].tree == "fixed":
        places |= {"leaf"}
    assert all(met[place] >= 2 for place in places), met
    assert METHODS[method].tree != "fixed" or met["path that would go on"] >= 1, met


@pytest.mark.parametrize("ends", [(0, 5), (3, 7, 11), tuple(range(12))])
@pytest.mark.parametrize("method", METHODS)
def test_of_several_end_tokens_the_first_met_counts(method: str, ends: tuple[int, ...]) -> None:
    for drawn in (False, True):
        told = decode(method, 4, drawn, ends)
        for events, text in zip(told, whole_texts(drawn), strict=True):
            check_end(events, text, ends)


def test_end_tokens_can_be_ignored() -> None:
    """For benchmarks of equal length: the very same text, through the end and on."""
    settings = {**DRAWN, "ignore_eos": True}
    told = run(open_session(small_world(), "medusa", end_tokens=range(12), **settings), PROMPTS)
    assert [tokens(events) for events in told] == whole_texts(True)


def looks_at_the_last_token_only(
    parents: Sequence[int], ids: Sequence[int], choose: Callable[[int], int], ends: Sequence[int]
) -> Acceptance:
    """Wrong, as in transformers#47912: an end token that was accepted is not noticed."""
    blind = accept(parents, ids, choose, ())
    return Acceptance(blind.path, blind.bonus, blind.bonus in ends)


def keeps_the_tail(
    parents: Sequence[int], ids: Sequence[int], choose: Callable[[int], int], ends: Sequence[int]
) -> Acceptance:
    """Wrong, as in Medusa: the end is noticed, and what was accepted behind it stays."""
    blind = accept(parents, ids, choose, ())
    written = [*(ids[node] for node in blind.path), blind.bonus]
    return Acceptance(blind.path, blind.bonus, any(token in ends for token in written))


@pytest.mark.parametrize("wrong", [looks_at_the_last_token_only, keeps_the_tail])
def test_a_wrong_end_fails_the_same_check(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[..., Acceptance]
) -> None:
    monkeypatch.setattr(ACCEPT, wrong)
    with pytest.raises(AssertionError):
        test_a_token_declared_the_end_ends_every_text_there("medusa", 4)
