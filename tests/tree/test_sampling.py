"""Sampling through random trees draws from exactly the model's distribution."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch

from propd.core import DecodingConfig
from propd.tree.acceptance import accept
from propd.tree.sampling import Chooser, distribution, largest, pick
from tests.harness import random_parents

VOCABULARY, LENGTH, TEXTS, TREES = 5, 3, 200_000, 500
Text = tuple[int, ...]
CONTEXTS = [c for n in range(LENGTH) for c in itertools.product(range(VOCABULARY), repeat=n)]
"""Everything that may stand before one of the three tokens."""


@pytest.mark.parametrize("count", [5, 64, 300, 512, 2_374 * 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_largest_is_the_first_of_equals(count: int, dtype: torch.dtype) -> None:
    """In any vocabulary, whole blocks or not, and with rows of which only a part is looked at."""
    generator = torch.Generator().manual_seed(count)
    logits = torch.randint(0, 9, (7, count), generator=generator).to(dtype)  # many are equal
    logits[0], logits[1] = 0, float("-inf")
    logits[2, -1], logits[3, 0] = 10, 10
    first = [row.index(max(row)) for row in logits.tolist()]
    assert largest(logits).tolist() == first
    assert largest(logits[2:5]).tolist() == first[2:5]
    assert largest(logits.t().contiguous().t()).tolist() == first


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


@dataclass(frozen=True)
class Tree:
    """A tree under a root; siblings differ, as the heads' guesses do."""

    parents: list[int]
    tokens: list[int]
    paths: list[Text]
    """For each node, the tokens from below the root down to it."""
    offered: list[list[int]]
    """For each node, the tokens of its children."""


def random_tree(source: random.Random, size: int) -> Tree:
    """Any shape; a child that would repeat its sibling is left out, with its sub-tree."""
    tree = Tree([-1], [0], [()], [[]])
    places = {0: 0}
    for node, parent in enumerate(random_parents(source, size)[1:], start=1):
        above, token = places.get(parent), source.randrange(VOCABULARY)
        if above is not None and token not in tree.offered[above]:
            places[node] = len(tree.parents)
            tree.parents.append(above)
            tree.tokens.append(token)
            tree.paths.append((*tree.paths[above], token))
            tree.offered.append([])
            tree.offered[above].append(token)
    return tree


class Draws:
    """An honest draw after every context for every text, made in bulk by the engine's `pick`.

    The k-th draw of a text takes its k-th random number, as a `Chooser` would hand them out: `draw`
    holds the caller to one draw a place.
    """

    def __init__(self, config: DecodingConfig, texts: int) -> None:
        generator = torch.Generator().manual_seed(1)
        numbers = torch.rand(LENGTH, texts, generator=generator, dtype=torch.float64)
        self._drawn = {
            text: pick(law_after(text, config).cumsum(-1), numbers[len(text)]).tolist()
            for text in CONTEXTS
        }
        self.used = 0

    def draw(self, number: int, text: Text) -> int:
        """The token after ``text`` in the text of this number."""
        if len(text) >= LENGTH:
            return 0  # a place behind the three that are counted
        if len(text) != self.used:
            raise AssertionError(f"draw {self.used} of a text was asked for place {len(text)}")
        self.used += 1
        return self._drawn[text][number]


Choose = Callable[[int, Text, Sequence[int]], int]
"""Number of the text, the text so far, the tokens the tree offers next -> the next token."""


def count(choose: Choose, draws: Draws, texts: int, size: int = 6) -> Counter[Text]:
    """Write texts of three tokens through one random tree after another, as the loop does."""
    source = random.Random(2)
    trees = [random_tree(source, size) for _ in range(TREES)]
    order = source.choices(range(TREES), k=texts + LENGTH)
    counts: Counter[Text] = Counter()
    for number in range(texts):
        text: Text = ()
        draws.used = 0
        while len(text) < LENGTH:
            tree = trees[order[number + len(text)]]
            paths, offered = tree.paths, tree.offered

            def at(node: int) -> int:
                return choose(number, text + paths[node], offered[node])  # noqa: B023

            outcome = accept(tree.parents, tree.tokens, at, ())
            end = outcome.path[-1] if outcome.path else 0
            text += (*paths[end], outcome.bonus)  # type: ignore[arg-type]
        counts[text[:LENGTH]] += 1
    return counts


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


