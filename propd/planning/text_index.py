"""What followed before: the tokens that came after the same words earlier in a text.

Answers quote their prompt and repeat themselves; where the last words stood before, what came then
is often right again. Prompt lookup decoding (Saxena, 2023) and REST draft from this alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

LONGEST = 5
"""Tokens of the longest match."""
LATEST = 8
"""Places that are looked at, the latest first."""
FADING = 0.6
"""Weight of a place, relative to the next later one."""

NOTHING: tuple[int, Mapping[int, float]] = (0, {})


class TextIndex:
    """The prompt and the answer of one row so far. Takes a token in constant time."""

    def __init__(self, tokens: Iterable[int] = ()) -> None:
        self._tokens: list[int] = []
        self._next: dict[tuple[int, ...], list[int]] = {}
        """n-gram -> the tokens that followed it, in the order of the text."""
        self.add(tokens)

    def add(self, tokens: Iterable[int]) -> None:
        """The text goes on."""
        text, following = self._tokens, self._next
        for token in tokens:
            for length in range(1, min(LONGEST, len(text)) + 1):
                following.setdefault(tuple(text[-length:]), []).append(token)
            text.append(token)

    def after(self, path: tuple[int, ...]) -> tuple[int, Mapping[int, float]]:
        """What followed the longest known end of the text with this path behind it.

        Returns the length of that match, 0 for none, and the share of each token among the latest
        places of it.
        """
        tail = (*self._tokens[-LONGEST:], *path)[-LONGEST:]
        for start in range(len(tail)):
            found = self._next.get(tail[start:])
            if found is not None:
                return len(tail) - start, _shares(found)
        return NOTHING


def _shares(found: list[int]) -> Mapping[int, float]:
    if len(found) == 1:
        return {found[0]: 1.0}
    shares: dict[int, float] = {}
    weight, total = 1.0, 0.0
    for token in found[: -LATEST - 1 : -1]:
        shares[token] = shares.get(token, 0.0) + weight
        total += weight
        weight *= FADING
    return {token: share / total for token, share in shares.items()}
