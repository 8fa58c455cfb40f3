"""Trace files: a run as JSON, versioned, small and checked (`docs/trace-format.md`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from propd.core import RunStats, StepEvent
from propd.errors import InvalidTrace
from propd.event_json import (
    MAX_TEXT,
    event_from_json,
    event_to_json,
    read_list,
    read_object,
    read_text,
    read_whole,
    short,
)

if TYPE_CHECKING:
    import networkx

__all__ = [
    "Header",
    "Trace",
    "event_from_json",
    "event_to_json",
    "load",
    "save",
    "to_networkx",
    "trace_to_json",
    "validate",
]

SCHEMA = "propd-trace/1"
MAX_BYTES = 5_000_000
MAX_EVENTS = 5_000


@dataclass(frozen=True)
class Header:
    """Where a run comes from: what a reader needs to judge its numbers."""

    model: str
    method: str
    prompt: str
    source: str = ""
    dtype: str = ""
    device: str = ""
    machine: str = ""
    """In plain words, such as "2 CPU cores"."""
    threads: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    recorded: str = ""
    """Date, as YYYY-MM-DD."""
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """A whole run."""

    header: Header
    events: tuple[StepEvent, ...]

    @property
    def stats(self) -> RunStats:
        """Sums over the events; never read from a file, so a file cannot contradict itself."""
        stats = RunStats()
        for event in self.events:
            stats = stats.add(event)
        return stats


def trace_to_json(trace: Trace) -> dict[str, Any]:
    """The whole run as JSON."""
    stats = trace.stats
    return {
        "schema": SCHEMA,
        "header": asdict(trace.header),
        "events": [event_to_json(event) for event in trace.events],
        "stats": {
            **{name: short(value) for name, value in asdict(stats).items()},
            "tokens_per_pass": short(stats.tokens_per_pass),
            "tokens_per_second": short(stats.tokens_per_second),
        },
    }


def save(trace: Trace, path: str | Path) -> None:
    """Write the run; a run that `load` would refuse is refused here already."""
    data = trace_to_json(trace)
    validate(data)
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(text.encode()) > MAX_BYTES:
        raise InvalidTrace(f"The trace is larger than {MAX_BYTES} bytes; record fewer tokens.")
    Path(path).write_text(text + "\n", encoding="utf-8")


def _header(data: dict[str, Any]) -> Header:
    words = {
        name: read_text(data.get(name, ""), f"header.{name}")
        for name in ("model", "method", "source", "dtype", "device", "machine", "recorded")
    }
    versions = read_object(data.get("versions", {}), "header.versions")
    return Header(
        **words,
        prompt=read_text(data.get("prompt"), "header.prompt", MAX_TEXT),
        threads=read_whole(data.get("threads", 0), "header.threads"),
        versions={
            read_text(k, "header"): read_text(v, "header.versions") for k, v in versions.items()
        },
        config=read_object(data.get("config", {}), "header.config"),
    )


def validate(data: Any) -> Trace:
    """The run in parsed JSON; `InvalidTrace` when it is not one that this version can read."""
    data = read_object(data, "the file")
    if data.get("schema") != SCHEMA:
        raise InvalidTrace(f"The trace is of another version; this program reads {SCHEMA}.")
    events = read_list(data.get("events"), "events", MAX_EVENTS)
    return Trace(
        header=_header(read_object(data.get("header"), "header")),
        events=tuple(event_from_json(item, f"event {i}") for i, item in enumerate(events)),
    )


def _no_constant(name: str) -> float:
    raise ValueError(name)


def load(path: str | Path) -> Trace:
    """Read and check a trace file."""
    with Path(path).open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise InvalidTrace(f"The trace is larger than {MAX_BYTES} bytes.")
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidTrace("The trace is not a JSON file without NaN or Infinity.") from error
    return validate(data)


def to_networkx(event: StepEvent) -> networkx.DiGraph:
    """The tree of a step as a graph, the bonus token included as its last node."""
    import networkx  # a convenience of traces, not a need of the engine

    graph = networkx.DiGraph(index=event.index, kind=event.kind)
    for index, node in enumerate((*event.nodes, *([event.bonus] if event.bonus else []))):
        graph.add_node(index, **asdict(node))
        if node.parent >= 0:
            graph.add_edge(node.parent, index)
    return graph
