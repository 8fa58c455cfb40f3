"""Exploration is bounded, and does happen."""

from itertools import pairwise

from propd.planning.cost import Work
from propd.planning.dynamic import Options
from propd.planning.exploration import Explorer

OPTIONS = Options((0, 4, 16), (1.0, 1.6, 1.8), (40.0, 44.0, 60.0), prunes=False)


def test_nothing_is_explored_before_there_is_time_to_lose() -> None:
    assert Explorer(stale=0).choose(OPTIONS, 1) == (1, False)


def test_stale_sizes_are_tried_and_fresh_ones_are_not() -> None:
    explorer, chosen = Explorer(share=0.5, stale=5), []
    for _ in range(30):
        at, explored = explorer.choose(OPTIONS, 1)
        chosen.append((OPTIONS.sizes[at], explored))
        explorer.learn(Work(1, 1 + OPTIONS.sizes[at], 1), OPTIONS.times[at])
    tried = [size for size, explored in chosen if explored]
    assert set(tried) == {0, 16}
    assert all(later - sooner > 5 for sooner, later in _gaps(chosen, 16))


def test_the_loss_is_bounded() -> None:
    """In 1,000 steps, at most the share of the time that the best size would have saved."""
    explorer, spent, written = Explorer(share=0.01, stale=5), 0.0, 0.0
    for _ in range(1000):
        at, _ = explorer.choose(OPTIONS, 1)
        explorer.learn(Work(1, 1 + OPTIONS.sizes[at], 1), OPTIONS.times[at])
        spent += OPTIONS.times[at]
        written += OPTIONS.lengths[at]
    best = OPTIONS.speed(1)
    assert 0.985 < written / spent / best < 0.9999


def test_a_size_that_only_the_margin_holds_back_earns_nothing() -> None:
    """A tree that promises 2% more than plain decoding is not chosen; to try it must not fill the
    purse that other tries are paid from."""
    options = Options((0, 1), (1.0, 1.2), (40.0, 47.0), prunes=False)
    assert options.best() == 0 and options.speed(1) > options.speed(0)
    explorer, spent = Explorer(share=0.01, stale=5), 0.0
    for _ in range(200):
        at, _ = explorer.choose(options, options.best())
        explorer.learn(Work(1, 1 + options.sizes[at], 1), options.times[at])
        spent += options.times[at]
    assert explorer.allowance <= 0.01 * spent * (1 + 1e-9)


def _gaps(chosen: list[tuple[int, bool]], size: int) -> list[tuple[int, int]]:
    places = [place for place, (other, _) in enumerate(chosen) if other == size]
    return list(pairwise(places))
