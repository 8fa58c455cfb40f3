"""Learn: a walkthrough on recorded steps; no model is needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app import settings
from app.panel import panel, url
from app.recorded import recorded_runs
from app.strings import learn as words
from app.studio import Studio
from propd.benchmark.results import read_results
from propd.errors import InvalidRequest
from propd.methods import METHODS

Address = Callable[[Path], str]
log = logging.getLogger(__name__)
COMPARED = ("autoregressive", "bpd", "medusa", "propd-paper", "propd-unpruned", "propd")
"""Methods of the benchmark that are shown, in this order."""


def benchmark(path: Path) -> dict[str, Any] | None:
    """The totals of the last benchmark at batch 1, and how it was run; None if there is none."""
    try:
        results = read_results(path)
    except InvalidRequest as error:
        log.warning("Learn shows no benchmark: %s", error)
        return None
    found = {total.name: total for total in results.totals if total.batch == 1}
    rows = [
        {
            "label": METHODS[name].label,
            "ratio": found[name].ratio,
            "per_pass": found[name].tokens_per_pass,
            "identical": found[name].identical,
            "prompts": found[name].prompts,
        }
        for name in COMPARED
        if name in found
    ]
    about = {name: results.about.get(name, "") for name in ("model", "dtype", "machine", "prompts")}
    return {**about, "command": f"propd {results.about.get('command', 'bench')}", "rows": rows}


def tables(folder: Path, address: Address = url) -> dict[str, str]:
    """Where the browser finds the measured tables, by name."""
    paths = [path for path in sorted(folder.glob("*.json")) if "batch" not in path.stem]
    return {path.stem: address(path) for path in paths}


def batches(folder: Path, address: Address = url) -> dict[str, str]:
    """Where it finds the recorded batches, by the number of texts."""
    paths = {int(path.stem.split("-")[1]): path for path in folder.glob("batch-*.json")}
    return {str(rows): address(paths[rows]) for rows in sorted(paths)}


def props(traces: list[dict[str, Any]], address: Address = url) -> dict[str, Any]:
    """What the page needs; address: where it finds a file, with a server or without one."""
    return {
        "traces": traces,
        "tables": tables(settings.LEARN, address),
        "batches": batches(settings.LEARN, address),
        "bench": benchmark(settings.BENCHMARK),
    }


def build(studio: Studio) -> None:
    """The place Learn, inside its tab."""
    gr.set_static_paths([settings.LEARN])
    panel("learn", "learn.js", words.LEARN, **props(recorded_runs(studio.traces)))
