"""A doctored trace is refused: what one field says, no other may deny."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from propd.core import SizeDecision, StepEvent
from propd.errors import InvalidTrace
from propd.trace import Trace, from_json, trace_to_json
from tests.trace_samples import HEADER, broken, last_step, parsed, prefill, run, step

NODES, BONUS = "events.1.nodes", "events.1.bonus"
DECISION = "events.1.decision"
Change = tuple[str, Any]
DOCTORED: list[tuple[list[Change], str]] = [
    # a step after a step
    ([("events", [])], "it has no events"),
    ([("events.0.index", 1)], "event 0 is the first of row 0 and no prefill of index 0"),
    ([("events.0.kind", "decode")], "event 0 is the first of row 0 and no prefill of index 0"),
    ([("events.1.index", 2)], "event 1 has index 2, and the event of row 0 before it 0"),
    ([("events.1.index", 0)], "event 1 has index 0, and the event of row 0 before it 0"),
    ([("events.1.finish_reason", "eos")], "event 2 comes after row 0 ended with 'eos'"),
    ([("events.1.row", 1)], "event 1 is the first of row 1 and no prefill"),
    (
        [("events.2.nodes.token_id", [11, 14])],
        "the root of event 2 is not the bonus token of the event before it",
    ),
    ([("events.1.past_length", 0)], "event 1 has a past of 0 tokens, no more than before"),
    ([("events.2.past_length", 13)], "event 2 has a past of 13 tokens, and the event before"),
    ([("events.2.elapsed_s", 0.1)], "event 2 ends at 0.1 s, before the event that it follows"),
    # numbers
    ([("events.0.past_length", -1)], "past_length of event 0 is -1, below 0"),
    ([("events.0.row", -1)], "row of event 0 is -1, below 0"),
    ([("events.0.elapsed_s", -0.5)], "elapsed_s of event 0 is -0.5, below 0"),
    ([("events.1.milliseconds.late", -1.0)], "milliseconds of event 1 is -1, below 0"),
    ([("events.1.prune_layer", -1)], "prune_layer of event 1 is -1, below 0"),
    ([("events.1.prune_top_k", -1)], "prune_top_k of event 1 is -1, below 0"),
    ([("events.1.rows", 0)], "rows of event 1 is 0, below 1"),
    ([(f"{NODES}.token_id.3", -1)], "token_id of node 3 of event 1 is -1, below 0"),
    ([(f"{NODES}.rank.2", -1)], "rank of node 2 of event 1 is -1, below 0"),
    ([(f"{NODES}.early_rank.2", -1)], "early_rank of node 2 of event 1 is -1, below 0"),
    ([(f"{NODES}.choice_id.2", -1)], "choice_id of node 2 of event 1 is -1, below 0"),
    ([(f"{NODES}.value.2", 1.5)], "value of node 2 of event 1 is 1.5, not between 0 and 1"),
    ([(f"{NODES}.draft_probability.2", -0.1)], "draft_probability of node 2 of event 1 is -0.1"),
    ([(f"{NODES}.early_probability.2", 2)], "early_probability of node 2 of event 1 is 2.0"),
    ([(f"{BONUS}.final_probability", [2])], "final_probability of node 4 of event 1 is 2.0"),
    # the size
    ([(f"{DECISION}.sizes", [3, 1])], "the sizes of event 1 do not ascend"),
    ([(f"{DECISION}.sizes", [3, 3])], "the sizes of event 1 do not ascend"),
    ([(f"{DECISION}.sizes", [-1, 3])], "the sizes of event 1 do not ascend"),
    ([(f"{DECISION}.chosen", 2)], "event 1 chose the size 2, which is no candidate"),
    ([(f"{DECISION}.estimated_ms", [-1, 3])], "event 1 expects a length or a time below 0"),
    ([(f"{DECISION}.expected_lengths", [-1, 3])], "event 1 expects a length or a time below 0"),
    ([(f"{DECISION}.acceptance_table", [[1.5]])], "the acceptance table of event 1 has a chance"),
    ([(f"{DECISION}.chosen", 1)], "event 1 drafted 3 nodes and chose the size 1"),
    (
        [("events.1.rows", 2), (f"{DECISION}.chosen", 1)],
        "event 1 drafted 3 nodes of 1 for all rows",
    ),
    # fates
    ([(f"{NODES}.fate", "raxr")], "event 1 has a second root"),
    ([(f"{NODES}.fate", "raxb")], "event 1 has a bonus inside its tree"),
    ([(f"{NODES}.fate", "radp")], "event 1 judged some of its nodes and left others only drafted"),
    ([("events.1.prune_layer", None)], "event 1 has pruned nodes and no layer"),
    ([(f"{NODES}.fate", "rxxa")], "node 3 of event 1 is accepted under a rejected parent"),
    ([(f"{NODES}.fate", "rpxx")], "node 3 of event 1 is rejected under a pruned parent"),
    # the path
    ([("events.1.accepted", [])], "accepted and the fates of event 1 disagree"),
    ([("events.1.accepted", [2])], "accepted and the fates of event 1 disagree"),
    ([("events.1.accepted", [1, 1])], "accepted and the fates of event 1 disagree"),
    (
        [(f"{NODES}.fate", "raap"), ("events.1.accepted", [1, 2])],
        "the accepted nodes of event 1 are no path from the root",
    ),
    ([("events.1.bonus", None)], "event 1 has no bonus and does not end the text"),
    ([(f"{BONUS}.fate", "x")], "the bonus of event 1 has the fate 'rejected'"),
    ([(f"{BONUS}.parent", [0])], "the bonus of event 1 does not follow the last kept node"),
    ([(f"{BONUS}.depth", [1])], "the bonus of event 1 is not one depth below its parent"),
    ([("events.1.token_ids", [8, 13])], "token_ids of event 1 are not those of its accepted"),
    ([("events.1.token_ids", [12, 8])], "token_ids of event 1 are not those of its accepted"),
    # the model's own word
    ([(f"{NODES}.choice_id.0", 9)], "event 1 keeps token 8 where the model chose 9"),
    ([(f"{NODES}.choice_id.1", 9)], "event 1 keeps token 12 where the model chose 9"),
    ([(f"{NODES}.choice_id.3", 9)], "node 3 of event 1 is pruned and has a verdict"),
    ([(f"{NODES}.final_probability.3", 0.5)], "node 3 of event 1 is pruned and has a verdict"),
]


@pytest.mark.parametrize(("changes", "sentence"), DOCTORED)
def test_a_doctored_trace_is_refused_in_one_sentence(changes: list[Change], sentence: str) -> None:
    """Each of these files was read without a word, and its pictures told a run that never was."""
    with pytest.raises(InvalidTrace) as caught:
        from_json(broken(*changes))
    said = str(caught.value)
    assert sentence in said
    assert said.endswith(".") and "\n" not in said


def test_the_run_itself_is_in_order() -> None:
    """Otherwise the files above could be refused for another reason than their own."""
    assert len(from_json(parsed(run())).events) == 3


def refused(*events: StepEvent) -> str:
    with pytest.raises(InvalidTrace) as caught:
        from_json(trace_to_json(Trace(HEADER, events)))
    return str(caught.value)


def test_a_prefill_comes_once_and_drafts_nothing() -> None:
    again = replace(step(), kind="prefill", decision=step().decision)
    assert "event 0 is a prefill and drafted 3 nodes" in refused(replace(again, index=0))
    second = replace(prefill(), index=1, nodes=(replace(prefill().nodes[0], token_id=7),))
    assert "event 1 is a second prefill of row 0" in refused(prefill(), second)


def batch() -> list[StepEvent]:
    """Two rows in turns; they share a budget of four nodes, and the second ends later."""
    decision = SizeDecision((2, 4), (2.5, 2.75), (40.0, 41.5), 4, "best")
    events = [prefill(), replace(prefill(), row=1)]
    for event in (step(), last_step()):
        for row in (0, 1):
            events.append(replace(event, row=row, rows=2, decision=decision))
    return events


def test_rows_of_a_batch_may_come_in_turns_but_in_order() -> None:
    events = batch()
    assert len(from_json(trace_to_json(Trace(HEADER, tuple(events)))).events) == 6
    events[0], events[1] = events[1], events[0]
    assert "event 1 begins row 0 after row 1" in refused(*events)
    assert "event 3 has index 2, and the event of row 0 before it 0" in refused(
        *batch()[:2], batch()[3], batch()[4]
    )


def test_a_run_that_was_stopped_is_in_order() -> None:
    """Stopping ends a run anywhere: in a step that judged nothing, or between two steps."""
    drafted = tuple(replace(node, fate="drafted", choice_id=None) for node in step().nodes[1:])
    halted = replace(
        step(), nodes=(step().nodes[0], *drafted), bonus=None, accepted=(), token_ids=(),
        pieces=(), text="",
    )  # fmt: skip
    for events in ((prefill(),), (prefill(), step()), (prefill(), halted)):
        assert from_json(trace_to_json(Trace(HEADER, events))).events[-1].index < 2
