"""Sampling through the whole loop: a real session writes texts of exactly the model's joint law."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from torch import Tensor

from propd.core import DecodingConfig, TokenTree
from propd.decoding import DecodingSession
from propd.models.kv_cache import KVCache
from propd.rows import Row
from propd.tree.sampling import distribution
from propd.verification import Verdict
from tests.harness import fresh_prefill, open_session, run, small_world, texts
from tests.tree.test_sampling import Text, p_value

PROMPT, LENGTH, TEXTS, ROWS = [3, 1], 4, 1500, 32
SETTINGS: dict[str, Any] = {"temperature": 1.2, "top_k": 4, "prune_top_k": 8}
"""Four tokens are possible at each place, so that 1,500 texts fill the 256 cells. The fourth token
comes from a step behind one that moved accepted nodes in the cache."""


def joint_law() -> dict[Text, float]:
    """The chance of every text of four tokens, each context read afresh by the model."""
    world, config = small_world(), DecodingConfig(**SETTINGS)
    law: dict[Text, float] = {(): 1.0}
    for _ in range(LENGTH):
        longer = {}
        for text, chance in law.items():
            after = distribution(fresh_prefill(world.backbone, [*PROMPT, *text])[2][-1], config)
            longer |= {(*text, t): chance * float(p) for t, p in enumerate(after) if p > 0}
        law = longer
    return law


def written(method: str, count: int = TEXTS) -> Counter[Text]:
    """Answers to one prompt, over and over: the r-th draws with seed r."""
    session = open_session(small_world(), method, rows=ROWS, max_new_tokens=LENGTH, **SETTINGS)
    told = run(session, [PROMPT] * count)
    assert sum(len(event.accepted) for row in told for event in row) > count / 10
    return Counter(tuple(text) for text in texts(told))


@pytest.mark.parametrize("method", ["medusa", "propd-static"])
def test_a_session_draws_from_the_models_joint_law(method: str) -> None:
    """Prefill, drafting, pruning, batching and commit together; chi-square as in the bulk test.

    A right engine fails once in 10^4 seeds, and the seeds are fixed. Had the loop kept a wrong K or
    V, or sampled behind the wrong node, the later tokens would follow another law.
    """
    law = joint_law()
    assert len(law) == 4**LENGTH
    assert p_value(written(method), law) > 1e-4


def by_the_root(
    session: DecodingSession, row: Row, tree: TokenTree, ids: Sequence[int], logits: Tensor,
    best: Sequence[int] | None = None,
) -> Verdict:  # fmt: skip
    """Wrong: every node of a tree is judged by the logits after its root."""
    return JUDGE(session, row, tree, ids, logits[:1].expand_as(logits), best)


def no_roll_back(cache: KVCache, layers: slice, row: int, nodes: Sequence[int]) -> None:
    """Wrong: the accepted nodes are taken to lie in front."""


JUDGE = DecodingSession._judge


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [(DecodingSession, "_judge", by_the_root), (KVCache, "keep", no_roll_back)],
)
def test_a_wrong_session_fails_the_same_test(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, wrong: Callable[..., Any]
) -> None:
    law = joint_law()
    monkeypatch.setattr(owner, name, wrong)
    counts = written("medusa", 800)
    assert set(counts) - set(law) or p_value(counts, law) < 1e-4
