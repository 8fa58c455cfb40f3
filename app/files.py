"""Files of visitors: opened once they are checked, and runs in the form that is asked for.

Nothing here writes to the disk: a visitor's file lives in the memory of the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from app.benchmarks import told
from app.languages import told as said
from app.replay import replay
from app.strings import share as words
from propd.benchmark.result_checks import checked
from propd.benchmark.results import FORMAT
from propd.core import StepEvent
from propd.errors import InvalidRequest, InvalidTrace, ProPDError
from propd.json_values import in_short
from propd.trace import Trace, fingerprint, from_json, parsed, trace_to_json
from propd.trace_graph import graphml
from propd.trace_table import nodes_csv, steps_csv

Answer = dict[str, Any]


def opened(text: Any) -> Answer:
    """What a dropped file holds: a run, or results of a benchmark; or an error, one sentence.

    Anyone can call this. What goes back is written anew from what was checked, so nothing that the
    checks do not know reaches the page.
    """
    try:
        if not isinstance(text, str):
            raise InvalidTrace(words.NOT_TEXT)
        body = parsed(text)
        if str(body.get("format", "")).startswith(FORMAT.split("/")[0]):
            return {"benchmark": told(checked(body))}
        trace = from_json(body)
        return {"trace": trace_to_json(trace), "fingerprint": fingerprint(trace)}
    except ProPDError as error:
        return {"error": said(str(error))}


def convert(trace: str, form: str = "json", step: int | None = None, plotly: bool = False) -> str:
    """A recorded run in another form: json (checked), csv, nodes, graphml or html.

    trace: the text of a trace file. step: for graphml, the one step to write; none for all.
    plotly: for html, whether plotly.js shall be in the file.
    """
    if not isinstance(trace, str):
        raise InvalidTrace(words.NOT_TEXT)
    if not isinstance(form, str) or form not in FORMS:
        raise InvalidRequest(words.NO_FORM.format(given=in_short(form), forms=", ".join(FORMS)))
    return FORMS[form](from_json(trace), step, bool(plotly))


def saved(asked: Any) -> Answer:
    """`convert` for the page: {"trace", "form", "step", "plotly"} to a text or an error."""
    try:
        if not isinstance(asked, dict):
            raise InvalidRequest(words.NOT_TEXT)
        names = ("trace", "form", "step", "plotly")
        return {"text": convert(**{name: asked[name] for name in names if name in asked})}
    except ProPDError as error:
        return {"error": said(str(error))}


def _json(trace: Trace, step: int | None, plotly: bool) -> str:
    return json.dumps(trace_to_json(trace), ensure_ascii=False, separators=(",", ":")) + "\n"


def _graphml(trace: Trace, step: int | None, plotly: bool) -> str:
    return graphml(_steps(trace, step)) + "\n"


def _steps(trace: Trace, step: int | None) -> Sequence[StepEvent]:
    if step is None:
        return trace.events
    chosen = [event for event in trace.events if event.index == step]
    if not chosen:
        last = max(event.index for event in trace.events)
        raise InvalidRequest(words.NO_STEP.format(given=in_short(step), last=last))
    return chosen


FORMS: dict[str, Callable[[Trace, int | None, bool], str]] = {
    "json": _json,
    "csv": lambda trace, step, plotly: steps_csv(trace.events),
    "nodes": lambda trace, step, plotly: nodes_csv(trace.events),
    "graphml": _graphml,
    "html": lambda trace, step, plotly: replay(trace, plotly=plotly),
}
