"""What may be drafted: the guesses of heads and of the text, as one list for every path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from propd.core import Source, TokenTree

RANKS = 10
"""Guesses of a list at most (Medusa's TOPK)."""

Path = tuple[int, ...]
"""Token ids of the guesses from the root, exclusive, down to a node; () is the root itself."""


class Guesses(NamedTuple):
    """What may come next, best first."""

    token_ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    sources: tuple[Source, ...] = ()
    """Who guessed each; () where all are of the heads."""


class Drafts(Protocol):
    """The guesses of one row."""

    @property
    def depth(self) -> int:
        """How deep a tree of these can be; 0 where nothing is guessed."""
        ...

    def after(self, path: Path) -> Guesses | None:
        """What may follow a path; None where nothing is guessed."""
        ...


@dataclass(frozen=True)
class HeadDrafts:
    """Guesses of heads that are independent of one another: a list for each depth."""

    by_depth: tuple[Guesses, ...] = ()

    @property
    def depth(self) -> int:
        """As many as there are heads."""
        return len(self.by_depth)

    def after(self, path: Path) -> Guesses | None:
        """The same after every path of a length."""
        return self.by_depth[len(path)] if len(path) < len(self.by_depth) else None


NO_DRAFTS = HeadDrafts()


class Drafted(NamedTuple):
    """A drafted node: the root has none."""

    token_id: int
    probability: float
    source: Source


def fill(tree: TokenTree, drafts: Drafts) -> list[Drafted]:
    """What stands at every node of a tree but its root."""
    nodes: list[Drafted] = []
    paths: list[Path] = [()]
    for parent, rank in zip(tree.parents[1:], tree.ranks[1:], strict=True):
        guesses = drafts.after(paths[parent])
        if guesses is None or rank >= len(guesses.token_ids):
            raise LookupError(f"nothing of rank {rank} was guessed after {len(paths[parent])} more")
        token = guesses.token_ids[rank]
        source = guesses.sources[rank] if guesses.sources else "head"
        nodes.append(Drafted(token, guesses.probabilities[rank], source))
        paths.append((*paths[parent], token))
    return nodes


def sources_of(drafted: Sequence[Sequence[Drafted]]) -> tuple[tuple[Source, ...], ...]:
    """For each row, who drafted each node, the root included as if a head had."""
    return tuple(("head", *(node.source for node in nodes)) for nodes in drafted)


def known_ranks(drafts: Drafts, truths: Sequence[int]) -> tuple[int | None, ...]:
    """The place of each true token in the list it should have stood in; None: not in it.

    truths: the tokens that came after the root. Ends where nothing was guessed.
    """
    ranks: list[int | None] = []
    for depth, truth in enumerate(truths):
        guesses = drafts.after(tuple(truths[:depth]))
        if guesses is None:
            break
        found = guesses.token_ids
        ranks.append(found.index(truth) if truth in found else None)
    return tuple(ranks)
