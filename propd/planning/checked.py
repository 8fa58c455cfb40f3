"""Somebody's own planner, its trees checked before they run."""

from __future__ import annotations

from collections.abc import Sequence

from propd.core import SizeDecision, TokenTree
from propd.errors import InvalidRequest
from propd.planning.drafts import Drafts, fill
from propd.planning.feedback import Feedback
from propd.planning.planner import Outlook, Planner


class CheckedPlanner:
    """Passes everything on; a tree that would break the cache or the text is refused."""

    def __init__(self, inner: Planner) -> None:
        self.inner, self.max_nodes = inner, inner.max_nodes

    def wants_drafts(self, outlook: Outlook) -> bool:
        """As the planner says."""
        return self.inner.wants_drafts(outlook)

    def plan(
        self, outlook: Outlook, drafts: Sequence[Drafts]
    ) -> tuple[list[TokenTree], SizeDecision]:
        """The planner's trees, if they can run."""
        trees, decision = self.inner.plan(outlook, drafts)
        if len(trees) != outlook.rows:
            self._refuse(f"{len(trees)} trees for {outlook.rows} rows", "give one for each row")
        for tree, deepest, said in zip(trees, outlook.deepest, drafts, strict=True):
            self._check(tree, min(deepest, said.depth))
            self._check_guesses(tree, said)
        return trees, decision

    def learn(self, feedback: Feedback) -> None:
        """As the planner does."""
        self.inner.learn(feedback)

    def _check(self, tree: TokenTree, deepest: int) -> None:
        """The limits of one row's tree."""
        if not _is_tree(tree):
            self._refuse("nodes that are no tree", "put each node after its parent, 1 deeper")
        if tree.size > self.max_nodes:
            what = f"a tree of {tree.size} nodes and its max_nodes is {self.max_nodes}"
            self._refuse(what, "raise it")
        if max(tree.depths) > deepest:
            what = f"a tree of depth {max(tree.depths)} where {deepest} is the most"
            self._refuse(what, "cut it with propd.tree.topology.limit_depth")

    def _check_guesses(self, tree: TokenTree, said: Drafts) -> None:
        """Every node must have been guessed."""
        if min(tree.ranks) < 0:
            self._refuse(f"a guess of rank {min(tree.ranks)}", "0 is the best")
        try:
            fill(tree, said)
        except LookupError as error:
            self._refuse(f"a tree where {error}", "ask drafts.after(path) what was")

    def _refuse(self, what: str, advice: str) -> None:
        raise InvalidRequest(f"The planner {type(self.inner).__name__} gave {what}; {advice}.")


def _is_tree(tree: TokenTree) -> bool:
    """Whether the first node is the root and every other comes after its parent, one deeper."""
    parents, depths = tree.parents, tree.depths
    lengths = {len(parents), len(depths), len(tree.ranks), len(tree.values)}
    return (
        len(lengths) == 1
        and (*parents[:1], *depths[:1]) == (-1, 0)
        and all(
            0 <= parents[node] < node and depths[node] == depths[parents[node]] + 1
            for node in range(1, len(parents))
        )
    )
