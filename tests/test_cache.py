"""After any number of steps the cache holds what a fresh prefill of the same text would hold."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
import torch

from propd.decoding import DecodingSession
from propd.methods import METHODS
from propd.models.kv_cache import KVCache
from tests.harness import (
    RandomTrees,
    World,
    at_random,
    fresh_prefill,
    join,
    open_session,
    random_prompt,
    row_of,
    small_world,
    step,
)

ROWS, CHECK_EVERY, CLOSE = 4, 4, 1e-4
STEPS = {**dict.fromkeys(METHODS, 125), "random trees": 250}
"""Steps of every method, and of random trees pruned at random: 1,000 together."""


class Play:
    """A session whose rows come and go at random, and the text that each row has by now."""

    def __init__(self, world: World, kind: str, seed: int) -> None:
        self.world, self.source = world, random.Random(seed)
        self.session = self._open(kind)
        self.texts: dict[int, list[int]] = {}
        self.accepted = self.pruned = self.left = self.compared = 0

    def _open(self, kind: str) -> DecodingSession:
        settings = {"rows": ROWS, "max_new_tokens": 60, "temperature": 1.0, "seed": 3}
        if kind == "random trees":
            parts = {"planner": RandomTrees(), "pruner": at_random(share=0.8)}
            return open_session(self.world, "propd", **parts, **settings)  # type: ignore[arg-type]
        return open_session(self.world, kind, **settings)  # type: ignore[arg-type]

    def step(self) -> None:
        """Perhaps a row leaves, perhaps others join; then all go one step."""
        session, source = self.session, self.source
        if session.rows and source.random() < 0.1:
            session.leave(source.choice(session.rows))
            self.left += 1
        while not session.rows or (len(session.rows) < ROWS and source.random() < 0.5):
            number, prompt = len(self.texts), random_prompt(source, self.world, longest=30)
            self.texts[number] = [*prompt, *join(session, number, prompt).token_ids]
        for event in step(session):
            self.texts[event.row] += event.token_ids
            self.accepted += len(event.accepted)
            self.pruned += event.pruned

    def check(self) -> None:
        """Every row: K and V of its past, what they say of the next token, and the state kept."""
        backbone, cache = self.world.backbone, self.session.cache
        self.session.check_integrity()
        for number, text in self.texts.items():
            row = row_of(self.session, number)
            if row is None:
                continue
            slot, past = self.session.rows.index(row), len(text) - 1  # the root is not read yet
            assert cache.lengths[slot] == past
            keys, values, logits = fresh_prefill(backbone, text)
            assert (cache.keys[:, slot, :, :past] - keys[:, :, :-1]).abs().max() <= CLOSE
            assert (cache.values[:, slot, :, :past] - values[:, :, :-1]).abs().max() <= CLOSE
            assert (backbone.logits(row.hidden) - logits[-2]).abs().max() <= CLOSE
            assert (self.after_the_root(slot, row.root) - logits[-1]).abs().max() <= CLOSE
            self.compared += 1

    def after_the_root(self, slot: int, root: int) -> torch.Tensor:
        """(V,) logits after the root, read behind the row's own past; nothing is committed."""
        backbone, cache = self.world.backbone, self.session.cache
        place = backbone.place(
            [torch.ones(1, 1).bool().numpy()], [[0]], [cache.lengths[slot]], slot
        )
        hidden = backbone.run_layers(backbone.embed([root]), 0, 3, place, cache)
        return backbone.logits(backbone.final_norm(hidden))[0]


@torch.inference_mode()
def play(world: World, kind: str, steps: int, seed: int = 1) -> Play:
    """Play so many steps, checking the cache every few."""
    game = Play(world, kind, seed)
    for number in range(1, steps + 1):
        game.step()
        if number % CHECK_EVERY == 0:
            game.check()
    return game


@pytest.mark.parametrize("kind", STEPS)
def test_the_cache_equals_a_fresh_prefill(kind: str) -> None:
    """1,000 steps over all methods: K, V and next logits within 1e-4 of a prefill of the text.

    Keys, values and logits are of size 1 (the next test holds them to it), so 1e-4 is a few dozen
    roundings of float32, and a wrong slot, position or mask is off by thousands of times as much.
    """
    game = play(small_world(), kind, STEPS[kind])
    assert game.compared >= STEPS[kind] // CHECK_EVERY
    assert game.left >= 5
    assert kind == "autoregressive" or game.accepted >= 10
    assert (game.pruned >= 100) == (kind == "random trees" or METHODS[kind].pruning)


def test_the_worlds_numbers_are_not_small() -> None:
    """A model of tiny numbers would be close to anything."""
    keys, values, logits = fresh_prefill(small_world().backbone, list(range(12)) * 3)
    assert keys.std() > 0.5
    assert values.std() > 0.5
    assert logits.std() > 1


KEEP = KVCache.keep


def no_roll_back(cache: KVCache, layers: slice, row: int, nodes: Sequence[int]) -> None:
    """The accepted nodes are taken to lie in front (mlx-vlm#1155)."""


def no_closing_up(cache: KVCache, layers: slice, row: int, nodes: Sequence[int]) -> None:
    """After pruning, K and V of the early layers stay where the drafted nodes had them."""
    if layers == slice(None):
        KEEP(cache, layers, row, nodes)


def move_lengths_only(cache: KVCache, row: int, to: int) -> None:
    """A row that moves up leaves its K and V behind."""
    cache.lengths[to], cache.lengths[row] = cache.lengths[row], 0


@pytest.mark.parametrize(
    ("kind", "method", "wrong"),
    [
        ("medusa", "keep", no_roll_back),
        ("random trees", "keep", no_roll_back),
        ("random trees", "keep", no_closing_up),
        ("medusa", "move", move_lengths_only),
        ("autoregressive", "move", move_lengths_only),
    ],
)
def test_a_wrong_cache_fails_the_same_check(
    monkeypatch: pytest.MonkeyPatch, kind: str, method: str, wrong: Callable[..., None]
) -> None:
    monkeypatch.setattr(KVCache, method, wrong)
    with pytest.raises(AssertionError):
        play(small_world(), kind, STEPS[kind])