def exact(config: DecodingConfig, draws: Draws) -> Choose:
    """The model's own draw, whatever the tree offers."""
    return lambda number, text, offered: draws.draw(number, text)


def favours_the_tree(config: DecodingConfig, draws: Draws) -> Choose:
    """Wrong: takes an offered token whenever it is fairly likely (Medusa's typical acceptance)."""
    likely = {text: (law_after(text, config) > 0.3).tolist() for text in CONTEXTS}

    def choose(number: int, text: Text, offered: Sequence[int]) -> int:
        drawn = draws.draw(number, text)
        taken = [token for token in offered if text in likely and likely[text][token]]
        return taken[0] if taken else drawn

    return choose


def falls_back_to_the_best(config: DecodingConfig, draws: Draws) -> Choose:
    """Wrong: where the drawn token is not in the tree, the bonus is the most probable one."""
    best = {text: int(law_after(text, config).argmax()) for text in CONTEXTS}

    def choose(number: int, text: Text, offered: Sequence[int]) -> int:
        drawn = draws.draw(number, text)
        return drawn if drawn in offered else best.get(text, 0)

    return choose


CONFIGS = [
    DecodingConfig(temperature=t, **more)
    for t in (0.7, 1.0, 1.5)
    for more in ({}, {"top_k": 3}, {"top_p": 0.8}, {"min_p": 0.2})
]


Sampler = Callable[[DecodingConfig, Draws], Choose]


def p_of(sampler: Sampler, config: DecodingConfig, texts: int = TEXTS) -> float:
    """Chi-square p of a sampler's texts against the enumerated law."""
    draws = Draws(config, texts)
    return p_value(count(sampler(config, draws), draws, texts), joint_law(config))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.temperature}-{c.top_k}-{c.top_p}")
def test_the_joint_law_is_the_models(config: DecodingConfig) -> None:
    """200,000 texts of three tokens, each through one to three trees, against the enumerated law.

    A right sampler fails once in 10^4 seeds, and this seed is fixed.
    """
    assert p_of(exact, config) > 1e-4


@pytest.mark.parametrize("wrong", [favours_the_tree, falls_back_to_the_best])
def test_a_wrong_sampler_fails_the_same_test(wrong: Sampler) -> None:
    """A tenth of the texts is enough."""
    assert p_of(wrong, DecodingConfig(temperature=1.0), TEXTS // 10) < 1e-4


def test_one_number_at_a_time_picks_what_many_at_once_pick() -> None:
    """The bulk draws above stand for the engine's single ones: `Chooser.draw` gives the same."""
    config = DecodingConfig(temperature=0.7, top_k=4)
    logits = torch.randn(200, VOCABULARY, generator=torch.Generator().manual_seed(5))
    single, twin = Chooser(config, seed=3), Chooser(config, seed=3)
    for row in logits:
        law = distribution(row, config).cumsum(-1)
        together = pick(law, torch.tensor([0.0, twin.number(), 1 - 2**-53], dtype=torch.float64))
        assert single.draw(row) == together[1]
        assert together[0] <= together[1] <= together[2]


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


@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.95, 0.999999])
@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0, 30.0], ids=lambda s: f"spread-{s}")
def test_one_row_sorts_less_and_keeps_the_same(top_p: float, spread: float) -> None:
    """One row on a CPU leaves out what top-p cannot keep before it sorts; many rows do not. Nearly
    equal chances are the worst case: each is only just above the bound, or all are."""
    logits = spread * torch.randn(3, 5000, generator=torch.Generator().manual_seed(8))
    config = DecodingConfig(temperature=1.0, top_p=top_p)
    together = distribution(logits, config)
    for row, law in zip(logits, together, strict=True):
        assert torch.equal(distribution(row, config), law)


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
