"""Greedy growth, by hand and against brute force."""

import itertools
import random

import pytest

from propd.tree.growth import grow, prefix


def test_growth_by_hand() -> None:
    """Chances .5 and .3 at depth 1, .4 and .1 at depth 2: the products decide the order."""
    tree = grow([[0.5, 0.3], [0.4, 0.1]], 6)
    assert tree.parents == (-1, 0, 0, 1, 2, 1, 2)
    assert tree.ranks == (0, 0, 1, 0, 0, 1, 1)
    assert tree.values == pytest.approx((1, 0.5, 0.3, 0.2, 0.12, 0.05, 0.03))


def test_ranks_out_of_order_are_taken_by_chance() -> None:
    """Learned chances may put rank 1 before rank 0; growth must follow the chance."""
    tree = grow([[0.1, 0.6]], 2)
    assert tree.ranks == (0, 1, 0)


def test_growth_stops_when_nothing_is_left() -> None:
    assert grow([[0.5, 0.2]], 10).size == 2
    assert grow([], 10).size == 0


def best_sum(chances: list[list[float]], size: int) -> float:
    """Greatest sum of values over all trees of this size, by trying them all."""
    paths = [p for d in (1, 2) for p in itertools.product(range(len(chances[0])), repeat=d)]

    def value(path: tuple[int, ...]) -> float:
        product = 1.0
        for depth, rank in enumerate(path):
            product *= chances[depth][rank]
        return product

    best = 0.0
    for chosen in itertools.combinations(paths, size):
        if all(len(path) == 1 or path[:-1] in chosen for path in chosen):
            best = max(best, sum(map(value, chosen)))
    return best


def test_every_prefix_is_the_best_tree_of_its_size() -> None:
    generator = random.Random(1)
    for _ in range(20):
        chances = [[generator.random() / 3 for _ in range(3)] for _ in range(2)]
        tree = grow(chances, 6)
        for size in range(1, 6):
            assert sum(prefix(tree, size).values[1:]) == pytest.approx(best_sum(chances, size))
