"""Bugs that other engines had with trees, drafts and batches; each test is named after one.

A docstring says what happened there, and how it would be noticed here. More of them, by theme, are
in test_other_engines_bugs_*.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from propd.core import DecodingConfig
from propd.decoding import DecodingSession
from propd.heads.logits import LogitHeads
from propd.heads.rooted import Heads
from propd.methods import METHODS
from propd.models.backbone import Backbone
from tests.conftest import tiny_transformer
from tests.harness import (
    TREE_METHODS,
    World,
    change,
    fresh_prefill,
    join,
    leave_all,
    open_session,
    plain_texts,
    random_heads,
    run,
    small_world,
    step,
    texts,
)
from tests.test_decoding import PROMPTS, batch, decode, make_session, tokens

UNEVEN = [[3], [1, 2] * 25, [7, 7, 7], [5] * 12]
"""Prompts of 1 to 50 tokens, so that the rows of a batch differ as much as they can."""


# Ends and limits.


class OracleHeads(LogitHeads):
    """Heads that know the text: they make deep acceptance happen with a random model."""

    def __init__(self, heads: Heads, text: list[int], wrong_every: int = 0) -> None:
        self.shape = dataclasses.replace(heads.shape, prune_top_k=40)
        self.token_map = torch.arange(61)
        self._text, self._wrong_every, self._calls = text, wrong_every, 0

    def draft_logits(self, hidden: torch.Tensor, root_ids: torch.Tensor) -> torch.Tensor:
        """What follows the first place of the root that was not passed yet."""
        self._calls += 1
        at = self.written - 1
        logits = torch.randn(1, 4, 61, generator=torch.Generator().manual_seed(self._calls))
        for depth in range(4):
            if at + 1 + depth < len(self._text):
                rank = depth if self._wrong_every and self._calls % self._wrong_every == 0 else 0
                logits[0, depth, self._text[at + 1 + depth]] = 9.0 - 8 * rank
        return logits

    def early_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """A flat word: keeps everything."""
        return torch.zeros(hidden.shape[0], 61)

    written = 1


def test_transformers_47912_eos_inside_accepted_path(backbone: Backbone, heads: Heads) -> None:
    """There: a block of accepted tokens was written out first and only its last token was checked,
    so a text went on behind an end token that was accepted in the middle.

    Here: heads that know the text have whole paths accepted, and the end lies inside of them.
    """
    plain = tokens(decode(backbone, heads, [7, 3], "autoregressive", max_new_tokens=30))
    ends = [token for token in set(plain) if plain.index(token) % 5]  # 0: a bonus
    assert ends
    for end in ends:
        oracle = OracleHeads(heads, plain)
        config = DecodingConfig(method="bpd", max_new_tokens=30)
        session = make_session(backbone, oracle, config, (end,))
        events = []
        for event in session.run([[7, 3]]):
            events.append(event)
            oracle.written = len(tokens(events))
        assert tokens(events) == plain[: plain.index(end) + 1]
        assert events[-1].bonus is None


@pytest.mark.parametrize("method", METHODS)
def test_koboldcpp_1276_text_goes_on_behind_an_end_token(
    backbone: Backbone, heads: Heads, method: str
) -> None:
    """There: with a draft model, tokens behind an end token were written out. (openvino.genai#1951
    and Medusa's loop likewise: it stops on an end token and keeps what it accepted behind it.)

    Here: run plainly, then declare each written token the end in turn; every method stops there.
    """
    plain = tokens(decode(backbone, heads, [1, 2, 3], "autoregressive", max_new_tokens=16))
    for end in set(plain):
        events = decode(backbone, heads, [1, 2, 3], method, (end, 60), max_new_tokens=16)
        assert tokens(events) == plain[: plain.index(end) + 1]
        assert events[-1].finish_reason == "eos"


@pytest.mark.parametrize("method", METHODS)
def test_transformers_28508_candidates_beyond_the_length_limit(method: str) -> None:
    """There: more candidates were checked than fit under max_length, and the sampler met an empty
    distribution. (Medusa's own loop counts steps, not tokens, and writes past the limit.)

    Here: where paths of two and three are accepted, exactly as many tokens come out as were asked
    for, and they are the first ones of the longer text.
    """
    whole = plain_texts(small_world(), UNEVEN, max_new_tokens=9, temperature=1.0)
    for count in range(1, 10):
        session = open_session(small_world(), method, max_new_tokens=count, temperature=1.0)
        for events, text in zip(run(session, UNEVEN), whole, strict=True):
            assert tokens(events) == text[:count]
            assert [event.finish_reason for event in events[:-1]] == [None] * (len(events) - 1)
            assert events[-1].finish_reason == "length"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [1, 4])
def test_exllamav2_274_draft_runs_past_the_context(method: str, rows: int) -> None:
    """There: at 4092 of 4096 tokens the draft looked five ahead, and the cache overflowed. (Also
    predibase/lorax#474.)

    Here: with 1 to 8 places left the last one is written, and none after it, alone and beside rows
    that end earlier or later.
    """
    world = small_world()
    prompts = [[3, 5, 1, 7] * 64] * 8
    prompts = [prompt[: 256 - places] for places, prompt in enumerate(prompts, start=1)]
    settings = {"max_new_tokens": 100, "temperature": 1.0}
    session = open_session(world, method, rows=rows, **settings)  # type: ignore[arg-type]
    told = run(session, prompts)
    assert [len(text) for text in texts(told)] == list(range(1, 9))
    assert texts(told) == plain_texts(world, prompts, **settings)
    assert {events[-1].finish_reason for events in told} == {"length"}


# The cache.


def check_row(session: DecodingSession, number: int, text: Sequence[int]) -> None:
    """The row's past is its text without the root, and K and V are those of a fresh prefill."""
    slot = [row.number for row in session.rows].index(number)
    past = len(text) - 1
    assert session.cache.lengths[slot] == past
    keys, values, _ = fresh_prefill(small_world().backbone, text)
    assert (session.cache.keys[:, slot, :, :past] - keys[:, :, :past]).abs().max() < 1e-4
    assert (session.cache.values[:, slot, :, :past] - values[:, :, :past]).abs().max() < 1e-4


def test_mlx_lm_1109_rejected_drafts_stay_in_the_cache() -> None:
    """There: a cache that could not be trimmed kept rejected drafts, and what followed was spoiled.

    Here: after a step that rejects all it drafted, the past is longer by the root and by no more,
    and holds what a fresh prefill of the text holds.
    """
    session = open_session(small_world(), "medusa", max_new_tokens=150, temperature=1.0)
    text, rejected = [3, 1, *join(session, 0, [3, 1]).token_ids], 0
    while session.rows:
        (event,) = step(session)
        text += event.token_ids
        if session.rows and event.drafted and not event.accepted:
            assert session.cache.lengths[0] == event.past_length + 1
            check_row(session, 0, text)
            rejected += 1
    assert rejected >= 5


def test_mlx_vlm_1155_uniform_roll_back_corrupts_a_batch() -> None:
    """There: after a step all rows of a batch were rolled back by the same count, so rows that had
    accepted less kept rejected drafts and stood at wrong positions; texts fell into loops.

    Here: after steps in which the rows accepted different numbers, each row's past has its own
    length and its own K and V.
    """
    session = open_session(small_world(), "medusa", rows=4, max_new_tokens=40, temperature=1.0)
    written = [[*p, *join(session, n, p).token_ids] for n, p in enumerate(UNEVEN)]
    uneven = 0
    while len(session.rows) == len(UNEVEN):
        events = step(session)
        for event in events:
            written[event.row] += event.token_ids
        if len({len(event.accepted) for event in events}) > 1:
            uneven += 1
            for row in session.rows:
                check_row(session, row.number, written[row.number])
    assert uneven >= 5


def test_mlx_vlm_1962_cleared_slots_still_count() -> None:
    """There: rejected slots were set to zero and not cut off; a key of zero still has a weight in
    the softmax, and it thinned out what the row attended to.

    Here: whatever lies behind a row's past, zeros or large numbers, has no weight at all.
    """
    plain = plain_texts(small_world(), UNEVEN, max_new_tokens=20)
    for rubbish in (0.0, 1e4, -1e4):
        session = open_session(small_world(), "medusa", rows=4, max_new_tokens=20)
        written = [list(join(session, n, p).token_ids) for n, p in enumerate(UNEVEN)]
        while session.rows:
            for slot, past in enumerate(session.cache.lengths):
                session.cache.keys[:, slot, :, past:] = rubbish
                session.cache.values[:, slot, :, past:] = rubbish
            for event in step(session):
                written[event.row] += event.token_ids
        assert written == plain


def test_aprender_2014_reset_instead_of_roll_back() -> None:
    """There: rolling back emptied the cache, so each verification saw almost none of the text.

    Here: a step begins behind exactly what was written before it, prompt included.
    """
    for method in TREE_METHODS:
        session = open_session(small_world(), method, max_new_tokens=30)
        (events,) = run(session, [[4, 4, 9]])
        written = 3
        for event in events:
            assert event.past_length == (0 if event.kind == "prefill" else written - 1)
            written += len(event.token_ids)


@pytest.mark.parametrize("method", TREE_METHODS)
def test_mlx_lm_1427_rejected_behind_a_full_window(method: str) -> None:
    """There: a full rotating cache had overwritten what a roll back needed. (Also #1486.)

    Here: a sliding window is never slid. The text ends when the window is full, right up to there.
    """
    with torch.inference_mode():
        backbone = Backbone(tiny_transformer("mistral"))
        world = World(backbone, random_heads(backbone))
    plain = plain_texts(world, [[8] * 100], max_new_tokens=99)
    assert len(plain[0]) == 28  # of 128
    assert texts(run(open_session(world, method, max_new_tokens=99), [[8] * 100])) == plain


@pytest.fixture
def overflow(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[Any]]:
    """While it holds, the model's numbers overflow."""
    embed = Backbone.embed

    @contextmanager
    def holds() -> Iterator[None]:
        with monkeypatch.context() as patched:
            patched.setattr(Backbone, "embed", lambda *given: embed(*given) * torch.nan)
            yield

    return holds


def test_vllm_56734_stale_rows_poison_the_next(
    overflow: Callable[[], AbstractContextManager[Any]],
) -> None:
    """There: rows of requests long gone held NaN; whoever got the place next had none of its drafts
    accepted. Masking does not help (pytorch#101967): NaN times a weight of zero is NaN.

    Here: a request whose numbers overflow has the place first; in the next batch, where the short
    rows' stale slots are multiplied beside the long rows' own, every text must be right.
    """
    session = open_session(small_world(), "medusa", rows=4, max_new_tokens=20)
    with overflow():
        for number in range(4):
            join(session, number, [6] * 90)
        step(session)
    assert session.cache.keys[:, :, :, :90].isnan().all()
    leave_all(session)
    assert texts(run(session, UNEVEN)) == plain_texts(small_world(), UNEVEN, max_new_tokens=20)


def test_vllm_56734_a_row_that_moves_into_a_stale_place(
    overflow: Callable[[], AbstractContextManager[Any]],
) -> None:
    """The same when a healthy row moves up into the place of one whose numbers overflowed."""
    plain = plain_texts(small_world(), UNEVEN[:3], max_new_tokens=20)
    session = open_session(small_world(), "medusa", rows=3, max_new_tokens=20)
    with overflow():
        join(session, 0, [6] * 90)
    assert session.cache.keys[:, 0, :, :90].isnan().all()
    written = {number: list(join(session, number, UNEVEN[number]).token_ids) for number in (1, 2)}
    session.leave(session.rows[0])
    assert [row.number for row in session.rows] == [2, 1]
    while session.rows:
        for event in step(session):
            written[event.row] += event.token_ids
    assert [written[1], written[2]] == plain[1:]


# Batches.


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("max_rows", [2, 4])
def test_eagle_250_more_than_one_row(
    backbone: Backbone, heads: Heads, method: str, max_rows: int
) -> None:
    """There: the tree code assumed one row, and two prompts failed with a shape error.

    Here: rows of different length, tree, acceptance and end write what each writes alone. With two
    rows for four prompts, rows leave, others move up in the cache and new ones join.
    """
    together = batch(backbone, heads, method, max_rows, max_new_tokens=20)
    for row, prompt in enumerate(PROMPTS):
        alone = decode(backbone, heads, prompt, method, (60,), max_new_tokens=20)
        assert tokens(together[row]) == tokens(alone)
        assert together[row][-1].finish_reason == alone[-1].finish_reason
    assert max(event.rows for events in together.values() for event in events) == max_rows


@pytest.mark.parametrize("method", METHODS)
def test_unsloth_3699_padding_shifts_the_shorter_rows(method: str) -> None:
    """There: in a padded batch all rows took the positions of the longest, and the shorter ones
    wrote nonsense. (nnsight#673 likewise, without any error.)

    Here: a row of one token beside one of fifty has its own positions, so its K, V and text are
    those it has alone.
    """
    session = open_session(small_world(), method, rows=4, max_new_tokens=20)
    written = [[*p, *join(session, n, p).token_ids] for n, p in enumerate(UNEVEN)]
    while session.rows:
        for row in session.rows:
            check_row(session, row.number, written[row.number])
        for event in step(session):
            written[event.row] += event.token_ids
    answers = [text[len(prompt) :] for text, prompt in zip(written, UNEVEN, strict=True)]
    assert answers == plain_texts(small_world(), UNEVEN, max_new_tokens=20)


# The mask.


def test_pytorch_103963_a_fully_masked_row_gives_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """There: a row of a mask without a single place to look at gave NaN, which then spread. (Also
    #103749, #109517.)

    Here: in a batch of uneven trees small rows are padded; every row of every mask has a place to
    look at, and nothing that comes out of attention, padding included, is NaN.
    """
    attend, padded = torch.nn.functional.scaled_dot_product_attention, []

    def watched(queries: Any, keys: Any, values: Any, attn_mask: torch.Tensor) -> torch.Tensor:
        assert (attn_mask == 0).any(-1).all()
        mixed = attend(queries, keys, values, attn_mask=attn_mask)
        assert mixed.isfinite().all()
        padded.append(((attn_mask == 0).sum(-1) == 1).any())
        return mixed

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    for method in ("propd", "propd-unpruned"):
        session = open_session(small_world(), method, rows=4, max_new_tokens=20, temperature=1.0)
        run(session, UNEVEN)
    assert sum(padded) > 20


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_transformers_38690_attention_kernels_disagree(backend: SDPBackend) -> None:
    """There: the same mask gave zeros in one attention kernel and NaN in another.

    Here: whichever kernel runs, every method writes the same texts.
    """
    plain = plain_texts(small_world(), UNEVEN, max_new_tokens=20)
    for method in METHODS:
        session = open_session(small_world(), method, rows=4, max_new_tokens=20)
        with sdpa_kernel(backend):
            assert texts(run(session, UNEVEN)) == plain


# Choosing a token.


def to_whole_numbers(logits: Callable[..., torch.Tensor], normed: torch.Tensor) -> torch.Tensor:
    """Logits of so coarse a number format that the best is often tied."""
    return logits(normed).round()


@pytest.mark.parametrize("method", METHODS)
def test_lattice_280_ties_go_to_another_token_when_verified(method: str) -> None:
    """There: among equal logits plain decoding took the first token and verification the last.

    Here: with logits rounded to whole numbers ties are common; every method takes the first.
    """
    session = open_session(small_world(), method, rows=4, max_new_tokens=30)
    change(session, "backbone", "logits", to_whole_numbers)
    written, ties = texts(run(session, UNEVEN)), 0
    for prompt, answer in zip(UNEVEN, written, strict=True):
        logits = fresh_prefill(small_world().backbone, [*prompt, *answer])[2].round()
        for token, row in zip(answer, logits[len(prompt) - 1 :].tolist(), strict=False):
            assert token == row.index(max(row))
            ties += row.count(max(row)) > 1
    assert ties >= 5


@pytest.mark.parametrize("method", ["bpd", "medusa", "propd-heads"])
@pytest.mark.parametrize("wrong_every", [0, 3])
def test_vllm_8620_zero_acceptance_unnoticed(
    backbone: Backbone, heads: Heads, method: str, wrong_every: int
) -> None:
    """There: heads that guess well elsewhere had an acceptance of 0.000; the text was right and
    nothing failed. (Likewise #6768.)

    Here: heads that know the text must have every path accepted whole. Heads that look one place
    off, a hidden state of the wrong node, or a mask that blinds deep nodes would end it early.
    """
    prompt = [7, 3]
    plain = tokens(decode(backbone, heads, prompt, "autoregressive", max_new_tokens=60))
    oracle = OracleHeads(heads, plain, wrong_every)
    config = DecodingConfig(method=method, max_new_tokens=60)
    session = make_session(backbone, oracle, config)
    events = []
    for event in session.run([prompt]):
        events.append(event)
        oracle.written = len(tokens(events))
    assert tokens(events) == plain
    lengths = [len(event.token_ids) for event in events[1:]]
    whole = [max(node.depth for node in event.nodes) + 1 for event in events[1:]]
    assert max(lengths) == max(whole) >= 4
    if not wrong_every:
        assert lengths == whole
