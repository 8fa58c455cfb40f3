"""Learn: a walkthrough on recorded steps; no model is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app import settings
from app.benchmarks import shipped
from app.panel import panel, url
from app.recorded import recorded_runs
from app.studio import Studio
from propd.methods import METHODS

Address = Callable[[Path], str]
COMPARED = ("autoregressive", "bpd", "medusa", "propd-paper", "propd-unpruned", "propd")
"""Methods of the benchmark that are shown, in this order."""


def benchmark(folder: Path) -> dict[str, Any] | None:
    """The totals of the last benchmark at batch 1, and how it was run; None if there is none."""
    last = next((one for one in shipped(folder) if one["name"] == "benchmark"), None)
    if last is None:
        return None
    found = {total["name"]: total for total in last["totals"] if total["batch"] == 1}
    rows = [{"label": METHODS[name].label, **found[name]} for name in COMPARED if name in found]
    about = {name: last["about"].get(name, "") for name in ("model", "dtype", "machine", "prompts")}
    return {**about, "command": f"propd {last['about'].get('command', 'bench')}", "rows": rows}


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
        "bench": benchmark(settings.DOCS),
    }


def build(studio: Studio) -> None:
    """The place Learn, inside its tab."""
    gr.set_static_paths([settings.LEARN])
    panel("learn", "learn.js", "learn.LEARN", **props(recorded_runs(studio.traces)))
