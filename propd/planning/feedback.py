"""What a step teaches those who decided about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from propd.core import Milliseconds, Source, TokenTree
from propd.planning.cost import Work
from propd.planning.drafts import Drafts, known_ranks


class Said(NamedTuple):
    """Who drafted a true node, and the chances it was given, given its parent."""

    source: Source
    drafted: float
    early: float


@dataclass(frozen=True)
class RowFeedback:
    """What a step taught about one row.

    Depths are known as far as the model's own path went: what it put after the root, and after
    each accepted node, is what should have been guessed for depths 1, 2, ...
    """

    tree: TokenTree
    """As it was drafted."""
    alive: tuple[bool, ...]
    """(N,) whether early pruning let the node live."""
    pruned: bool
    """Whether the early head looked at all."""
    ranks: tuple[int | None, ...]
    """``ranks[d]``: the rank that the true token at depth d + 1 had among the guesses (None: not
    among them). Ends where nothing was guessed."""
    survived: tuple[bool | None, ...]
    """``survived[d]``: whether pruning let the true node at depth d + 1 live; None if there was
    none in the tree."""
    early_claimed: tuple[float, ...]
    """``early_claimed[d]``: the early head's chance that one of the drafted nodes at depth d + 1 is
    the true one."""
    said: tuple[Said | None, ...] = ()
    """``said[d]``: of the true node at depth d + 1; None if there was none in the tree."""


@dataclass(frozen=True)
class Feedback:
    """What a step taught about all its rows."""

    work: Work
    spent: Milliseconds
    rows: tuple[RowFeedback, ...]


def row_feedback(
    drafts: Drafts,
    tree: TokenTree,
    token_ids: Sequence[int],
    alive: Sequence[bool],
    early: Sequence[float | None] | None,
    path: Sequence[int],
    truths: Sequence[int],
    sources: Sequence[Source] = (),
) -> RowFeedback:
    """What a row's step taught, N nodes as they were drafted.

    early: (N,) the early head's probabilities; None when it did not look. path: accepted nodes.
    truths: the model's own token after the root and after each accepted node, as far as written.
    sources: (N,) who drafted each; () where all are of the heads.
    """
    ranks = known_ranks(drafts, truths)
    survived: list[bool | None] = []
    claimed: list[float] = []
    said: list[Said | None] = []
    for parent, truth in zip((0, *path), truths, strict=False):
        children = [node for node, up in enumerate(tree.parents) if up == parent]
        survived.append(next((alive[c] for c in children if token_ids[c] == truth), None))
        claimed.append(sum(early[c] or 0.0 for c in children) if early else 0.0)
        right = next((c for c in children if early and token_ids[c] == truth), None)
        if early is None or right is None:
            said.append(None)
            continue
        drafted = tree.values[right] / tree.values[parent]
        said.append(Said(sources[right] if sources else "head", drafted, early[right] or 0.0))
    depths = len(ranks)
    return RowFeedback(
        tree=tree,
        alive=tuple(alive),
        pruned=early is not None,
        ranks=ranks,
        survived=tuple(survived[:depths]),
        early_claimed=tuple(claimed[:depths]),
        said=tuple(said[:depths]),
    )
