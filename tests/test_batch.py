"""Rows with deep acceptance, real pruning, and neighbours that come and go."""

from __future__ import annotations

import dataclasses
import random

import pytest
import torch

from propd.core import DecodingConfig, StepEvent
from propd.decoding import DecodingSession
from propd.heads.logits import LogitHeads
from propd.heads.rooted import Heads
from propd.methods import METHODS
from propd.models.backbone import Backbone
from tests.test_decoding import decode, make_session, tokens

PROMPTS = [[1, 2, 3], [7], [11, 5, 11, 5, 11, 5], list(range(30)), [9, 9], [3, 1, 4]]


class TextKnowingHeads(LogitHeads):
    """Draft heads that mostly know each row's text, and an early head that prunes at random."""

    def __init__(self, heads: Heads, texts: list[list[int]]) -> None:
        self.shape = dataclasses.replace(heads.shape, prune_top_k=30)
        self.token_map = torch.arange(61)
        self.texts, self.written = texts, [0] * len(texts)
        self.session: DecodingSession | None = None
        self._source = random.Random(3)
        self._random = torch.Generator().manual_seed(3)

    def draft_logits(self, hidden: torch.Tensor, root_ids: torch.Tensor) -> torch.Tensor:
        assert self.session is not None
        said = []
        for row in self.session.rows:
            text, at = self.texts[row.number], self.written[row.number] - 1
            assert text[at] == row.root
            logits = torch.randn(4, 61, generator=self._random)
            for depth, token in enumerate(text[at + 1 : at + 5]):
                logits[depth, token] = self._source.choice([9.0, 9.0, 2.0, 1.5, -9.0])
            said.append(logits)
        return torch.stack(said)

    def early_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.randn(len(hidden), 61, generator=self._random)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "autoregressive"])
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_deep_paths_in_every_row_are_right(
    backbone: Backbone, heads: Heads, method: str, temperature: float
) -> None:
    """Commit must move slots in each row, and pruning must not mix rows: several deep acceptances,
    cut trees and rows that move up in the cache, all at once (mlx-vlm#1155)."""
    plain = [
        tokens(decode(backbone, heads, prompt, "autoregressive", (60,), max_new_tokens=40,
                      temperature=temperature, seed=5 + number))
        for number, prompt in enumerate(PROMPTS)
    ]  # fmt: skip
    knowing = TextKnowingHeads(heads, plain)
    config = DecodingConfig(method=method, max_new_tokens=40, temperature=temperature, seed=5)
    session = make_session(backbone, knowing, config, (60,), max_rows=4)
    knowing.session = session
    written, events = run_by_hand(session, knowing)
    assert written == plain
    moved = [e for e in events if e.accepted != tuple(range(1, len(e.accepted) + 1))]
    assert method == "bpd" or len(moved) > 3  # accepted nodes that did not lie in front already
    assert max(len(event.accepted) for event in events) >= 2 or method == "lookup"
    assert sum(e.pruned for e in events) > 50 or not METHODS[method].pruning


def run_by_hand(
    session: DecodingSession, knowing: TextKnowingHeads
) -> tuple[list[list[int]], list[StepEvent]]:
    """As `run`, but the heads are told what was written before they draft again."""
    waiting, told = list(enumerate(PROMPTS))[::-1], []
    written: list[list[int]] = [[] for _ in PROMPTS]
    with torch.inference_mode():
        while waiting or session.rows:
            news = []
            if waiting and len(session.rows) < session.max_rows:
                news = [session.join(*waiting.pop())]
            elif session.rows:
                news = session.step()
            for event in news:
                written[event.row] += event.token_ids
                knowing.written[event.row] = len(written[event.row])
            for row in [row for row in session.rows if row.finish_reason]:
                session.leave(row)
            session.check_integrity()
            told += news
    return written, told
