"""Sampling through random trees draws from exactly the model's distribution."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest
import torch

from propd.core import DecodingConfig
from propd.tree.acceptance import accept
from propd.tree.sampling import Chooser, distribution, pick

VOCABULARY, LENGTH, TEXTS = 5, 3, 20_000
Text = tuple[int, ...]
Choose = Callable[[Text, list[int]], int]
"""The text so far and the tokens that the tree offers next -> the next token."""


def law_after(text: Text, config: DecodingConfig) -> torch.Tensor:
    """A made-up model: another distribution after each text."""
    generator = torch.Generator().manual_seed(sum(5**i * (t + 1) for i, t in enumerate(text)))
    return distribution(1.5 * torch.randn(VOCABULARY, generator=generator), config)


def joint_law(config: DecodingConfig) -> dict[Text, float]:
    """The chance of every text of three tokens, by multiplying out."""
    law: dict[Text, float] = {(): 1.0}
    for _ in range(LENGTH):
        law = {
            (*text, token): chance * float(after)
            for text, chance in law.items()
            for token, after in enumerate(law_after(text, config))
        }
    return law


def random_tree(source: random.Random, size: int) -> tuple[list[int], list[int]]:
    """Parents and tokens of a random tree under a root; siblings differ, as the heads' do."""
    parents, tokens = [-1], [0]
    for _ in range(size):
        parent, token = source.randrange(len(parents)), source.randrange(VOCABULARY)
        if token not in [tokens[n] for n, p in enumerate(parents) if p == parent]:
            parents.append(parent)
            tokens.append(token)
    return parents, tokens


def write(choose: Choose, source: random.Random, size: int) -> Text:
    """Three tokens through one random tree after another, as the loop writes them."""
    text: Text = ()
    while len(text) < LENGTH:
        parents, tokens = random_tree(source, size)
        paths = [text]
        for node in range(1, len(parents)):
            paths.append((*paths[parents[node]], tokens[node]))

        def at(node: int, parents: list[int] = parents, tokens: list[int] = tokens,
               paths: list[Text] = paths) -> int:  # fmt: skip
            offered = [tokens[n] for n, p in enumerate(parents) if p == node]
            return choose(paths[node], offered)

        outcome = accept(parents, tokens, at, ())
        text += tuple(tokens[node] for node in outcome.path)
        text += () if outcome.bonus is None else (outcome.bonus,)
    return text[:LENGTH]


def p_value(counts: Counter[Text], law: dict[Text, float]) -> float:
    """Chi-square p (Wilson and Hilferty's approximation); texts expected under 5 times pooled."""
    assert all(law.get(text, 0) > 0 for text in counts), "a text that the law excludes"
    total = sum(counts.values())
    rare = {text for text, chance in law.items() if chance * total < 5}
    cells = [(counts[t], law[t] * total) for t in law if t not in rare]
    cells.append((sum(counts[t] for t in rare), sum(law[t] for t in rare) * total))
    cells = [(seen, expected) for seen, expected in cells if expected > 0]
    free = len(cells) - 1
    chi = sum((seen - expected) ** 2 / expected for seen, expected in cells)
    z = ((chi / free) ** (1 / 3) - 1 + 2 / (9 * free)) / math.sqrt(2 / (9 * free))
    return 0.5 * math.erfc(z / math.sqrt(2))


def exact(config: DecodingConfig) -> Choose:
    chooser, laws = Chooser(config, seed=1), {}

    def choose(text: Text, offered: list[int]) -> int:
        if text not in laws:
            laws[text] = law_after(text, config).cumsum(-1)
        return pick(laws[text], chooser.number())

    return choose


def favours_the_tree(config: DecodingConfig) -> Choose:
    """Wrong: takes an offered token whenever it is fairly likely (typical acceptance)."""
    honest = exact(config)

    def choose(text: Text, offered: list[int]) -> int:
        law = law_after(text, config)
        likely = [token for token in offered if law[token] > 0.3]
        return likely[0] if likely else honest(text, offered)

    return choose


def falls_back_to_the_best(config: DecodingConfig) -> Choose:
    """Wrong: where the drawn token is not in the tree, the bonus is the most probable one."""
    honest = exact(config)

    def choose(text: Text, offered: list[int]) -> int:
        drawn = honest(text, offered)
        return drawn if drawn in offered else int(law_after(text, config).argmax())

    return choose


CONFIGS = [
    DecodingConfig(temperature=t, **more)
    for t in (0.7, 1.0, 1.5)
    for more in ({}, {"top_k": 3}, {"top_p": 0.8}, {"min_p": 0.2})
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.temperature}-{c.top_k}-{c.top_p}")
def test_the_joint_law_is_the_models(config: DecodingConfig) -> None:
    """Three tokens through trees against the enumerated law; a right sampler fails once in 10^4."""
    source, choose = random.Random(2), exact(config)
    counts = Counter(write(choose, source, size=6) for _ in range(TEXTS))
    assert p_value(counts, joint_law(config)) > 1e-4


@pytest.mark.parametrize("wrong", [favours_the_tree, falls_back_to_the_best])
def test_a_wrong_sampler_fails_the_same_test(wrong: Callable[[DecodingConfig], Choose]) -> None:
    config = DecodingConfig(temperature=1.0)
    source, choose = random.Random(2), wrong(config)
    counts = Counter(write(choose, source, size=6) for _ in range(TEXTS // 5))
    assert p_value(counts, joint_law(config)) < 1e-4


def test_filters_keep_what_they_promise() -> None:
    logits = torch.log(torch.tensor([0.5, 0.25, 0.15, 0.1]))

    def kept(**settings: float) -> list[int]:
        config = DecodingConfig(temperature=1.0, **settings)  # type: ignore[arg-type]
        return distribution(logits, config).nonzero().flatten().tolist()

    assert kept() == [0, 1, 2, 3]
    assert kept(top_k=2) == [0, 1]
    assert kept(top_p=0.7) == [0, 1]
    assert kept(top_p=0.01) == [0]
    assert kept(min_p=0.25) == [0, 1, 2]


def test_temperature_sharpens() -> None:
    logits = torch.tensor([1.0, 0.0])
    cold = distribution(logits, DecodingConfig(temperature=0.1))[0]
    assert cold > 0.9999
    assert distribution(logits, DecodingConfig(temperature=100.0))[0] < 0.51


def test_a_number_at_the_border_never_picks_an_impossible_token() -> None:
    """The first and the last token may have no chance at all; rounding must not pick them."""
    chances = torch.tensor([0.0, 0.5, 0.5, 0.0], dtype=torch.float64).cumsum(-1)
    assert pick(chances, 0.0) == 1
    assert pick(chances, 1.0 - 2**-53) == 2
