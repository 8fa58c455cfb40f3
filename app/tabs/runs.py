"""Runs: what was recorded, how to save and share it, files of others, and the benchmark."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app import settings
from app.benchmarks import shipped
from app.files import convert, opened, saved
from app.panel import panel, url
from app.recorded import recorded_runs
from app.studio import Studio
from propd.methods import METHODS
from propd.trace import MAX_BYTES, SCHEMA


def benchmarks(_: Any) -> list[dict[str, Any]]:
    """The results that come with this copy."""
    return shipped(settings.DOCS)


def props(traces: list[dict[str, Any]]) -> dict[str, Any]:
    """What the page needs to know, with a server or without one."""
    return {
        "traces": traces,
        "methods": {name: method.label for name, method in METHODS.items()},
        "schema": SCHEMA,
        "limit": MAX_BYTES,
    }


def build(studio: Studio) -> None:
    """The place Runs, inside its tab."""
    results = sorted(settings.DOCS.glob("benchmark*.json"))
    gr.set_static_paths(results)
    panel(
        "runs-panel",
        "runs_place.js",
        "runs.RUNS",
        server=[opened, saved, benchmarks],
        opens=True,
        results={path.stem: url(path) for path in results},
        **props(recorded_runs(studio.traces)),
    )
    gr.api(convert, api_name="convert", queue=False)
