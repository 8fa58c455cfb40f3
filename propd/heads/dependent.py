"""Guesses of sequentially dependent heads: each head sees what was guessed before it.

Hydra's idea (Ankner et al., 2024; zankner/Hydra) with our trunk: the head of depth d also reads the
embeddings of the d - 1 tokens between the root and its guess. So there is no one list a depth, but
one a path. A list is computed when a tree asks for it, and those of the likeliest other paths of
its depth with it (ours): further rows of a product cost little beside a call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from propd.planning.drafts import Guesses, Path

TOGETHER = 4
"""Lists that are computed in one call."""

Say = Callable[[Tensor, Sequence[Path]], Sequence[Guesses]]
"""(H,) trunk state of a row and paths of one length -> what may follow each."""


class DependentDrafts:
    """The guesses of one row, by path."""

    def __init__(self, first: Guesses, trunk: Tensor, say: Say, depth: int) -> None:
        """first: what may follow the root; trunk: (H,); depth: of the deepest guess."""
        self._known: dict[Path, Guesses] = {}
        self._chances: list[dict[Path, float]] = [{} for _ in range(depth + 1)]
        self._chances[0][()] = 1.0
        self._trunk, self._say, self._depth = trunk, say, depth
        self._take((), first)

    @property
    def depth(self) -> int:
        """As many as there are heads."""
        return self._depth

    def after(self, path: Path) -> Guesses | None:
        """What may follow a path; computed once."""
        if len(path) >= self._depth:
            return None
        if path not in self._known:
            paths = [path, *self._likeliest_besides(path)]
            for one, said in zip(paths, self._say(self._trunk, paths), strict=True):
                self._take(one, said)
        return self._known[path]

    def _likeliest_besides(self, path: Path) -> list[Path]:
        """Guessed paths as long as this one, their lists not known yet."""
        chances = self._chances[len(path)]
        if path not in chances:  # nobody grows a tree there
            return []
        waiting = [other for other in chances if other != path and other not in self._known]
        return sorted(waiting, key=chances.__getitem__, reverse=True)[: TOGETHER - 1]

    def _take(self, path: Path, said: Guesses) -> None:
        self._known[path] = said
        chance = self._chances[len(path)].get(path, 0.0)
        further = self._chances[len(path) + 1]
        for token, share in zip(said.token_ids, said.probabilities, strict=True):
            longer = (*path, token)
            further[longer] = chance * share
