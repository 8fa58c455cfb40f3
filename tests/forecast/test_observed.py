"""The statistics of a run, on events small enough to count by hand, and on a real run."""

from __future__ import annotations

from pathlib import Path

import pytest

import propd
from propd.core import Fate, Milliseconds, Node, SizeDecision, StepEvent
from propd.forecast.basis import MOST_POINTS
from propd.forecast.observed import (
    FEWEST_TRUTHS,
    count_places,
    find_acceptance,
    find_costs,
    find_cuts,
    observe,
)
from propd.planning.chances import PRIOR_WEIGHT
from tests.forecast.bases import ACCEPTANCE, basis

DECISION = SizeDecision((3,), (), (), 3, "fixed")


def node(token: int, parent: int, depth: int, rank: int, fate: Fate, early: int | None) -> Node:
    return Node(token, parent, depth, rank, fate, 0.5, early_rank=early)


def step(milliseconds: float = 10.0, **more: object) -> StepEvent:
    """Root 1; guesses 5 (right) and 6, behind 5 the guess 7, which is wrong: 8 comes."""
    nodes = (
        node(1, -1, 0, 0, "root", None),
        node(5, 0, 1, 0, "accepted", 2),
        node(6, 0, 1, 1, "rejected", 30),
        node(7, 1, 2, 0, "rejected", 70),
    )
    spent = Milliseconds(draft=1, early=0.2 * milliseconds, prune=0.5, late=0.8 * milliseconds)
    plain: dict[str, object] = {
        "index": 1,
        "kind": "decode",
        "nodes": nodes,
        "bonus": node(8, 1, 2, 0, "bonus", None),
        "accepted": (1,),
        "token_ids": (5, 8),
        "decision": DECISION,
        "milliseconds": spent,
        "past_length": 9,
        "elapsed_s": 1.0,
        "prune_layer": 3,
        "prune_top_k": 50,
    }
    return StepEvent(**(plain | more))  # type: ignore[arg-type]


def test_places_count_where_they_were_drafted_under_the_true_path() -> None:
    assert count_places([step(), step()]) == {(1, 0): (2, 2), (1, 1): (0, 2), (2, 0): (0, 2)}


def test_what_was_expected_before_gives_way_to_the_counts() -> None:
    table = find_acceptance([step()] * 20, ACCEPTANCE)
    weight = PRIOR_WEIGHT / (PRIOR_WEIGHT + 20)
    assert table[0][0] == pytest.approx(1 - weight * 0.5, abs=1e-5)
    assert table[0][1] == pytest.approx(weight * 0.3, abs=1e-5)
    assert table[1][:2] == pytest.approx((weight * 0.4, 0.1), abs=1e-5)


def test_the_planners_own_table_is_the_expectation_where_there_is_one() -> None:
    told = SizeDecision((3,), (), (), 3, "best", ((0.9,), (0.8,), (0.7,)))
    table = find_acceptance([step(decision=told)], ACCEPTANCE)
    whole = PRIOR_WEIGHT + 1  # one step of it
    expected = [(0.9 * PRIOR_WEIGHT + 1) / whole, 0.8 * PRIOR_WEIGHT / whole, 0.7]
    assert [row[0] for row in table] == pytest.approx(expected, abs=1e-5)


def test_early_ranks_tell_what_every_k_would_have_left() -> None:
    """Rank 2 stays from k 5 on, 30 from 50 on; 70 below 2 counts from 5 on, stays from 100."""
    cuts = {cut.top_k: cut for cut in find_cuts([step()] * FEWEST_TRUTHS, 10)}
    assert cuts[5].depth == 0.3
    stay = {k: (cut.stay[0][0], cut.stay[0][1], cut.stay[1][0]) for k, cut in cuts.items()}
    assert (stay[2], stay[5], stay[50], stay[100]) == ((0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1))
    assert (cuts[2].recall, cuts[5].recall) == (0, 1)
    assert cuts[5].stay[0][9] == 0  # never drafted: as the rank before it


def test_few_right_guesses_tell_nothing_of_the_early_head() -> None:
    assert find_cuts([step()] * (FEWEST_TRUTHS - 1), 10) == ()


def sizes(*drafted: int) -> list[StepEvent]:
    whole = step().nodes
    return [
        step(10.0 + size, nodes=whole[: 1 + size], accepted=(), token_ids=(8,), elapsed_s=float(i))
        for i, size in enumerate(drafted)
    ]


def test_times_are_medians_by_tokens() -> None:
    costs = find_costs([*sizes(0, 1, 3), *sizes(3)])
    assert costs is not None
    assert costs.early == ((1, 2.0), (2, 2.2), (4, 2.6))
    assert costs.late == ((1, 8.0), (2, 8.8), (4, 10.4))
    assert (costs.draft, costs.prune) == (((1, 1.0),), ((1, 0.5), (2, 0.5), (4, 0.5)))


def test_a_run_of_very_many_sizes_keeps_its_ends() -> None:
    """A batch may have hundreds of sizes; a question with all of them would be refused."""
    events = [step(1.0 + i, nodes=step().nodes[:1] * (1 + i)) for i in range(300)]
    costs = find_costs(events)
    assert costs is not None
    assert len(costs.early) <= MOST_POINTS
    assert (costs.early[0][0], costs.early[-1][0]) == (1, 300)


def test_rows_of_a_step_count_as_one() -> None:
    """Each carries the time of the whole step; counted alone, a batch looked cheap."""
    pair = [step(row=0, rows=2), step(row=1, rows=2)]
    costs = find_costs([*sizes(0, 1), *pair])
    assert costs is not None
    assert [count for count, _ in costs.early] == [1, 2, 8]


def test_sizes_that_are_alike_tell_nothing_of_the_slope() -> None:
    assert find_costs(sizes(3, 3, 3)) is None
    assert find_costs(sizes(0, 1)) is None


def test_what_a_run_cannot_tell_is_taken_from_elsewhere() -> None:
    known = basis()
    found = observe([step()], known)
    assert found.taken == ("acceptance",)
    assert (found.basis.machine, found.basis.cuts) == (known.machine, known.cuts)
    assert (found.steps, found.tokens_per_pass, found.guesses) == (1, 2.0, 3)
    nothing = observe([], known)
    assert (nothing.basis, nothing.taken) == (known, ())


def test_a_real_run_gives_what_it_accepted(tiny_folder: Path) -> None:
    """Every right guess that was drafted and not pruned was accepted; so the counts must agree."""
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    events = list(engine.stream("abc", method="propd-static", prune_top_k=10**6, max_new_tokens=60))
    steps = [event for event in events if event.kind == "decode"]
    hits = sum(tally.hits for tally in count_places(steps).values())
    assert hits >= sum(len(event.accepted) for event in steps) > 0
    found = observe(events, basis())
    assert "acceptance" in found.taken
    assert found.basis.acceptance != ACCEPTANCE
