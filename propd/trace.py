"""Trace files: a run as JSON, versioned, small and checked (`docs/trace-format.md`)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from propd.core import RunStats, StepEvent
from propd.errors import InvalidRequest, InvalidTrace
from propd.event_json import event_from_json, event_to_json, short
from propd.json_values import (
    MAX_TEXT,
    in_short,
    read_list,
    read_object,
    read_plain,
    read_text,
    read_whole,
)
from propd.trace_checks import check_run
from propd.trace_graph import to_networkx

__all__ = [
    "Header",
    "Trace",
    "event_from_json",
    "event_to_json",
    "fingerprint",
    "from_json",
    "load",
    "save",
    "to_networkx",
    "trace_to_json",
]

SCHEMA = "propd-trace/1"
MAX_BYTES = 5_000_000
MAX_EVENTS = 5_000
MAX_BEGINNING = 5_000

PLACE_AND_TIME = ("source", "machine", "threads", "versions", "recorded")
"""Fields of a header that tell where and when a run was made, and not what was computed."""
MEASURED = ("milliseconds", "elapsed_s")
"""Fields of an event that no two runs have alike."""


@dataclass(frozen=True)
class Header:
    """Where a run comes from: what a reader needs to judge its numbers."""

    model: str
    method: str
    prompt: str
    source: str = ""
    dtype: str = ""
    numerics: str = ""
    """``invariant``: the same bits in any tree and batch; else ``fast``."""
    weights: str = ""
    """``w4a8``, ``int4``: groups of 4 bits; ``int8``, ``nf4``: bitsandbytes; else ``dense``."""
    device: str = ""
    heads: dict[str, str] = field(default_factory=dict)
    """What guesses (``draft``) and what looks early (``early``), as in `HeadsShape`."""
    machine: str = ""
    """In plain words, such as "2 CPU cores"."""
    threads: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    recorded: str = ""
    """Date, as YYYY-MM-DD."""
    config: dict[str, Any] = field(default_factory=dict)
    continuing: tuple[int, ...] = ()
    """Tokens that the answer was made to begin with; the events tell what the model wrote then."""
    continuing_text: str = ""
    """Their text."""


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

    def to_json(self) -> dict[str, Any]:
        """The whole run as JSON."""
        return trace_to_json(self)


def trace_to_json(trace: Trace) -> dict[str, Any]:
    """The whole run as JSON."""
    stats = trace.stats
    return {
        "schema": SCHEMA,
        "header": header_to_json(trace.header),
        "events": [event_to_json(event) for event in trace.events],
        "stats": {
            **{name: short(value) for name, value in asdict(stats).items()},
            "tokens_per_pass": short(stats.tokens_per_pass),
            "tokens_per_second": short(stats.tokens_per_second),
        },
    }


def header_to_json(header: Header) -> dict[str, Any]:
    """The header as JSON.

    A later field that says nothing is left out, so that files from before it stay as they are.
    """
    late = ("numerics", "weights", "heads", "continuing", "continuing_text")
    told = {**asdict(header), "continuing": list(header.continuing)}
    return {name: value for name, value in told.items() if name not in late or value}


def save(trace: Trace, path: str | Path) -> None:
    """Write the run; a run that `load` would refuse is refused here already."""
    data = trace_to_json(trace)
    from_json(data)
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(text.encode()) > MAX_BYTES:
        raise InvalidTrace(f"The trace is larger than {MAX_BYTES} bytes; record fewer tokens.")
    try:
        Path(path).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}.") from error


def fingerprint(trace: Trace) -> str:
    """16 hex digits of a hash over all that a deterministic run must repeat.

    Left out is what is measured (`MEASURED`) and where and when it ran (`PLACE_AND_TIME`).
    Estimates stay in: the tree follows from them. Numbers are taken as a file has them, rounded,
    so a run has the same fingerprint before it is saved and after it is loaded.
    """
    data = trace_to_json(trace)
    header = {name: value for name, value in data["header"].items() if name not in PLACE_AND_TIME}
    events = [
        {name: value for name, value in event.items() if name not in MEASURED}
        for event in data["events"]
    ]
    text = json.dumps([header, events], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _header(data: dict[str, Any]) -> Header:
    words = {
        name: read_text(data.get(name, ""), f"header.{name}")
        for name in (
            "model",
            "method",
            "source",
            "dtype",
            "numerics",
            "weights",
            "device",
            "machine",
            "recorded",
        )
    }
    return Header(
        **words,
        prompt=read_text(data.get("prompt"), "header.prompt", MAX_TEXT),
        threads=read_whole(data.get("threads", 0), "header.threads"),
        heads=_texts(data, "heads"),
        versions=_texts(data, "versions"),
        config=read_plain(read_object(data.get("config", {}), "header.config"), "header.config"),
        continuing=_beginning(data),
        continuing_text=read_text(
            data.get("continuing_text", ""), "header.continuing_text", MAX_TEXT
        ),
    )


def _beginning(data: dict[str, Any]) -> tuple[int, ...]:
    where = "header.continuing"
    ids = read_list(data.get("continuing", []), where, MAX_BEGINNING)
    tokens = tuple(read_whole(item, where) for item in ids)
    if any(token < 0 for token in tokens):
        raise InvalidTrace(f"The trace contradicts itself: a token of {where} is below 0.")
    return tokens


def _texts(data: dict[str, Any], name: str) -> dict[str, str]:
    where = f"header.{name}"
    values = read_plain(read_object(data.get(name, {}), where), where)
    return {key: read_text(value, where) for key, value in values.items()}


def from_json(data: str | bytes | dict[str, Any]) -> Trace:
    """The run in JSON, as text or parsed; `InvalidTrace` when it is none, or contradicts itself."""
    body = parsed(data) if isinstance(data, (str, bytes)) else read_object(data, "the file")
    if body.get("schema") != SCHEMA:
        given = in_short(body.get("schema"))
        raise InvalidTrace(
            f"The file is no trace that this program reads: its schema must be '{SCHEMA}', "
            f"not {given}."
        )
    header = _header(read_object(body.get("header"), "header"))
    items = read_list(body.get("events"), "events", MAX_EVENTS)
    events = tuple(event_from_json(item, f"event {i}") for i, item in enumerate(items))
    check_run(events)
    return Trace(header, events)


def parsed(raw: str | bytes) -> dict[str, Any]:
    """The object in the text of a JSON file that is small enough to be parsed."""
    if len(raw) > MAX_BYTES:
        raise InvalidTrace(
            f"The file is larger than {MAX_BYTES:,} bytes; record fewer tokens, or fewer prompts."
        )
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidTrace(
            "The file is not JSON; it must be one JSON object without NaN or Infinity."
        ) from error
    return read_object(found, "the file")


def _no_constant(name: str) -> float:
    raise ValueError(name)


def load(path: str | Path) -> Trace:
    """Read and check a trace file."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)  # one more than allowed is enough to know
    except OSError as error:
        raise InvalidTrace(f"{path} cannot be read: {error.strerror}.") from error
    return from_json(raw)
