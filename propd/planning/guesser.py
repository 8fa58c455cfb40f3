"""One list of guesses out of two sources: the heads and the text (ours).

The chance that token x comes next is a mixture, (1 - w) h(x) + w t(x): h is the head's probability,
corrected by how much it could be trusted so far, and t what followed the same words earlier in the
text. The weight w belongs to the length of the match and is learned while decoding, as the weights
of a mixture are in compression (expectation maximisation, one step a token). All of it is of one
session: nothing is trained, and no text of one session reaches another. What the heads do not know,
the tokens guessed before, is made up for by phrases, if their folder has them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from propd.core import Source
from propd.planning.chances import RATE, Calibration
from propd.planning.drafts import RANKS, Drafts, Guesses, Path
from propd.planning.phrases import Phrases, reweigh
from propd.planning.text_index import TextIndex

DEEPEST = 12
"""Depth of the deepest guess of the text."""
PRIOR = (0.0, 0.2, 0.45, 0.6, 0.7, 0.85)
"""Weight of the text by the length of the match, before anything was learned: about how often its
best guess is right on text the default model wrote (docs/lab-notebook.md)."""
UNSEEN = 1e-3
"""Chance of a token that a source did not guess."""


class Guesser:
    """Mixes the guesses of all rows of one session, and learns how far to trust whom."""

    def __init__(self, heads: int, rate: float = RATE, phrases: Phrases | None = None) -> None:
        self.calibration, self.phrases = Calibration(heads), phrases
        self.weights = list(PRIOR)
        self.rate = rate

    def mix(self, heads: Drafts, text: TextIndex | None, tail: Path = ()) -> Mixture:
        """The guesses of one row for one step.

        text: None leaves the heads alone. tail: the last tokens of the row, the root among them.
        """
        return Mixture(self, heads, text, tail)

    def learn(self, mixture: Mixture, truths: Sequence[int]) -> None:
        """The tokens that came after the root, as far as the model's own path went."""
        for depth, truth in enumerate(truths):
            path = tuple(truths[:depth])
            said = mixture.heads.after(path)
            if said is not None:
                self.calibration.observe(
                    depth + 1, said.token_ids[0] == truth, said.probabilities[0]
                )
            length, shares = mixture.text.after(path) if mixture.text else (0, {})
            if length:
                chance = _chance(said, truth) if said is not None else UNSEEN
                self._weigh(length, max(shares.get(truth, 0.0), UNSEEN), chance)

    def _weigh(self, length: int, of_text: float, of_head: float) -> None:
        """Move the weight towards the share that the text had in this token."""
        weight = self.weights[length]
        owed = weight * of_text / (weight * of_text + (1 - weight) * of_head)
        self.weights[length] = min(0.99, max(0.01, weight + self.rate * (owed - weight)))


class Mixture:
    """The guesses of one row in one step, computed where a tree asks for them."""

    def __init__(
        self, guesser: Guesser, heads: Drafts, text: TextIndex | None, tail: Path = ()
    ) -> None:
        self._guesser, self.heads, self.text, self._tail = guesser, heads, text, tail
        self._known: dict[Path, Guesses | None] = {}
        self._corrected: dict[int, Guesses] = {}

    @property
    def depth(self) -> int:
        """Of the text's guesses, or of the heads'."""
        if self.text is not None and (self.heads.depth or self.text.after(())[0]):
            return max(DEEPEST, self.heads.depth)
        return self.heads.depth

    def after(self, path: Path) -> Guesses | None:
        """Both sources in one list, best first."""
        if path not in self._known:
            self._known[path] = self._mix(path)
        return self._known[path]

    def _mix(self, path: Path) -> Guesses | None:
        said = self._of_heads(path)
        length, shares = self.text.after(path) if self.text is not None else (0, {})
        if not length:
            return said
        weight = self._guesser.weights[length]
        chances = {token: weight * share for token, share in shares.items()}
        heads: Collection[int] = ()
        if said is not None:
            heads, rest = frozenset(said.token_ids), 1 - weight
            for token, chance in zip(said.token_ids, said.probabilities, strict=True):
                chances[token] = chances.get(token, 0.0) + rest * chance
        best = sorted(chances, key=chances.__getitem__, reverse=True)[:RANKS]
        return Guesses(
            tuple(best),
            tuple([min(0.99, chances[token]) for token in best]),
            tuple([_source(token in shares, token in heads) for token in best]),
        )

    def _of_heads(self, path: Path) -> Guesses | None:
        """The heads' guesses with corrected probabilities, in the light of the tokens before."""
        said = self.heads.after(path)
        if said is None:
            return None
        known = self._corrected.get(id(said))
        if known is None:
            ratio = self._guesser.calibration.ratio(len(path) + 1)
            chances = tuple(min(0.99, ratio * chance) for chance in said.probabilities)
            known = self._corrected[id(said)] = Guesses(said.token_ids, chances)
        phrases = self._guesser.phrases
        return known if phrases is None else reweigh(known, phrases.after(self._tail + path))


def _chance(said: Guesses, token: int) -> float:
    """The probability that a head gave a token."""
    if token not in said.token_ids:
        return UNSEEN
    return max(UNSEEN, said.probabilities[said.token_ids.index(token)])


def _source(text: bool, head: bool) -> Source:
    return "both" if text and head else "text" if text else "head"
