"""Bugs that other engines had where a text ends: at the last position, and at an end token.

As in test_other_engines_bugs.py each test is named after one, and a docstring says what happened
there, and how it would be noticed here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from propd.core import StepEvent
from propd.decoding import DecodingSession
from propd.errors import InvalidRequest
from propd.heads.logits import LogitHeads
from propd.models.placement import Placement
from propd.planning.drafts import RANKS, HeadDrafts
from propd.planning.planner import Outlook
from propd.tree.acceptance import Acceptance, accept
from tests.harness import (
    ACCEPT,
    TREE_METHODS,
    Events,
    World,
    change,
    fresh_prefill,
    join,
    open_session,
    plain_texts,
    run,
    small_world,
    step,
    texts,
    tokens,
)
from tests.test_ends import looks_at_the_last_token_only
from tests.test_other_engines_bugs_batches import knowing

# The last position.

POSITIONS = 64
FULL: list[list[int]] = [([3, 5, 1, 7] * 16)[:-places] for places in range(1, 8)]
"""Prompts that leave 1 to 7 places."""


def farthest_node(method: str, rows: int) -> int:
    """The largest position of any node of any pass, while full texts are written to their ends."""
    world, farthest = small_world(positions=POSITIONS), -1
    session = open_session(world, method, rows=rows, max_new_tokens=99, temperature=1.0)

    def watch(place: Any, visible: Any, depths: Any, pasts: Any, **named: Any) -> Placement:
        nonlocal farthest
        reached = [past + max(row) for past, row in zip(pasts, depths, strict=True)]
        farthest = max(farthest, *reached)
        return place(visible, depths, pasts, **named)

    change(session, "backbone", "place", watch)
    told = run(session, FULL)
    assert texts(told) == plain_texts(world, FULL, max_new_tokens=99, temperature=1.0)
    assert [len(text) for text in texts(told)] == list(range(1, 8))
    return farthest


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("method", TREE_METHODS)
def test_vllm_16087_drafts_beyond_the_last_position(method: str, rows: int) -> None:
    """There: drafts were made for positions behind max_model_len; they had to be clamped, and their
    cache slots masked out. (llama.cpp#26478 is of the same class.)

    Here: nothing has to be clamped, because no tree is deeper than the tokens that are left. The
    token at the last position is written and never read, so no node stands there.
    """
    assert farthest_node(method, rows) == POSITIONS - 2


def test_a_planner_that_looks_beyond_the_end_fails_the_same_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wrong: trees are as deep as ever, however few tokens are left."""
    look_ahead = DecodingSession._look_ahead

    def far(session: DecodingSession) -> Outlook:
        outlook = look_ahead(session)
        return replace(outlook, deepest=tuple(depth + 9 for depth in outlook.deepest))

    monkeypatch.setattr(DecodingSession, "_look_ahead", far)
    with pytest.raises((AssertionError, IndexError)):
        test_vllm_16087_drafts_beyond_the_last_position("medusa", 3)


class Tight(DecodingSession):
    """A session with room for prompts of 4 and answers of 8 tokens, as the engine opens it."""

    def __init__(self, *given: Any, **named: Any) -> None:
        parts = list(given)
        parts[6] = 12
        super().__init__(*parts, **named)


SHORT = [[3, 1, 4, 1], [5, 9, 2, 6]]


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("method", TREE_METHODS)
def test_tensorrt_llm_13935_capacity_without_the_drafts(method: str, rows: int) -> None:
    """There: the cache's capacity was reckoned without the tokens of a draft: a device-side assert,
    and where they were counted twice, a text one token shorter than asked for.

    Here: with room for just the prompt and its answer, whole trees are drafted from the first step
    on, and the answer has all its tokens.
    """
    settings: dict[str, Any] = {"max_new_tokens": 8, "temperature": 1.0}
    session = open_session(small_world(), method, rows=rows, kind=Tight, **settings)
    told = run(session, SHORT)
    assert texts(told) == plain_texts(small_world(), SHORT, **settings)
    assert all(event.rows == rows for events in told for event in events[1:2])
    if method in ("medusa", "propd-static"):
        assert all(events[1].drafted == 63 for events in told)


def test_a_capacity_without_the_drafts_fails_the_same_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong: room for the roots alone."""
    monkeypatch.setattr(DecodingSession, "_room", lambda session, nodes: 1)
    with pytest.raises(InvalidRequest, match="The cache holds 13 tokens and the step needs"):
        test_tensorrt_llm_13935_capacity_without_the_drafts("medusa", 1)


LONG = [[3, 5, 1, 7] * 55, [8, 2] * 100]
"""200 and 220 of 256 tokens."""


@cache
def knowing_long() -> World:
    """Heads that know the long texts to the end of the context."""
    return knowing(LONG, max_new_tokens=99)


def tokens_a_step(heads_positions: int) -> list[float]:
    """Of each text written to the end of the context, with heads that know it.

    heads_positions: where the heads' own context ends; behind it they guess token 0, as vLLM does.
    """
    session = open_session(knowing_long(), "bpd", rows=2, max_new_tokens=99)

    def within(draft: Any, hidden: torch.Tensor, roots: Sequence[int]) -> list[HeadDrafts]:
        said, pasts = list(draft(hidden, roots)), session.cache.lengths
        for row, past in enumerate(pasts[: len(said)]):
            if past >= heads_positions:
                by_depth = [best._replace(token_ids=(0,) * RANKS) for best in said[row].by_depth]
                said[row] = HeadDrafts(tuple(by_depth))
        return said

    change(session, "heads", "draft", within)
    told = run(session, LONG)
    for prompt, text in zip(LONG, texts(told), strict=True):
        assert len(prompt + text) == 256
        logits = fresh_prefill(small_world().backbone, prompt + text)[2]
        assert logits[len(prompt) - 1 : -1].argmax(-1).tolist() == text
    return [(len(tokens(events)) - 1) / (len(events) - 1) for events in told]


def test_vllm_57941_heads_with_a_shorter_context_than_the_model() -> None:
    """There: a drafter with fewer positions than the model was asked for more: an illegal memory
    access. (The guard against it, #58080, silently drafted nothing right from there on.)

    Here: heads cannot have fewer, because they are given a hidden state and a root and no position.
    So their drafts are as good in the last place as in the first; the same heads with an end of
    their own are slower from there on, and the text alone would not tell.
    """
    shorter, whole = tokens_a_step(heads_positions=230), tokens_a_step(heads_positions=256)
    assert all(number > 4 for number in whole)  # of 5
    assert all(less < 0.8 * number for less, number in zip(shorter, whole, strict=True))


# End tokens.

PROMPTS = [[3], [1, 2] * 25, [7, 7, 7], [5] * 12]


@cache
def known() -> World:
    """Heads that know the texts."""
    return knowing(PROMPTS, max_new_tokens=24)


def ended(method: str, end: int) -> list[Events]:
    """Four rows whose texts end at this token; the cache is checked after each step."""
    session = open_session(known(), method, rows=4, end_tokens=[end], max_new_tokens=24)
    told: list[Events] = [[join(session, n, prompt)] for n, prompt in enumerate(PROMPTS)]
    while session.rows:
        for event in step(session):
            told[event.row].append(event)
        session.check_integrity()
    return told


def cut_at(text: Sequence[int], end: int) -> list[int]:
    """A text up to its first end token."""
    return list(text[: text.index(end) + 1] if end in text else text)


def ends_inside(method: str) -> int:
    """Declare each token the end in turn; how often it lay in the middle of what was accepted."""
    whole, inside = plain_texts(small_world(), PROMPTS, max_new_tokens=24), 0
    for end in sorted({token for text in whole for token in text}):
        told = ended(method, end)
        assert texts(told) == [cut_at(text, end) for text in whole]
        for events, text in zip(told, whole, strict=True):
            assert events[-1].finish_reason == ("eos" if end in text else "length")
            # heads that know the text have drafted on behind the end
            inside += goes_on(events[-1]) and end in text
    return inside


def goes_on(event: StepEvent) -> bool:
    """Whether the last accepted node has a child that the model would have taken."""
    if event.bonus is not None:
        return False
    last = event.accepted[-1]
    return any(n.parent == last and n.token_id == event.nodes[last].choice_id for n in event.nodes)


@pytest.mark.parametrize("method", ["bpd", "medusa", "propd-heads"])
def test_sglang_2150_accepted_tokens_are_not_looked_at_one_by_one(method: str) -> None:
    """There: a verification committed its tokens, and only then it was asked whether the request
    had ended, of the last one: an end token in the middle went by, and K and V behind it stayed.
    (Apple's ReDrafter, docs/parity_check.md: what differed in float32 was an end token accepted
    inside the path.)

    Here: in a batch of heads that know every text, the end lies inside of accepted paths; each row
    ends there, the others go on, and after each step the cache is as long as the texts.
    """
    assert ends_inside(method) >= 5


def test_looking_at_the_last_token_only_fails_the_same_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ACCEPT, looks_at_the_last_token_only)
    with pytest.raises(AssertionError):
        ends_inside("bpd")


END = 11


class EndingHeads(LogitHeads):
    """Heads that see the end of the text everywhere: it is the best guess of each of them."""

    def __init__(self, world: World) -> None:
        self.shape = world.heads.shape
        self.token_map = torch.arange(world.backbone.vocabulary_size)

    def draft_logits(self, hidden: torch.Tensor, root_ids: torch.Tensor) -> torch.Tensor:
        """The end; then all others alike."""
        logits = torch.zeros(len(hidden), 4, len(self.token_map))
        logits[:, :, END] = 3.0
        return logits

    def early_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """A flat word: keeps everything."""
        return torch.zeros(len(hidden), len(self.token_map))


DRAFTED_ENDS = [[3, END], [END, 7, END, 7, END], [5, 5, END, 5, 5, END, 5, 5]]
"""Prompts in which the end came before, so that guesses of the text are ends, too."""


def ends_drafted(method: str, temperature: float) -> int:
    """How many end tokens were drafted for texts that go on."""
    world = World(small_world().backbone, EndingHeads(small_world()))
    settings: dict[str, Any] = {"max_new_tokens": 25, "temperature": temperature}
    whole = plain_texts(world, DRAFTED_ENDS, **settings)
    session = open_session(world, method, rows=3, end_tokens=[END], **settings)
    told = run(session, DRAFTED_ENDS)
    assert texts(told) == [cut_at(text, END) for text in whole]
    nodes = [node for events in told for event in events[:-1] for node in event.nodes[1:]]
    assert not any(node.fate == "accepted" and node.token_id == END for node in nodes)
    return sum(node.token_id == END for node in nodes)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("method", TREE_METHODS)
def test_openvino_3293_a_drafted_end_that_the_model_rejects(
    method: str, temperature: float
) -> None:
    """There: an end token that was only drafted marked the sequence as finished; when the model
    rejected it, nothing was left to run, and an assertion failed.

    Here: heads see the end everywhere, and prompts have had it before; a text ends where the model
    ends it and nowhere else.
    """
    if method == "lookup":
        ends_drafted(method, temperature)  # it drafts few
    else:
        assert ends_drafted(method, temperature) >= 5


def test_an_end_that_is_drafted_ends_the_text_fails_the_same_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wrong, as in openvino.genai#3293."""

    def hasty(
        parents: Sequence[int],
        ids: Sequence[int],
        choose: Callable[[int], int],
        ends: Collection[int],
    ) -> Acceptance:
        found = accept(parents, ids, choose, ends)
        return replace(found, ended=found.ended or drafted(ids, ends))

    def drafted(ids: Iterable[int], ends: Collection[int]) -> bool:
        return any(token in ends for token in list(ids)[1:])

    monkeypatch.setattr(ACCEPT, hasty)
    with pytest.raises(AssertionError):
        ends_drafted("medusa", 0.0)
