"""Planners: which trees to draft in the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from propd.core import SizeDecision, TokenTree
from propd.planning.drafts import Drafts
from propd.planning.feedback import Feedback
from propd.tree.topology import limit_depth


@dataclass(frozen=True)
class Outlook:
    """What is known of a step before anything is drafted."""

    deepest: tuple[int, ...]
    """For each of R rows, how deep a tree can still be of use."""
    past: int = 0
    """Tokens in the cache, the mean of the rows."""

    @property
    def rows(self) -> int:
        """R."""
        return len(self.deepest)


class Planner(Protocol):
    """Decides the trees of a step and learns from what became of them.

    To bring your own: say in `wants_drafts` whether the heads have to run, decide in `plan`, and
    learn in `learn` what you like; the text stays right whatever you draft.
    """

    max_nodes: int
    """Nodes of the largest tree a row may get, the root not counted."""

    def wants_drafts(self, outlook: Outlook) -> bool:
        """Whether the draft heads shall run in this step; asked once, before `plan`."""
        ...

    def plan(
        self, outlook: Outlook, drafts: Sequence[Drafts]
    ) -> tuple[list[TokenTree], SizeDecision]:
        """A tree for each of R rows, no deeper than ``outlook.deepest``, and why.

        drafts: one a row; all `NO_DRAFTS` if none were wanted: then the trees must be roots only.
        """
        ...

    def learn(self, feedback: Feedback) -> None:
        """What became of the trees, and what they cost."""
        ...


def size_of(
    trees: Sequence[TokenTree], prunes: bool = False, reason: Literal["fixed", "end"] = "fixed"
) -> SizeDecision:
    """The decision of a planner that weighs no sizes. prunes: whether the pruner shall look."""
    total = sum(tree.size for tree in trees)
    return SizeDecision((total,), (), (), total, reason, prunes=prunes)


class FixedPlanner:
    """The same tree in every step: plain decoding, BPD's chain, Medusa's tree."""

    def __init__(self, tree: TokenTree, prunes: bool = False) -> None:
        self.tree, self.prunes = tree, prunes
        self.max_nodes = tree.size

    def wants_drafts(self, outlook: Outlook) -> bool:
        """Unless the tree is a root, or no row has use for more."""
        return self.tree.size > 0 and max(outlook.deepest) > 0

    def plan(
        self, outlook: Outlook, drafts: Sequence[Drafts]
    ) -> tuple[list[TokenTree], SizeDecision]:
        """The tree for every row, cut where the row's text would end anyway."""
        trees = [limit_depth(self.tree, depth) for depth in outlook.deepest]
        cut = any(tree.size < self.tree.size for tree in trees)
        return trees, size_of(trees, self.prunes, "end" if cut else "fixed")

    def learn(self, feedback: Feedback) -> None:
        """Nothing to learn."""
