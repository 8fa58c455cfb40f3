"""What a model tends to write after a few tokens, counted over texts it wrote (ours).

Draft heads guess every depth without knowing the guesses before it: after "New" a second head may
hope for "York" and for "Zealand", after "San" it hopes for the same. Phrases see nothing but the
last tokens of the path, and that is what the heads lack. So they change the order and the
chances of the heads' guesses, and add none of their own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from propd.planning.drafts import Guesses

LONGEST = 3
"""Tokens of the longest context."""
KEPT = 10
"""Next tokens that are kept of a context."""
LEAST = 2
"""A context of two or three tokens counts only if it stood so often in the texts."""
DOUBT = 2.0
"""Weight of the shorter context: how often each different next token counts for it."""
TRUST, HINT = 0.75, 0.35
"""Powers of the head's chance and of the phrases' in their product (docs/lab-notebook.md)."""
FLOOR = 3e-3
"""Chance of a token that did not follow."""

_STRIDE = 1 << 20
"""Above every token id: a context is one number of three digits to this base."""
NOTHING: Mapping[int, float] = {}


@dataclass(frozen=True)
class PhraseArrays:
    """C contexts and the N tokens that followed them, as they are stored."""

    contexts: np.ndarray
    """(C,) int64, ascending: one number for each context, see `context_number`."""
    starts: np.ndarray
    """(C + 1,) int32: what follows context c is ``tokens[starts[c]:starts[c + 1]]``."""
    tokens: np.ndarray
    """(N,) token ids, the most probable of a context first."""
    chances: np.ndarray
    """(N,) float16."""


class Phrases:
    """The chances of next tokens by the last one to three tokens. Read-only, shared."""

    def __init__(self, arrays: PhraseArrays) -> None:
        self.arrays = arrays
        self._places = {number: place for place, number in enumerate(arrays.contexts.tolist())}

    def __len__(self) -> int:
        """Contexts that are known."""
        return len(self._places)

    def __repr__(self) -> str:
        return f"Phrases({len(self)} contexts)"

    def after(self, tail: Sequence[int]) -> Mapping[int, float]:
        """What followed the longest known end of a text, and how often; empty for none."""
        for length in range(min(LONGEST, len(tail)), 0, -1):
            place = self._places.get(context_number(tail[-length:]))
            if place is not None:
                here = slice(*self.arrays.starts[place : place + 2].tolist())
                tokens, chances = self.arrays.tokens[here], self.arrays.chances[here]
                return dict(zip(tokens.tolist(), chances.tolist(), strict=True))
        return NOTHING


def context_number(tokens: Sequence[int]) -> int:
    """One to three token ids as one number; different for contexts of different lengths."""
    number = 0
    for token in tokens:
        number = number * _STRIDE + token + 1
    return number


def reweigh(said: Guesses, known: Mapping[int, float]) -> Guesses:
    """A list of the heads in the light of what usually follows: same tokens, same total chance.

    Each chance becomes p^TRUST q^HINT, p the head's and q that of the phrases. A product, because
    the two see different things: what both find likely gains most.
    """
    if not known:
        return said
    products = [
        chance**TRUST * max(known.get(token, 0.0), FLOOR) ** HINT
        for token, chance in zip(said.token_ids, said.probabilities, strict=True)
    ]
    total = sum(products)
    if not total:
        return said
    scale = sum(said.probabilities) / total
    order = sorted(range(len(products)), key=lambda place: -products[place])
    return Guesses(
        tuple([said.token_ids[place] for place in order]),
        tuple([min(0.99, scale * products[place]) for place in order]),
    )


def count_phrases(texts: Iterable[tuple[Sequence[int], int]]) -> Phrases:
    """Count (tokens, place where the answer begins); what comes before it is context only."""
    found: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for tokens, begin in texts:
        for place in range(max(1, begin), len(tokens)):
            for length in range(1, min(LONGEST, place) + 1):
                found[tuple(tokens[place - length : place])][tokens[place]] += 1
    chances: dict[tuple[int, ...], dict[int, float]] = {}
    for context in sorted(found, key=len):
        followed = found[context]
        if len(context) == 1 or followed.total() >= LEAST:
            chances[context] = _smooth(followed, chances.get(context[1:], {}))
    return Phrases(_arrays(chances))


def _smooth(followed: Counter[int], shorter: Mapping[int, float]) -> dict[int, float]:
    """Shares, mixed with those of the context that is a token shorter (Witten and Bell, 1991): the
    more different tokens followed, the more it counts."""
    total = followed.total()
    own = total / (total + DOUBT * len(followed))
    mixed = {token: (1 - own) * chance for token, chance in shorter.items()}
    for token, count in followed.items():
        mixed[token] = mixed.get(token, 0.0) + own * count / total
    best = sorted(mixed, key=lambda token: (-mixed[token], token))[:KEPT]
    return {token: mixed[token] for token in best if mixed[token] > FLOOR}


def _arrays(chances: Mapping[tuple[int, ...], Mapping[int, float]]) -> PhraseArrays:
    lists = sorted((context_number(context), row) for context, row in chances.items())
    tokens = np.array([token for _, row in lists for token in row], dtype=np.int64)
    small = tokens.max(initial=0) <= np.iinfo(np.uint16).max
    return PhraseArrays(
        np.array([number for number, _ in lists], dtype=np.int64),
        np.cumsum([0, *(len(row) for _, row in lists)], dtype=np.int32),
        tokens.astype(np.uint16 if small else np.int32),
        np.array([chance for _, row in lists for chance in row.values()], dtype=np.float16),
    )
