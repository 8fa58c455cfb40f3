"""Bugs that other engines had in drawing tokens and in typical acceptance.

As in test_other_engines_bugs.py each test is named after one, and a docstring says what happened
there, and how it would be noticed here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

import pytest
import torch

from propd.core import DecodingConfig
from propd.decoding import DecodingSession
from propd.methods import METHODS
from propd.one_read import session_class
from propd.shelf import Shelf
from propd.tree.acceptance import Acceptance, accept, accept_typical
from propd.tree.sampling import Chooser, distribution
from propd.verification import Verdict, judge
from tests.harness import fresh_prefill, open_session, run, small_world, texts
from tests.tree.test_sampling import Text, p_value

# The law of a session's texts.

PROMPT, LENGTH, ROWS = [3, 1], 3, 32
SAMPLED: dict[str, Any] = {"temperature": 1.2, "top_k": 4}
"""Four tokens are possible at each place, and 64 texts."""
COUNT = 384


@cache
def joint_law() -> dict[Text, float]:
    """The chance of every text of three tokens, each context read afresh by the model."""
    law: dict[Text, float] = {(): 1.0}
    for _ in range(LENGTH):
        longer: dict[Text, float] = {}
        for text, chance in law.items():
            logits = fresh_prefill(small_world().backbone, [*PROMPT, *text])[2][-1]
            after = distribution(logits, DecodingConfig(**SAMPLED))
            longer |= {(*text, t): chance * float(p) for t, p in enumerate(after) if p > 0}
        law = longer
    return law


def p_of_session(**settings: Any) -> float:
    """Chi-square p of what a session writes to one prompt, over and over, each time anew."""
    session = open_session(
        small_world(), "medusa", rows=ROWS, max_new_tokens=LENGTH, **SAMPLED, **settings
    )
    told = run(session, [PROMPT] * COUNT)
    assert sum(len(event.accepted) for events in told for event in events) > COUNT / 4
    counts = Counter(tuple(text) for text in texts(told))
    return p_value(counts, joint_law()) if counts.keys() <= joint_law().keys() else 0.0


def test_medusa_56_typical_acceptance_is_not_the_models_law() -> None:
    """There: a guess is kept when it is fairly likely, which is fast and draws from another law.
    (vllm#5015 took it over as an option.)

    Here: unless typical acceptance is asked for, what a session writes has the model's joint law;
    the same test knows the texts of a session that was asked for it.
    """
    assert p_of_session() > 1e-4
    assert p_of_session(acceptance="typical") < 1e-4


Remainder = Callable[[torch.Tensor], torch.Tensor]


def speculative(remainder: Remainder) -> Callable[..., Verdict]:
    """A verdict by speculative sampling: keep the first offered token as often as the model would
    take it, or else draw from the rest of its law."""

    def verdict(
        chooser: Chooser,
        parents: Sequence[int],
        tokens: Sequence[int],
        logits: torch.Tensor,
        end_tokens: Collection[int],
        best: Sequence[int] | None = None,
    ) -> Verdict:
        def choose(node: int) -> int:
            law = chooser.law(logits[node])
            offered = [token for at, token in enumerate(tokens) if parents[at] == node]
            if not offered:
                return chooser.draw_from(law)
            if chooser.number() < law[offered[0]]:
                return offered[0]
            law[offered[0]] = 0
            return chooser.draw_from(remainder(law))

        return Verdict(accept(parents, tokens, choose, end_tokens), (None,) * len(tokens))

    return verdict


@pytest.mark.parametrize(
    ("remainder", "exact"),
    [(lambda rest: rest / rest.sum(), True), (lambda rest: rest.softmax(-1), False)],
    ids=["scaled", "softmax"],
)
def test_transformers_28508_residual_distribution(
    monkeypatch: pytest.MonkeyPatch, remainder: Remainder, exact: bool
) -> None:
    """There: after a rejected draft the next token was drawn from the softmax of what was left of
    the model's law, which is flatter, in place of what was left, scaled up.

    Here: nothing is left over, because the model draws first and the tree is asked afterwards (the
    test above). Put speculative sampling in its place, and the law of a session's texts tells the
    right remainder from the wrong one.
    """
    monkeypatch.setattr("propd.decoding.judge", speculative(remainder))
    assert (p_of_session() > 1e-4) is exact


# Typical acceptance.

PROMPTS = [[3], [1, 2] * 25, [7, 7, 7], [5] * 12]


def tokens_a_step(acceptance: str) -> float:
    """By Medusa's tree, at the temperature of the report."""
    settings: dict[str, Any] = {"temperature": 0.9, "max_new_tokens": 80, "acceptance": acceptance}
    told = run(open_session(small_world(), "medusa", rows=4, **settings), PROMPTS)
    steps = [event for events in told for event in events[1:]]
    return sum(len(event.token_ids) for event in steps) / len(steps)


def test_vllm_8639_typical_acceptance_accepts_less_than_exact_sampling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There: typical acceptance, which gives up exactness for longer steps, had shorter ones than
    rejection sampling: the model's own token was written only where no guess at all was kept.

    Here: where it is asked for, its steps are longer; without that token they would not be.
    """

    def without_the_own(parents: Any, ids: Any, *given: Any) -> Acceptance:
        found = accept_typical(parents, ids, *given)
        if not found.path:
            return found
        return Acceptance(found.path[:-1], ids[found.path[-1]], ended=False)

    exact = tokens_a_step("exact")
    assert tokens_a_step("typical") > 1.2 * exact
    monkeypatch.setattr("propd.verification.accept_typical", without_the_own)
    assert tokens_a_step("typical") < exact


FILTERS: list[dict[str, Any]] = [{}, {"top_k": 3}, {"top_p": 0.8, "min_p": 0.05}]


@pytest.mark.parametrize("method", METHODS)
def test_medusa_calls_its_typical_acceptance_with_an_argument_too_many(method: str) -> None:
    """There: with ``sampling="typical", fast=False`` a function of five arguments was called with
    six, so that setting had never run.

    Here: every way to accept runs with every filter and with recorded probabilities, to the end.
    """
    for acceptance in ("exact", "typical"):
        for filters in FILTERS:
            session = open_session(
                small_world(),
                method,
                rows=2,
                max_new_tokens=5,
                temperature=0.7,
                acceptance=acceptance,
                record_probabilities=True,
                **filters,
            )
            assert [len(text) for text in texts(run(session, PROMPTS[:2]))] == [5, 5]


def test_no_other_loop_is_asked_for_typical_acceptance() -> None:
    """Of two loops one knows it, on any device: the other would be the setting that never ran."""
    heads, cuda = small_world().heads, torch.device("cuda")
    typical = DecodingConfig(temperature=0.7, acceptance="typical")
    assert session_class(cuda, heads, None, typical, Shelf()) is DecodingSession
    assert session_class(cuda, heads, None, DecodingConfig(), Shelf()) is not DecodingSession


def kept(**settings: float) -> bool:
    """Whether typical acceptance keeps a guess of 0.08 where the model is sure of another."""
    config = DecodingConfig(temperature=1.0, acceptance="typical", **settings)  # type: ignore[arg-type]
    logits = torch.log(torch.tensor([[0.92, 0.08, 0.0], [1.0, 0.0, 0.0]]))
    verdict = judge(Chooser(config, seed=0), (-1, 0), (2, 1), logits, ())
    return verdict.acceptance.path == (1,)


def test_medusa_swaps_the_defaults_of_typical_acceptance() -> None:
    """There: callers meant a threshold of 0.09 and an alpha of 0.3; the functions they called had
    0.3 and 0.09 as defaults, so whoever left them open had another rule.

    Here: the defaults stand in one place, and they are the callers'. At an entropy of 0.28 the bar
    is min(0.09, 0.3 exp(-0.28)) = 0.09 and a guess of 0.08 goes; swapped it is 0.068, and it stays.
    """
    assert not kept()
    assert not kept(typical_threshold=0.09, typical_alpha=0.3)
    assert kept(typical_threshold=0.3, typical_alpha=0.09)
