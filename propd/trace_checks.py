"""What the events of a trace must agree on, so that a doctored file cannot contradict itself.

`propd.event_json` has read every value on its own before; here they are held against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from itertools import pairwise

from propd.core import Node, SizeDecision, StepEvent
from propd.errors import InvalidTrace

_CHANCES = ("value", "draft_probability", "early_probability", "final_probability")
_COUNTS = ("token_id", "rank", "early_rank", "choice_id")


def need(agrees: bool, sentence: str) -> None:
    """Go on only with what agrees."""
    if not agrees:
        raise InvalidTrace(f"The trace contradicts itself: {sentence}.")


def check_run(events: Sequence[StepEvent]) -> None:
    """Refuse events that contradict themselves or each other; rows may come in turns."""
    need(bool(events), "it has no events, and a run has at least its prefill")
    latest: dict[int, StepEvent] = {}
    for place, event in enumerate(events):
        where = f"event {place}"
        check_event(event, where)
        if event.row in latest:
            _check_next(latest[event.row], event, where)
        else:
            _check_first(event, max(latest, default=-1), where)
        latest[event.row] = event


def check_event(event: StepEvent, where: str) -> None:
    """Refuse an event whose fields contradict each other."""
    _check_numbers(event, where)
    _check_decision(event.decision, where)
    _check_size(event, where)
    _check_fates(event, where)
    _check_path(event, where)
    _check_choices(event, where)


# --- from event to event ----------------------------------------------------------------------


def _check_first(event: StepEvent, newest_row: int, where: str) -> None:
    first = event.index == 0 and event.kind == "prefill"
    need(first, f"{where} is the first of row {event.row} and no prefill of index 0")
    need(event.row > newest_row, f"{where} begins row {event.row} after row {newest_row}")


def _check_next(before: StepEvent, event: StepEvent, where: str) -> None:
    row = f"row {event.row}"
    need(
        event.index == before.index + 1,
        f"{where} has index {event.index}, and the event of {row} before it {before.index}",
    )
    need(event.kind == "decode", f"{where} is a second prefill of {row}")
    need(
        before.finish_reason is None,
        f"{where} comes after {row} ended with '{before.finish_reason}'",
    )
    need(
        before.bonus is not None and event.nodes[0].token_id == before.bonus.token_id,
        f"the root of {where} is not the bonus token of the event before it",
    )
    _check_past(before, event, where)
    need(
        event.elapsed_s >= before.elapsed_s,
        f"{where} ends at {event.elapsed_s:g} s, before the event that it follows",
    )


def _check_past(before: StepEvent, event: StepEvent, where: str) -> None:
    """A step leaves its root and its accepted nodes in the cache; a prefill leaves the prompt."""
    if before.kind == "prefill":
        need(
            event.past_length > before.past_length,
            f"{where} has a past of {event.past_length} tokens, no more than before the prefill",
        )
        return
    expected = before.past_length + 1 + len(before.accepted)
    need(
        event.past_length == expected,
        f"{where} has a past of {event.past_length} tokens, and the event before leaves {expected}",
    )


# --- inside an event --------------------------------------------------------------------------


def _check_numbers(event: StepEvent, where: str) -> None:
    """Counts and times are not negative, chances lie between 0 and 1."""
    counts = {
        "index": event.index,
        "row": event.row,
        "past_length": event.past_length,
        "elapsed_s": event.elapsed_s,
        "prune_layer": event.prune_layer or 0,
        "prune_top_k": event.prune_top_k or 0,
        "milliseconds": min(astuple(event.milliseconds)),
    }
    for name, count in counts.items():
        need(count >= 0, f"{name} of {where} is {count:g}, below 0")
    need(event.rows >= 1, f"rows of {where} is {event.rows}, below 1")
    for number, node in enumerate((*event.nodes, *([event.bonus] if event.bonus else []))):
        _check_node(node, f"node {number} of {where}")


def _check_node(node: Node, where: str) -> None:
    for name in _COUNTS:
        count = getattr(node, name)
        need(count is None or count >= 0, f"{name} of {where} is {count}, below 0")
    for name in _CHANCES:
        chance = getattr(node, name)
        need(
            chance is None or 0 <= chance <= 1,
            f"{name} of {where} is {chance}, not between 0 and 1",
        )


def _check_decision(decision: SizeDecision, where: str) -> None:
    sizes = decision.sizes
    ascending = all(a < b for a, b in pairwise((-1, *sizes)))
    need(ascending, f"the sizes of {where} do not ascend from 0 or more")
    among = not sizes or decision.chosen in sizes
    need(among, f"{where} chose the size {decision.chosen}, which is no candidate")
    estimates = (*decision.expected_lengths, *decision.estimated_ms)
    need(min(estimates, default=0) >= 0, f"{where} expects a length or a time below 0")
    chances = [chance for row in decision.acceptance_table for chance in row]
    inside = all(0 <= chance <= 1 for chance in chances)
    need(inside, f"the acceptance table of {where} has a chance that is not between 0 and 1")


def _check_size(event: StepEvent, where: str) -> None:
    """A row that ran alone drafted what was chosen; among others, no more than that."""
    chosen, drafted = event.decision.chosen, event.drafted
    if event.kind == "prefill":
        need(drafted == 0, f"{where} is a prefill and drafted {drafted} nodes")
    if event.rows == 1:
        need(drafted == chosen, f"{where} drafted {drafted} nodes and chose the size {chosen}")
    need(drafted <= chosen, f"{where} drafted {drafted} nodes of {chosen} for all rows")


def _check_fates(event: StepEvent, where: str) -> None:
    """The fate of each node fits that of its parent."""
    fates = [node.fate for node in event.nodes]
    need("root" not in fates[1:], f"{where} has a second root")
    need("bonus" not in fates, f"{where} has a bonus inside its tree")
    if "drafted" in fates:
        judged = event.bonus or "accepted" in fates or "rejected" in fates
        need(not judged, f"{where} judged some of its nodes and left others only drafted")
    need(
        event.pruned == 0 or event.prune_layer is not None,
        f"{where} has pruned nodes and no layer that they were pruned after",
    )
    for number, node in enumerate(event.nodes[1:], start=1):
        above = fates[node.parent]
        need(
            node.fate != "accepted" or above in ("root", "accepted"),
            f"node {number} of {where} is accepted under a {above} parent",
        )
        need(
            node.fate == "pruned" or above != "pruned",
            f"node {number} of {where} is {node.fate} under a pruned parent",
        )


def _check_path(event: StepEvent, where: str) -> None:
    """The accepted nodes are a path from the root, and with the bonus they are the new tokens."""
    nodes, path = event.nodes, (0, *event.accepted)
    marked = sorted(number for number, node in enumerate(nodes) if node.fate == "accepted")
    need(sorted(event.accepted) == marked, f"accepted and the fates of {where} disagree")
    for above, below in pairwise(path):
        linked = nodes[below].parent == above
        need(linked, f"the accepted nodes of {where} are no path from the root")
    tokens = [nodes[number].token_id for number in event.accepted]
    bonus = event.bonus
    if bonus is None:  # then the text ended, or the step did
        ended = event.finish_reason or any(node.fate == "drafted" for node in nodes)
        need(bool(ended), f"{where} has no bonus and does not end the text")
    else:
        need(bonus.fate == "bonus", f"the bonus of {where} has the fate '{bonus.fate}'")
        need(bonus.parent == path[-1], f"the bonus of {where} does not follow the last kept node")
        deeper = bonus.depth == nodes[path[-1]].depth + 1
        need(deeper, f"the bonus of {where} is not one depth below its parent")
        tokens.append(bonus.token_id)
    same = list(event.token_ids) == tokens
    need(same, f"token_ids of {where} are not those of its accepted nodes and bonus")


def _check_choices(event: StepEvent, where: str) -> None:
    """The kept tokens are what the model itself chose; of a pruned node it said nothing."""
    kept = [event.nodes[number] for number in (0, *event.accepted)]
    for node, token in zip(kept, event.token_ids, strict=False):
        need(
            node.choice_id in (None, token),
            f"{where} keeps token {token} where the model chose {node.choice_id}",
        )
    for number, node in enumerate(event.nodes):
        silent = node.choice_id is None and node.final_probability is None
        need(
            silent or node.fate != "pruned",
            f"node {number} of {where} is pruned and has a verdict of the whole model",
        )
