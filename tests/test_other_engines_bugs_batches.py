"""Bugs that other engines had with batches, and with drafts that were right and not taken.

As in test_other_engines_bugs.py each test is named after one, and a docstring says what happened
there, and how it would be noticed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from propd.core import StepEvent
from propd.decoding import DecodingSession
from propd.heads.logits import LogitHeads
from propd.methods import METHODS
from propd.models.placement import Placement
from propd.rows import Row
from propd.verification import Verdict
from tests.harness import (
    TREE_METHODS,
    Events,
    Prompts,
    RandomTrees,
    World,
    change,
    join,
    open_session,
    plain_texts,
    run,
    small_world,
    step,
    texts,
    tokens,
)

PROMPTS = [[3], [1, 2] * 25, [7, 7, 7], [5] * 12]
"""1 to 50 tokens, so that the rows of a batch differ as much as they can."""
KNOWN = 4
"""Tokens ahead that `KnowingHeads` know."""


class KnowingHeads(LogitHeads):
    """Heads that know the texts, and find their place in them by the hidden state alone.

    A state of another node, or of another row, is none that they know, or one from which the text
    goes on otherwise: so acceptance tells whether the loop hands over the right one.
    """

    def __init__(self, world: World, prompts: Prompts, answers: Prompts) -> None:
        self.shape = world.heads.shape
        self.token_map = torch.arange(world.backbone.vocabulary_size)
        self._next: list[tuple[int, list[int]]] = []
        found = []
        for prompt, answer in zip(prompts, answers, strict=True):
            found.append(final_states(world, [*prompt, *answer])[len(prompt) - 1 : -1])
            for place, root in enumerate(answer):
                self._next.append((root, list(answer[place + 1 :][:KNOWN])))
        self._states = torch.cat(found)

    def draft_logits(self, hidden: torch.Tensor, root_ids: torch.Tensor) -> torch.Tensor:
        """The next tokens of the text, as far as it goes; flat where nothing is known."""
        logits = torch.zeros(len(hidden), KNOWN, len(self.token_map))
        distances = torch.cdist(hidden, self._states)
        for row, root in enumerate(root_ids.tolist()):
            nearest = int(distances[row].argmin())
            known, then = self._next[nearest]
            if distances[row, nearest] < 1e-2 and known == root:
                logits[row, range(len(then)), then] = 9.0
        return logits

    def early_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """A flat word: keeps everything."""
        return torch.zeros(len(hidden), len(self.token_map))


@torch.inference_mode()
def final_states(world: World, text: Sequence[int]) -> torch.Tensor:
    """(T, H) what the model makes of each token of a text, after the final norm."""
    backbone = world.backbone
    return backbone.final_norm(backbone.read_all(text, backbone.new_cache(1, len(text))))


def knowing(prompts: Prompts, world: World | None = None, **settings: Any) -> World:
    """A world whose heads know what plain decoding answers to these prompts."""
    world = world or small_world()
    answers = plain_texts(world, prompts, **settings)
    return World(world.backbone, KnowingHeads(world, prompts, answers))


# Batches.


def check_no_gap(session: DecodingSession) -> None:
    """Watch every pass: a node sees all of its row's past, and lies right behind it."""

    def watch(run_layers: Any, hidden: Any, first: int, last: int, place: Placement, cache: Any,
              **named: Any) -> torch.Tensor:  # fmt: skip
        for block in place.blocks:
            for at, row in enumerate(range(block.rows.start, block.rows.stop)):
                past, span = cache.lengths[row], slice(place.starts[row], place.starts[row + 1])
                count = span.stop - span.start
                assert (block.mask[at, :, :count, :past] == 0).all()
                assert place.cache_slots[span].tolist() == list(range(past, past + count))
        return run_layers(hidden, first, last, place, cache, **named)

    change(session, "backbone", "run_layers", watch)


def unpadded_texts(method: str) -> list[list[int]]:
    """Four rows together, watched, the cache checked after each step."""
    planner = RandomTrees(seed=3) if method == "random trees" else None
    name = "propd" if planner else method
    session = open_session(small_world(), name, rows=4, planner=planner, max_new_tokens=20)
    check_no_gap(session)
    told: list[Events] = [[join(session, n, prompt)] for n, prompt in enumerate(PROMPTS)]
    while session.rows:
        for event in step(session):
            told[event.row].append(event)
        session.check_integrity()
    for prompt, events in zip(PROMPTS, told, strict=True):
        for before, event in enumerate(events[1:], start=1):
            assert event.past_length == len(prompt) + len(tokens(events[:before])) - 1
    return texts(told)


@pytest.mark.parametrize("method", ["medusa", "propd", "random trees"])
def test_medusa_80_padding_between_the_tokens_of_a_row(method: str) -> None:
    """There (a draft, never merged): rows that had accepted less were filled up with padding, which
    was to be squeezed out of their middle when the next tokens came.

    Here: no row has padding. Each past is as long as its text, every node sees all of it, and what
    is new lies right behind it, whatever the other rows accepted.
    """
    assert unpadded_texts(method) == plain_texts(small_world(), PROMPTS, max_new_tokens=20)


