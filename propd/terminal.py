"""Steps and trees as lines of text."""

from __future__ import annotations

import unicodedata
from collections import defaultdict

from propd.core import Node, StepEvent

MARKS = {
    "root": "◆",
    "drafted": "·",
    "pruned": "✂",
    "rejected": "✗",
    "accepted": "✓",
    "bonus": "★",
}
GUESSED_BY = {"head": "head {depth}", "text": "text", "both": "head {depth} and text"}
"""The rank is a place in the list of whoever guessed."""
SPACES = {" ": "␣", "\n": "⏎", "\t": "⇥"}


def safe(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())


def without_controls(text: str) -> str:
    """The text for a file of another program: tabs and line breaks stay, other controls are named.

    What no terminal should obey and no XML may hold becomes visible, such as <1B>.
    """
    return "".join(c if c in "\n\t" or not _is_control(c) else f"<{ord(c):02X}>" for c in text)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or character in "\ufffe\uffff"


def visible(token: str) -> str:
    """A token on one line, its white space visible."""
    shown = "".join(SPACES.get(c, c if c.isprintable() else f"<{ord(c):02X}>") for c in token)
    return shown or "<empty>"


def caption(event: StepEvent) -> str:
    """The step in one line of its own numbers."""
    row = f" of row {event.row}" if event.rows > 1 or event.row else ""
    if event.kind == "prefill":
        return f"prefill{row}: {event.milliseconds.total:.0f} ms, first token"
    parts = [f"{event.drafted} drafted"]
    if event.prune_layer is not None:
        parts.append(f"{event.pruned} pruned after layer {event.prune_layer}")
    parts += [f"{event.verified} verified", f"{len(event.accepted)} accepted"]
    bonus = " + 1 bonus" if event.bonus else ""
    return (
        f"step {event.index}{row}: {', '.join(parts)}{bonus}  ({event.milliseconds.total:.0f} ms)"
    )


def render_tree(event: StepEvent) -> str:
    """The step's tree, a node a line, with what became of each and why."""
    children: dict[int, list[Node]] = defaultdict(list)
    number = {id(node): index for index, node in enumerate(event.nodes)}
    for node in event.nodes[1:]:
        children[node.parent].append(node)
    if event.bonus:
        children[event.bonus.parent].append(event.bonus)
    lines = [f"{caption(event)}  {visible(event.text)!s}", _line("", event.nodes[0], event)]

    def descend(index: int, indent: str) -> None:
        below = children[index]
        for place, node in enumerate(below):
            last = place == len(below) - 1
            lines.append(_line(indent + ("└─" if last else "├─"), node, event))
            if id(node) in number:
                descend(number[id(node)], indent + ("  " if last else "│ "))

    descend(0, "")
    return "\n".join(lines)


def _line(indent: str, node: Node, event: StepEvent) -> str:
    parts = [f"{indent}{MARKS[node.fate]} {visible(node.text)}", node.fate]
    if node.draft_probability is not None:
        who = GUESSED_BY[node.source].format(depth=node.depth)
        parts.append(f"{who} rank {node.rank + 1} p={node.draft_probability:.2f}")
    if node.early_rank is not None:
        parts.append(_early(node, event))
    return "  ".join(parts)


def _early(node: Node, event: StepEvent) -> str:
    """The early head's word on a node, against what the pruning rule asks."""
    if event.prune_threshold is not None and node.early_probability is not None:
        sign = "≥" if node.early_probability >= event.prune_threshold else "<"
        return f"early p={node.early_probability:.3f} {sign} {event.prune_threshold:g}"
    rank = (node.early_rank or 0) + 1
    if event.prune_top_k is None:
        return f"early rank {rank}"
    return f"early rank {rank} {'≤' if rank <= event.prune_top_k else '>'} {event.prune_top_k}"
