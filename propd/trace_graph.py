"""Steps and runs as graphs, for networkx and, as GraphML, for graph editors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING, Any

from propd.core import Node, StepEvent
from propd.errors import InvalidRequest
from propd.terminal import without_controls

if TYPE_CHECKING:
    import networkx

MAX_GRAPH_NODES = 50_000


def to_networkx(events: StepEvent | Sequence[StepEvent]) -> networkx.DiGraph:
    """The tree of a step, the bonus token as its last node; of several steps, their trees joined.

    Trees join where the text goes on: the bonus of a step and the root of the row's next step are
    one node, which keeps the fate ``bonus``. Nodes are numbers from 0 on. Their attributes are the
    fields of `propd.core.Node` but for those that are not known, and ``step`` and ``row``;
    ``parent`` is a number of the graph, ``depth`` counts inside the step.
    """
    import networkx  # a convenience of traces, not a need of the engine

    events = (events,) if isinstance(events, StepEvent) else events
    total = sum(len(event.nodes) + 1 for event in events)
    if total > MAX_GRAPH_NODES:
        raise InvalidRequest(
            f"The graph would have about {total} nodes, more than {MAX_GRAPH_NODES}; "
            "take one step, or fewer."
        )
    graph = networkx.DiGraph()
    if len(events) == 1:
        graph.graph.update(index=events[0].index, kind=events[0].kind)
    tips: dict[int, int] = {}
    for event in events:
        _add_tree(graph, event, tips)
    return graph


def _add_tree(graph: networkx.DiGraph, event: StepEvent, tips: dict[int, int]) -> None:
    """Add a step's tree. tips: row -> the number of its latest bonus, where it goes on."""
    numbers: list[int] = []
    for node in (*event.nodes, *([event.bonus] if event.bonus else [])):
        goes_on = node.fate == "root" and event.row in tips
        number = tips[event.row] if goes_on else len(graph)
        known = _known(node) | {"step": event.index, "row": event.row}
        if goes_on:  # what the step before said of this token stays, what it could not know comes
            known |= graph.nodes[number]
        elif node.parent >= 0:
            known["parent"] = numbers[node.parent]
        graph.add_node(number, **known)
        if node.parent >= 0:
            graph.add_edge(numbers[node.parent], number)
        numbers.append(number)
    if event.bonus:
        tips[event.row] = numbers[-1]


def _known(node: Node) -> dict[str, Any]:
    """The fields of a node that say something: GraphML has no word for nothing."""
    return {name: value for name, value in asdict(node).items() if value not in (None, "")}


def graphml(events: StepEvent | Sequence[StepEvent]) -> str:
    """The graph of `to_networkx` as GraphML; what XML forbids in a token is named, as <1B>."""
    from networkx.readwrite.graphml import write_graphml_xml

    graph = to_networkx(events)
    for _, attributes in graph.nodes(data=True):
        for name, value in attributes.items():
            if isinstance(value, str):
                attributes[name] = without_controls(value)
    out = BytesIO()
    write_graphml_xml(graph, out)
    return out.getvalue().decode("utf-8")
