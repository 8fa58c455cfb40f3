"""Greedy growth: the best tree of every size, in one pass.

Node value = product of the chances along its path (Medusa's tree builder, gen_results.py; ProPD
takes the same product with chances tracked at run time). A child is never worth more than its
parent, so always adding the best node on offer gives, after n additions, the tree of n nodes with
the greatest expected acceptance length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any

from propd.core import TokenTree


def grow(chances: Sequence[Sequence[float]], size: int) -> TokenTree:
    """The best tree of at most ``size`` nodes under the root.

    chances: ``chances[d][k]`` is the chance that the guess of rank k at depth d + 1 is right, given
    that its parent is. The order of the nodes is the order of growth: the first n nodes are the
    best tree of n nodes. Ranks need not come in order of their chance.

    Example: chances [[.5, .3], [.4, .1]] grow as rank 0 (.5), rank 1 (.3), rank 0 under the first
    (.2), rank 0 under the second (.12), ...
    """
    orders = [sorted(range(len(row)), key=lambda k, row=row: -row[k]) for row in chances]  # type: ignore[misc]
    parents, ranks, depths, values = [-1], [0], [0], [1.0]
    offers: list[tuple[float, int, int, int]] = []  # (-value, parent, depth, place in the order)

    def offer(parent: int, depth: int, place: int) -> None:
        if depth <= len(chances) and place < len(orders[depth - 1]):
            chance = chances[depth - 1][orders[depth - 1][place]]
            heappush(offers, (-values[parent] * chance, parent, depth, place))

    offer(0, 1, 0)
    while offers and len(parents) <= size:
        value, parent, depth, place = heappop(offers)
        parents.append(parent)
        ranks.append(orders[depth - 1][place])
        depths.append(depth)
        values.append(-value)
        offer(parent, depth, place + 1)
        offer(len(parents) - 1, depth + 1, 0)
    return TokenTree(tuple(parents), tuple(ranks), tuple(depths), tuple(values))


def grow_by(
    after: Callable[[tuple[int, ...]], tuple[Any, ...] | None],
    size: int,
    deepest: int,
    least: float = 0.0,
) -> TokenTree:
    """The best tree of at most ``size`` nodes where the chances depend on the path.

    after: what may follow a path of token ids from the root: tokens and chances, equally many, best
    first, perhaps with more behind them; None where nothing may. No node is deeper than
    ``deepest`` or, its whole path
    counted, less probable than ``least``. The order of the nodes is the order of growth.
    """
    parents, ranks, depths, values = [-1], [0], [0], [1.0]
    paths: list[tuple[int, ...]] = [()]
    lists: list[tuple[Sequence[int], Sequence[float]]] = []
    offers: list[tuple[float, int, int]] = []  # (-value, parent, rank)
    node = 0
    while True:
        # what may follow the newest node
        found = after(paths[node]) if depths[node] < deepest else None
        tokens, chances = (found[0], found[1]) if found else ((), ())
        lists.append((tokens, chances))
        if chances and values[node] * chances[0] >= least:
            heappush(offers, (-values[node] * chances[0], node, 0))
        if not offers or node == size:
            break
        value, parent, rank = heappop(offers)
        tokens, chances = lists[parent]
        node += 1
        parents.append(parent)
        ranks.append(rank)
        depths.append(depths[parent] + 1)
        values.append(-value)
        paths.append((*paths[parent], tokens[rank]))
        rank += 1
        if rank < len(chances) and values[parent] * chances[rank] >= least:
            heappush(offers, (-values[parent] * chances[rank], parent, rank))
    return TokenTree(tuple(parents), tuple(ranks), tuple(depths), tuple(values))


def prefix(tree: TokenTree, size: int) -> TokenTree:
    """The first ``size`` nodes under the root: the best tree of that size, if `grow` made it."""
    end = size + 1
    return TokenTree(tree.parents[:end], tree.ranks[:end], tree.depths[:end], tree.values[:end])
