"""Guesses of sequentially dependent heads: each head sees what was guessed before it.

Hydra's idea (Ankner et al., 2024; zankner/Hydra) with our trunk: the head of depth d also reads the
embeddings of the d - 1 tokens between the root and its guess. So there is no one list a depth, but
one a path; a list is computed when a tree asks for it.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from propd.planning.drafts import Guesses, Path

Say = Callable[[Tensor, Path], Guesses]
"""(H,) trunk state of a row and a path -> what may follow it."""


class DependentDrafts:
    """The guesses of one row, by path."""

    def __init__(self, first: Guesses, trunk: Tensor, say: Say, depth: int) -> None:
        """first: what may follow the root; trunk: (H,); depth: of the deepest guess."""
        self._known: dict[Path, Guesses] = {(): first}
        self._trunk, self._say, self._depth = trunk, say, depth

    @property
    def depth(self) -> int:
        """As many as there are heads."""
        return self._depth

    def after(self, path: Path) -> Guesses | None:
        """What may follow a path; computed once."""
        if len(path) >= self._depth:
            return None
        if path not in self._known:
            self._known[path] = self._say(self._trunk, path)
        return self._known[path]
