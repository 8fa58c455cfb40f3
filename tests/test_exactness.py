"""Whatever is drafted, pruned or decoded beside it, a row writes what it would write alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest

from propd.decoding import DecodingSession
from propd.tree.acceptance import Acceptance, accept
from tests.harness import (
    ACCEPT,
    PRUNING_METHODS,
    TREE_METHODS,
    RandomTrees,
    Rule,
    at_random,
    join,
    keep_all,
    only_roots,
    open_session,
    plain_texts,
    random_prompt,
    row_of,
    run,
    small_world,
    step,
    texts,
)

RULES: dict[str, Callable[[], Rule]] = {
    "random": at_random,
    "all but the root": lambda: only_roots,
    "none": lambda: keep_all,
}


# Progress.


@pytest.mark.parametrize(
    ("method", "count"), [("random trees", 40), ("propd", 2), ("propd-static", 2)]
)
def test_with_everything_pruned_each_step_writes_one_token(method: str, count: int) -> None:
    """11,132 steps that prune all they drafted: none writes nothing, none writes more than one.

    A step without a token would loop for ever on a bad early head. The end of the test proves that
    it is the pruner that holds the text back: without it the same heads write more.
    """

    def session(pruner: Rule) -> DecodingSession:
        settings: dict[str, Any] = {"rows": 20, "max_new_tokens": 1000, "temperature": 1.0}
        if method == "random trees":
            settings["planner"] = RandomTrees(max_nodes=6)
        name = "propd" if method == "random trees" else method
        return open_session(small_world(), name, pruner=pruner, **settings)

    prompts = [[number % 12, 1] for number in range(count)]
    steps = [event for events in run(session(only_roots), prompts) for event in events[1:]]
    for event in steps:
        assert len(event.token_ids) == 1
        assert event.pruned == event.drafted
    assert len(steps) == 253 * count  # 256 places: 2 for the prompt, 1 written by the prefill
    # a dynamic planner learns that drafting is of no use here, and does it rarely
    least = 0 if method == "propd" else 0.7 * len(steps)
    assert sum(event.drafted > 0 for event in steps) > least
    unpruned = run(session(keep_all), prompts[:2])
    assert sum(map(len, texts(unpruned))) > 1.05 * sum(map(len, unpruned))


# Pruning.


PROMPTS = [random_prompt(random.Random(seed), small_world()) for seed in range(8)]


@cache
def plain(temperature: float) -> list[list[int]]:
    """What plain decoding answers."""
    return plain_texts(small_world(), PROMPTS, **settings_of(temperature))


def settings_of(temperature: float) -> dict[str, Any]:
    return {"max_new_tokens": 14, "temperature": temperature, "seed": 7}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("rows", [1, 4, 8])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("method", PRUNING_METHODS)
def test_no_pruner_changes_the_text(method: str, rule: str, rows: int, temperature: float) -> None:
    """Early pruning may cost tokens per step and nothing else: it only ever removes guesses."""
    settings = settings_of(temperature)
    session = open_session(small_world(), method, rows=rows, pruner=RULES[rule](), **settings)
    told = run(session, PROMPTS)
    assert texts(told) == plain(temperature)
    steps = [event for events in told for event in events[1:]]
    cut = sum(event.pruned for event in steps) / sum(event.drafted for event in steps)
    assert {"random": 0.3 < cut < 0.9, "all but the root": cut == 1, "none": cut == 0}[rule]
    accepted = sum(len(event.accepted) for event in steps)
    assert accepted == 0 if rule == "all but the root" else accepted >= 5


# Seeds.


def test_a_seed_writes_its_text_in_any_company() -> None:
    """100 of 100 seeds: alone, third of four in a batch, and after a neighbour was cancelled."""
    assert sum(map(reproduces, range(100))) == 100


def test_drawing_for_nodes_off_the_path_fails_the_same_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wrong: a number is used up for every node of the tree, so the tree decides the text."""

    def wasteful(
        parents: Sequence[int], ids: Sequence[int], choose: Callable[[int], int], ends: Any
    ) -> Acceptance:
        return accept(parents, ids, [choose(node) for node in range(len(ids))].__getitem__, ends)

    monkeypatch.setattr(ACCEPT, wasteful)
    assert sum(map(reproduces, range(10))) < 5


def reproduces(seed: int) -> bool:
    """Whether a row writes the same alone, in a batch, and beside a row that is cancelled."""
    source, method = random.Random(seed), TREE_METHODS[seed % len(TREE_METHODS)]
    world, settings = small_world(), {"max_new_tokens": 8, "temperature": 1.0}
    prompts = [random_prompt(source, world, longest=6) for _ in range(4)]
    # row r of a batch draws with seed + r
    (alone,) = plain_texts(world, prompts[2:3], seed=seed + 2, **settings)
    rows = 2 + seed % 3  # with fewer rows than prompts, the row waits and takes any free place
    batch = open_session(world, method, rows=rows, seed=seed, **settings)  # type: ignore[arg-type]
    together = texts(run(batch, prompts))[2]
    three = open_session(world, method, rows=3, seed=seed, **settings)  # type: ignore[arg-type]
    return alone == together == third_text(three, prompts[:3], cancel_after=seed % 3)


def third_text(session: DecodingSession, prompts: list[list[int]], cancel_after: int) -> list[int]:
    """The text of row 2 when row 0, in front of it in the cache, is cancelled on the way."""
    written = [join(session, number, prompt).token_ids for number, prompt in enumerate(prompts)][2:]
    steps = 0
    while row_of(session, 2):
        cancelled = row_of(session, 0)
        if steps == cancel_after and cancelled:
            session.leave(cancelled)
        written += [event.token_ids for event in step(session) if event.row == 2]
        steps += 1
    return [token for ids in written for token in ids]


def test_other_seeds_write_other_texts() -> None:
    """Or the test above would hold for a sampler that ignores its seed."""
    world = small_world()
    written = {
        tuple(plain_texts(world, [[1, 2]], seed=seed, max_new_tokens=12, temperature=1.0)[0])
        for seed in range(20)
    }
    assert len(written) == 20
