"""Lab: the planner to play with; no model is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from app import lab, lab_presets
from app.languages import told
from app.panel import panel
from app.recorded import recorded_runs
from app.strings import lab as words
from app.studio import Studio
from propd.errors import ProPDError


def shipped() -> list[dict[str, str]]:
    """The presets that come with the program."""
    return [
        {"name": name, "kind": kind, "label": words.PRESETS[name]}
        for kind, names in (("measured", lab_presets.MEASURED), ("estimated", lab_presets.SHEETS))
        for name in names
    ]


def presets(studio: Studio) -> list[dict[str, str]]:
    """Where the sliders can begin, as the page lists them."""
    runs = [
        {"name": lab_presets.RUN + run["name"], "kind": "run", "label": run["label"]}
        for run in recorded_runs(studio.traces)
    ]
    return shipped() + runs


def static_props(share: Callable[[str, str], str]) -> dict[str, Any]:
    """The panel's props on a page without a server.

    share: takes the name and the text of a file that the page reads, and gives its address.
    """
    names = [*lab_presets.MEASURED, *lab_presets.SHEETS]
    tables = {name: share(f"lab/{name}.json", json.dumps(lab.table(name))) for name in names}
    return {"presets": shipped(), "tables": tables, "axes": list(lab.AXES)}


def build(studio: Studio) -> None:
    """The place Lab, inside its tab."""

    def plan(question: dict[str, Any]) -> dict[str, Any]:
        asked = question if isinstance(question, dict) else {}
        try:
            return lab.plan(
                asked.get("preset", lab_presets.FIRST),
                asked.get("changes"),
                asked.get("run"),
                traces=studio.traces,
            )
        except ProPDError as error:
            return {"error": told(str(error))}

    def read_run(text: str) -> dict[str, Any]:
        try:
            return lab.read_run(text)
        except ProPDError as error:
            return {"error": told(str(error))}

    def plan_api(
        preset: str = lab_presets.FIRST, changes: dict | None = None, run: dict | None = None
    ) -> dict:
        """What the planner would choose: preset, changed settings, statistics of a run."""
        try:
            return lab.plan(preset, changes, run, traces=studio.traces)
        except ProPDError as error:
            raise gr.Error(str(error), print_exception=False) from error

    panel("lab", "lab.js", "lab.LAB", server=[plan, read_run], presets=presets(studio))
    gr.api(plan_api, api_name="plan", concurrency_limit=4)
