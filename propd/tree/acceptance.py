"""Acceptance: which path of a verified tree is kept, and what the model writes after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from torch import Tensor

from propd.host import read


@dataclass(frozen=True)
class Acceptance:
    """The outcome of a verification."""

    path: tuple[int, ...]
    """Accepted nodes, by depth, the root left out."""
    bonus: int | None
    """The model's own token after the path; None when an end token lies in the path."""
    ended: bool
    """Whether the last token is an end token."""

    @property
    def count(self) -> int:
        """Tokens that the text gains."""
        return len(self.path) + (self.bonus is not None)

    def written(self, token_ids: Sequence[int]) -> list[int]:
        """The tokens that the text gains. token_ids: of the tree's nodes."""
        tokens = [token_ids[node] for node in self.path]
        return tokens if self.bonus is None else [*tokens, self.bonus]

    def cut(self, count: int) -> Acceptance:
        """The first ``count`` tokens only (at least 1)."""
        if count >= self.count:
            return self
        return Acceptance(self.path[:count], None, ended=False)


def accept(
    parents: Sequence[int],
    token_ids: Sequence[int],
    choose: Callable[[int], int],
    end_tokens: Collection[int],
) -> Acceptance:
    """Follow the model's own choices down the tree as far as the tree has them.

    choose: node -> the token that the model puts after it, asked once a node and only along the
    path. Example: tokens (A, b, c, d) with parents (-1, 0, 0, 2) and choices (c, ., d, e) keep the
    path (2, 3) and add the bonus e. An end token inside the path ends the text right there.
    """
    children = {(parent, token_ids[node]): node for node, parent in enumerate(parents)}
    node = 0
    path: list[int] = []
    while True:
        choice = choose(node)
        ended = choice in end_tokens
        child = children.get((node, choice))
        if child is None:
            return Acceptance(tuple(path), choice, ended)
        path.append(child)
        if ended:
            return Acceptance(tuple(path), None, ended)
        node = child


def accept_typical(
    parents: Sequence[int],
    token_ids: Sequence[int],
    law: Callable[[int], Tensor],
    draw: Callable[[Tensor], int],
    end_tokens: Collection[int],
    threshold: float,
    alpha: float,
) -> Acceptance:
    """Keep the longest path of nodes that are probable enough. NOT lossless.

    Medusa's rule (medusa/model/utils.py, evaluate_posterior): a node stays if its probability is
    above min(threshold, alpha exp(-entropy)) of the model's distribution after its parent. Of the
    longest paths the most probable is kept; the bonus is drawn after it. law: node -> (V,)
    distribution of what follows it, asked once a node. Nothing is kept below an end token.
    """
    laws = {0: law(0)}
    chances, depths = {0: 1.0}, {0: 0}
    for node in range(1, len(parents)):
        parent = parents[node]
        if parent not in laws or (parent and token_ids[parent] in end_tokens):
            continue
        after = laws[parent]
        chance, entropy = read(after[token_ids[node]], -after.xlogy(after).sum())
        if chance > min(threshold, alpha * math.exp(-entropy)):
            laws[node] = law(node)
            chances[node], depths[node] = chances[parent] * chance, depths[parent] + 1
    last = max(chances, key=lambda node: (depths[node], chances[node]))
    path: list[int] = []
    node = last
    while node > 0:
        path.insert(0, node)
        node = parents[node]
    if last and token_ids[last] in end_tokens:
        return Acceptance(tuple(path), None, ended=True)
    bonus = draw(laws[last])
    return Acceptance(tuple(path), bonus, bonus in end_tokens)
