"""A small run made by hand, and ways to spoil it."""

from __future__ import annotations

import json
from typing import Any

from propd.core import Milliseconds, Node, SizeDecision, StepEvent
from propd.trace import Header, Trace, trace_to_json

HEADER = Header(
    model="tiny",
    method="propd",
    prompt="Hi </script>",
    machine="2 CPU cores",
    threads=2,
    versions={"python": "3.11.7"},
    recorded="2026-01-01",
    config={"max_new_tokens": 4, "stop": ["\n"]},
)


def prefill() -> StepEvent:
    """The prompt's last token, and the first of the answer."""
    return StepEvent(
        index=0,
        kind="prefill",
        nodes=(Node(5, -1, 0, 0, "root", 1.0, choice_id=7, text=":", choice_text=" the"),),
        bonus=Node(7, 0, 1, 0, "bonus", 1.0, text=" the"),
        accepted=(),
        token_ids=(7,),
        decision=SizeDecision((0,), (), (), 0, "fixed"),
        milliseconds=Milliseconds(late=40.5),
        past_length=0,
        elapsed_s=0.0405,
        pieces=(" the",),
        text=" the",
    )


def step() -> StepEvent:
    """A root with two children, the first accepted with a pruned child, then a bonus."""
    root = Node(7, -1, 0, 0, "root", 1.0, choice_id=8, text=" the", choice_text=" cat")
    kept = Node(8, 0, 1, 0, "accepted", 0.5, 0.412345, 0, 0.31, 0.5, 12, " cat", " sat")
    wrong = Node(9, 0, 1, 1, "rejected", 0.25, 0.125, 3, 0.03, 0.001, 10, " dog", " ran")
    gone = Node(11, 1, 2, 0, "pruned", 0.125, 0.25, 72, 0.0002, text="한")
    return StepEvent(
        index=1,
        kind="decode",
        nodes=(root, kept, wrong, gone),
        bonus=Node(12, 1, 2, 0, "bonus", 0.0, final_probability=0.75, text=" sat"),
        accepted=(1,),
        token_ids=(8, 12),
        decision=SizeDecision(
            (1, 3), (1.5, 1.75), (30.0, 31.5), 3, "best", ((0.5, 0.25),), (29.0, 1.0)
        ),
        milliseconds=Milliseconds(draft=1.5, early=10.25, late=20.5),
        past_length=12,
        elapsed_s=0.125,
        prune_layer=4,
        prune_top_k=50,
        pieces=(" cat", " sat"),
        text=" cat sat",
    )


def last_step() -> StepEvent:
    """A step that drafts a token in vain and ends the text."""
    root = Node(12, -1, 0, 0, "root", 1.0, choice_id=13, text=" sat", choice_text=".")
    wrong = Node(14, 0, 1, 0, "rejected", 0.5, 0.5, 1, 0.2, 0.1, 15, " on", " a")
    return StepEvent(
        index=2,
        kind="decode",
        nodes=(root, wrong),
        bonus=Node(13, 0, 1, 0, "bonus", 1.0, text="."),
        accepted=(),
        token_ids=(13,),
        decision=SizeDecision((1, 3), (1.5, 1.75), (30.0, 45.5), 1, "end"),
        milliseconds=Milliseconds(late=20.5, verify=2.0),
        past_length=14,
        elapsed_s=0.1475,
        finish_reason="length",
        prune_layer=4,
        prune_top_k=50,
        pieces=(".",),
        text=".",
    )


def run(*more: StepEvent) -> Trace:
    """The whole run."""
    return Trace(HEADER, (prefill(), step(), last_step(), *more))


def parsed(trace: Trace) -> Any:
    """The run as a reader of its file sees it."""
    return json.loads(json.dumps(trace_to_json(trace)))


def broken(*changes: tuple[str, Any]) -> Any:
    """The run with values replaced; each place as in ``events.1.nodes.parent``."""
    data = parsed(run())
    for path, value in changes:
        *parents, last = path.split(".")
        place = data
        for part in parents:
            place = place[int(part) if part.isdigit() else part]
        place[int(last) if last.isdigit() else last] = value
    return data
