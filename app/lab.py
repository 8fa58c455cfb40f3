"""The Lab's one question to the planner, as JSON in and JSON out.

`plan` is all that the page asks, so a page without a server needs no more than its answers:
`table` is a grid of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from app import lab_presets, settings
from app.strings import lab as words
from propd.core import SizeDecision
from propd.errors import InvalidRequest
from propd.event_json import short
from propd.forecast.basis import Basis, basis_from_json, basis_to_json, settle
from propd.forecast.promises import Batch, Forecast, Promise, forecast
from propd.trace import from_json

YOUR_RUN = "your-run"
"""The preset whose statistics come with the question: a run that only its visitor has."""


def plan(
    preset: str = lab_presets.FIRST,
    changes: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    traces: Path = settings.TRACES,
) -> dict[str, Any]:
    """What the planner would choose; `InvalidRequest` says what is wrong with the question.

    changes: settings by name (`propd.forecast.settings.Settings`) that differ from the preset's.
    run: for the preset `YOUR_RUN`, what `read_run` gave.
    """
    if preset == YOUR_RUN:
        if run is None:
            raise InvalidRequest(words.NO_RUN)
        basis = basis_from_json(run)
        source: dict[str, Any] = {"kind": "run"}
    else:
        found = lab_presets.find(str(preset), traces)
        basis, source = found.basis, {"kind": found.kind, "about": found.about}
    asked = {} if changes is None else changes
    return source | told(forecast(basis, settle(basis, asked)), basis)


def read_run(text: Any) -> dict[str, Any]:
    """The statistics of a trace file, for `plan`; `InvalidTrace` if it is none."""
    if not isinstance(text, str):
        raise InvalidRequest(words.NO_TRACE)
    preset = lab_presets.of_trace(from_json(text))
    return {"run": basis_to_json(preset.basis), "kind": preset.kind, "about": preset.about}


def told(found: Forecast, basis: Basis) -> dict[str, Any]:
    """A forecast as JSON, four significant digits."""
    tree = found.tree
    answer = {
        "values": asdict(found.settings),
        "own": asdict(settle(basis, {})),
        "layers": basis.machine.layers,
        "share_before": found.share_before,
        "chosen": _decided(found.decision),
        "unpruned": _curve(found.unpruned),
        "pruned": _curve(found.pruned),
        "plain": _promised(found.plain),
        "fixed": _promised(found.fixed),
        "tree": {
            "parent": tree.parents,
            "depth": tree.depths,
            "rank": tree.ranks,
            "value": tree.values,
            "survive": found.survive,
        },
        "batches": [_batch(batch) for batch in found.batches],
        "measured": _measured(found, basis),
    }
    return {name: _short(value) for name, value in answer.items()}


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(item) for item in value]
    return short(value)


def _promised(promise: Promise) -> dict[str, Any]:
    return {"size": promise.size, "length": promise.length, "ms": promise.milliseconds}


def _curve(decision: SizeDecision) -> dict[str, Any]:
    return {
        "sizes": decision.sizes,
        "lengths": decision.expected_lengths,
        "ms": decision.estimated_ms,
        "chosen": decision.chosen,
    }


def _decided(decision: SizeDecision) -> dict[str, Any]:
    return {**_curve(decision), "prunes": decision.prunes}


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "rows": batch.rows,
        "prunes": batch.chosen.prunes,
        **{
            name: _promised(getattr(batch, name))
            for name in ("chosen", "unpruned", "plain", "fixed")
        },
    }


def _measured(found: Forecast, basis: Basis) -> list[tuple[float, float]]:
    """(nodes a row, milliseconds) of unpruned steps that a measured table holds."""
    rows, costs = found.settings.rows, basis.machine.costs
    late, draft = dict(costs.late), dict(costs.draft)
    return [
        (
            (tokens - rows) / rows,
            time + late[tokens] + (draft.get(rows, 0.0) if tokens > rows else 0.0),
        )
        for tokens, time in costs.early
        if tokens >= rows and tokens in late and (tokens == rows or rows in draft)
    ]


# --- without a server --------------------------------------------------------------------------

AXES: dict[str, Sequence[Any]] = {
    "rows": (1, 2, 4, 8, 16, 32),
    "accuracy": (None, 0.2, 0.4, 0.6, 0.8, 1.0),
    "prune": ("pays", "always", "never"),
}
"""Settings that can be moved on a page without a server, and their values there; None is the
preset's own."""


def table(preset: str, traces: Path = settings.TRACES) -> dict[str, Any]:
    """All answers of `plan` that a page without a server can give for a preset.

    ``answers`` go through the places of the grid in the order of ``axes``, the last axis fastest.
    """
    answers = [
        plan(
            preset,
            {n: value for n, value in zip(AXES, place, strict=True) if value is not None},
            traces=traces,
        )
        for place in product(*AXES.values())
    ]
    source = {name: answers[0][name] for name in ("kind", "about")}  # the same in all
    plain = [{n: value for n, value in answer.items() if n not in source} for answer in answers]
    return {**source, "axes": AXES, "answers": plain}
