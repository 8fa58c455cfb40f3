"""Hand-made figures, and a peer that answers without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from propd.benchmark.figures import PHASES, Group
from propd.benchmark.runners import Answer


def group(name: str, number: int, tokens: int, seconds: float, **more: Any) -> Group:
    """A group of one prompt; fields of `Group` as ``more``."""
    known = {
        "batch": 1, "repeat": 0, "place": 0, "category": "none", "prompts": 1, "identical": 1,
    }  # fmt: skip
    return Group(name=name, number=number, tokens=tokens, seconds=seconds, **{**known, **more})


def two_groups() -> list[Group]:
    """Plain decoding and a method on an easy and on a hard group."""
    decoded = {
        "steps": 5, "passes": 5, "decoded_tokens": 9, "drafted": 20, "verified": 15,
        "first_seconds": 0.2, "phases": tuple(float(place) for place in range(len(PHASES))),
        "sizes": ((4, 3, 6.0, 5, 30.0, 33.0), (8, 2, 5.0, 4, 24.0, 20.0)),
    }  # fmt: skip
    return [
        group("autoregressive", 0, 10, 1.0, category="easy", first_seconds=0.2, steps=9),
        group("propd", 0, 10, 0.5, category="easy", **decoded),
        group("autoregressive", 1, 10, 1.0, category="hard", first_seconds=0.2, steps=9),
        group("propd", 1, 30, 4.0, category="hard", **{**decoded, "identical": 0}),
    ]


class Fake:
    """A peer that repeats the first token of the prompt."""

    def __init__(self, name: str = "fake", most_rows: int = 32, reason: str | None = None) -> None:
        self.name, self.most_rows, self.reason = name, most_rows, reason
        self.asked: list[tuple[int, int]] = []
        """(prompts, tokens wanted) of each call."""

    def available(self) -> str | None:
        return self.reason

    def load(self, common: Any) -> str:
        assert self.reason is None
        return f"fake 1, {common.threads} threads"

    def answer(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> Answer:
        self.asked.append((len(prompts), max_new_tokens))
        return Answer([[prompt[0]] * max_new_tokens for prompt in prompts])
