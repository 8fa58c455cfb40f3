"""Acceptance: which path of a verified tree is kept, and what the model writes after it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Acceptance:
    """The outcome of a verification."""

    path: tuple[int, ...]
    """Accepted nodes, by depth, the root left out."""
    bonus: int | None
    """The model's own token after the path; None when an end token lies in the path."""
    ended: bool
    """Whether the last token is an end token."""


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
