"""The commands `python -m propd trace validate|csv|graphml|show`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from propd.errors import InvalidRequest

if TYPE_CHECKING:
    from propd.core import StepEvent
    from propd.trace import Trace


def trace_parser(parser: argparse.ArgumentParser) -> None:
    """The actions of `trace` and their options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def action(
        name: str, run: Callable[[argparse.Namespace], int], about: str
    ) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=about, description=about)
        added.add_argument("file", type=Path, metavar="FILE", help="a trace file")
        added.set_defaults(run=run)
        return added

    action("validate", _validate, "check a trace and print its figures and its fingerprint")
    table = action("csv", _csv, "print a table with a row for each step")
    table.add_argument("--nodes", action="store_true", help="a row for each node instead")
    graph = action("graphml", _graphml, "print the trees as GraphML, joined along the text")
    show = action("show", _show, "print the trees with what became of each token")
    for chosen in (graph, show):
        chosen.add_argument("--step", type=int, metavar="K", help="only step K; 0 is the prefill")
    for written in (table, graph):
        written.add_argument("--out", type=Path, metavar="FILE", help="write to this file instead")


def _validate(options: argparse.Namespace) -> int:
    from propd.trace import SCHEMA, fingerprint, load

    trace = load(options.file)
    stats, header = trace.stats, trace.header
    return _put(
        f"valid: {SCHEMA}, {_words(header.model)}, {_words(header.method)}, "
        f"{len(trace.events)} events, {stats.new_tokens} tokens, "
        f"{stats.tokens_per_pass:.2f} tokens per pass, fingerprint {fingerprint(trace)}\n"
    )


def _csv(options: argparse.Namespace) -> int:
    from propd.trace import load
    from propd.trace_table import nodes_csv, steps_csv

    events = load(options.file).events
    return _put(nodes_csv(events) if options.nodes else steps_csv(events), options.out)


def _graphml(options: argparse.Namespace) -> int:
    from propd.trace import load
    from propd.trace_graph import graphml

    return _put(graphml(_steps(load(options.file), options.step)) + "\n", options.out)


def _show(options: argparse.Namespace) -> int:
    from propd.terminal import render_tree
    from propd.trace import load

    trace = load(options.file)
    header = trace.header
    lines = [f"{_words(header.model)}, {_words(header.method)}: {_words(header.prompt)}"]
    lines += [render_tree(event) for event in _steps(trace, options.step)]
    return _put("\n\n".join(lines) + "\n")


def _steps(trace: Trace, step: int | None) -> tuple[StepEvent, ...]:
    """All steps, or the one of this index: of several rows, each row's."""
    if step is None:
        return trace.events
    chosen = tuple(event for event in trace.events if event.index == step)
    if not chosen:
        last = max(event.index for event in trace.events)
        raise InvalidRequest(f"There is no step {step}; the trace has the steps 0 to {last}.")
    return chosen


def _words(text: str) -> str:
    """Text of a stranger on one line, without what a terminal would obey."""
    from propd.terminal import safe

    return " ".join(safe(text).split())


def _put(text: str, out: Path | None = None) -> int:
    """Write to a file, or print."""
    if out is not None:
        try:
            out.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise InvalidRequest(f"{out} cannot be written: {error.strerror}.") from error
        print(f"wrote {out}", file=sys.stderr)
        return 0
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:  # whoever reads, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
