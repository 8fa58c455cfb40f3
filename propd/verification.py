"""Verification of one row: which path the model's logits keep, by which rule."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from propd.core import FinishReason
from propd.host import read
from propd.tree.acceptance import Acceptance, accept, accept_typical
from propd.tree.sampling import Chooser, largest


@dataclass(frozen=True)
class Verdict:
    """What verification decided of one row with M verified nodes."""

    acceptance: Acceptance
    choices: tuple[int | None, ...]
    """(M,) the model's token after each node; None where sampling did not need to draw it."""
    finish_reason: FinishReason | None = None

    def cut(self, count: int) -> Verdict:
        """The text ends after the first ``count`` new tokens, at a stop string."""
        return replace(self, acceptance=self.acceptance.cut(count), finish_reason="stop")

    def truths(self) -> list[int]:
        """The model's tokens after the root and each accepted node, as far as they were written."""
        known = [self.choices[node] for node in (0, *self.acceptance.path)]
        return [token for token in known if token is not None][: self.acceptance.count]


def judge(
    chooser: Chooser,
    parents: Sequence[int],
    tokens: Sequence[int],
    logits: Tensor,
    end_tokens: Collection[int],
    best: Sequence[int] | None = None,
) -> Verdict:
    """Accept a path among M verified nodes.

    logits: (M, V), row m the scores of what follows node m. best: (M,) the tokens that the device
    chose of them, where it did, whether greedily or by the chooser's next numbers.
    """
    if chooser.greedy:
        # argmax takes the first of equals, like plain decoding; topk promises nothing
        chosen = tuple(best if best is not None else read(largest(logits))[0])
        return _verdict(accept(parents, tokens, chosen.__getitem__, end_tokens), chosen)
    if chooser.config.acceptance == "typical":
        return _typical(chooser, parents, tokens, logits, end_tokens)
    drawn: dict[int, int] = {}

    def choose(node: int) -> int:
        drawn[node] = chooser.draw(logits[node]) if best is None else chooser.take(best[node])
        return drawn[node]

    accepted = accept(parents, tokens, choose, end_tokens)
    return _verdict(accepted, [drawn.get(node) for node in range(len(tokens))])


def _typical(
    chooser: Chooser,
    parents: Sequence[int],
    tokens: Sequence[int],
    logits: Tensor,
    end_tokens: Collection[int],
) -> Verdict:
    accepted = accept_typical(
        parents,
        tokens,
        lambda node: chooser.law(logits[node]),
        chooser.draw_from,
        end_tokens,
        chooser.config.typical_threshold,
        chooser.config.typical_alpha,
    )
    choices: list[int | None] = [None] * len(tokens)
    written = [*(tokens[node] for node in accepted.path), accepted.bonus]
    for node, token in zip((0, *accepted.path), written, strict=True):
        choices[node] = token
    return _verdict(accepted, choices)


def _verdict(accepted: Acceptance, choices: Sequence[int | None]) -> Verdict:
    return Verdict(accepted, tuple(choices), "eos" if accepted.ended else None)