def test_a_row_that_is_filled_up_fails_the_same_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong, as in Medusa#80: all rows grow by as much as the one that accepted most."""
    commit = DecodingSession._commit

    def fills_up(session: DecodingSession, kept: Any, verdicts: Sequence[Verdict]) -> None:
        most = max(len(verdict.acceptance.path) for verdict in verdicts)
        commit(session, kept, verdicts)
        for slot, verdict in enumerate(verdicts):
            session.cache.lengths[slot] += most - len(verdict.acceptance.path)

    monkeypatch.setattr(DecodingSession, "_commit", fills_up)
    with pytest.raises(RuntimeError, match="the rows say"):
        unpadded_texts("medusa")


FIXED = ["medusa", "bpd"]
"""Methods whose tree is the same in every step: only acceptance decides where a step ends."""


def by_step(session: DecodingSession, numbers: Sequence[int]) -> list[list[tuple[int, ...]]]:
    """What each step of each row wrote."""
    told: dict[int, list[StepEvent]] = {n: [join(session, n, PROMPTS[n])] for n in numbers}
    while session.rows:
        for event in step(session):
            told[event.row].append(event)
    return [[event.token_ids for event in told[number]] for number in numbers]


def together_and_alone(method: str, temperature: float) -> tuple[Any, Any]:
    """The steps of four rows, decoded together and one by one."""
    settings: dict[str, Any] = {"max_new_tokens": 20, "temperature": temperature}
    together = by_step(open_session(small_world(), method, rows=4, **settings), range(4))
    alone = [by_step(open_session(small_world(), method, **settings), [n])[0] for n in range(4)]
    return together, alone


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("method", FIXED)
def test_transformers_32189_rows_shifted_by_the_longest_match(
    method: str, temperature: float
) -> None:
    """There (work in progress, never merged): a batch kept as many columns as the row with the most
    matches, and moved the others to the right behind padding; its simpler plan took every row back
    to the first mismatch of any.

    Here: a row accepts in a batch, step by step, just what it accepts alone.
    """
    together, alone = together_and_alone(method, temperature)
    assert together == alone
    assert len({len(steps) for steps in alone}) > 1


def test_the_shortest_match_for_all_writes_the_same_texts_in_more_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wrong, as that simpler plan: the texts are right, so only the steps tell."""
    verify = DecodingSession._verify

    def shortest(session: DecodingSession, kept: Any, *given: Any) -> Any:
        kept, pruning, verdicts = verify(session, kept, *given)
        least = min(len(verdict.acceptance.path) for verdict in verdicts)
        return kept, pruning, [
            _back_to(verdict, kept.token_ids[slot], least) for slot, verdict in enumerate(verdicts)
        ]  # fmt: skip

    monkeypatch.setattr(DecodingSession, "_verify", shortest)
    together, alone = together_and_alone("medusa", 0.0)
    assert together != alone
    assert [sum(steps, ()) for steps in together] == [sum(steps, ()) for steps in alone]


def _back_to(verdict: Verdict, ids: Sequence[int], depth: int) -> Verdict:
    path = verdict.acceptance.path
    if depth >= len(path):
        return verdict
    back = replace(verdict.acceptance, path=path[:depth], bonus=ids[path[depth]])
    return replace(verdict, acceptance=back)


# Acceptance.


@cache
def answers() -> list[list[int]]:
    """What plain decoding answers."""
    return plain_texts(small_world(), PROMPTS, max_new_tokens=30)


def taken_and_whole(method: str) -> tuple[list[list[int]], list[int], list[int]]:
    """Texts, tokens of each step, and the most that its tree could have given."""
    world = World(small_world().backbone, KnowingHeads(small_world(), PROMPTS, answers()))
    session = open_session(world, method, rows=4, max_new_tokens=30)
    told = run(session, PROMPTS)
    steps = [event for events in told for event in events[1:]]
    taken = [len(event.token_ids) for event in steps]
    whole = [max(node.depth for node in event.nodes) + 1 for event in steps]
    return texts(told), taken, whole


HEADED = [method for method in TREE_METHODS if method != "lookup"]


@pytest.mark.parametrize("method", HEADED)
def test_vllm_6830_and_41396_right_drafts_that_are_not_taken(method: str) -> None:
    """There: reviewers saw that no test could fail: acceptance keeps the text right whatever the
    heads say, and the heads of the test (#41396: Medusa's) were random, so none was ever taken.

    Here: heads that know the texts of all four rows, by the hidden state that each row hands them,
    have every path taken whole, unless guesses of the text are mixed in, which may be wrong.
    """
    written, taken, whole = taken_and_whole(method)
    assert written == answers()
    assert METHODS[method].guesses == "both" or taken == whole
    assert sum(taken) > 3 * len(taken)


def test_the_hidden_state_of_another_node_leaves_the_text_and_takes_the_speed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wrong: heads are handed the state of the root and not of the last kept node."""
    settle = Row.settle

    def of_the_root(row: Row, verdict: Verdict, final: torch.Tensor, ids: Sequence[int]) -> None:
        settle(row, verdict, final, ids)
        row.hidden = final[0]

    monkeypatch.setattr(Row, "settle", of_the_root)
    written, taken, whole = taken_and_whole("bpd")
    assert written == answers()
    assert sum(taken) < 0.7 * sum(whole)
