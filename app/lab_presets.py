"""Where the Lab's sliders can begin: measured here, told by data sheets, or by a recorded run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from app import settings
from app.strings import lab as words
from propd.errors import InvalidRequest
from propd.forecast.basis import Basis, basis_from_json
from propd.forecast.datasheet import (
    A100,
    BANDWIDTH_USED,
    FLOPS_USED,
    H100,
    RTX_4090,
    T4,
    VICUNA_7B,
    Device,
    Roofline,
)
from propd.forecast.observed import observe
from propd.heads.published import acceptance_prior
from propd.planning.cost_file import load_costs
from propd.trace import Trace, load

MEASURED = ("cpu-2", "cpu-2-w4a8", "cpu-1", "cpu-1-w4a8")
"""Each has a file of costs in `settings.LAB`."""
SHEETS: dict[str, Device] = {"h100": H100, "a100": A100, "rtx-4090": RTX_4090, "t4": T4}
FIRST = "cpu-2"
COMMAND = "OMP_NUM_THREADS={threads} python -m propd costs --rows {rows} --sweeps {sweeps}"
DENSE = " --dtype float32 --weights dense"
"""What measured a cost table."""
RUN = "run."
"""A recorded run of the page is called so, with the name of its file."""


@dataclass(frozen=True)
class Preset:
    """A basis, and where it comes from."""

    kind: Literal["measured", "estimated", "run"]
    basis: Basis
    about: dict[str, Any]
    """What the page tells of its source."""


def _json(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((settings.LAB / name).read_text(encoding="utf-8"))
    return data


@lru_cache
def measured(name: str) -> Preset:
    """A machine whose times were measured, with the shipped heads."""
    heads, file = _json("heads.json"), f"costs-{name}.json"
    data = {**heads, "costs": _json(file), "cost_layer": heads["layer"]}
    costs = data["costs"]["about"]
    about = {
        **{one: costs[one] for one in ("model", "device", "threads", "recorded", "sweeps")},
        "numbers": costs["dtype"] if costs["weights"] == "dense" else costs["weights"],
        "machine": f"{costs['threads']} CPU {'core' if costs['threads'] == 1 else 'cores'}",
        "command": COMMAND.format(**costs) + (DENSE if costs["weights"] == "dense" else ""),
        "heads": {n: heads["about"][n] for n in ("model", "prompts", "recorded")},
        "steps": heads["steps"],
    }
    load_costs(settings.LAB / file)  # its own words, should the file be broken
    return Preset("measured", basis_from_json(data), about)


@lru_cache
def estimated(name: str) -> Preset:
    """A device of a data sheet with a published model and heads, and the shipped early heads."""
    line = Roofline(SHEETS[name], VICUNA_7B)
    heads = measured(FIRST).basis
    basis = Basis(
        machine=line.machine(heads.layer),
        acceptance=acceptance_prior("lmsys/vicuna-7b-v1.3", VICUNA_7B.heads),
        cuts=heads.cuts,
        layer=heads.layer,
        top_k=heads.top_k,
    )
    about = {
        "device": line.device.name,
        "model": line.model.name,
        "dtype": "float16",
        "gigabytes": 2 * line.model.parameters / 1e9,
        "gigabytes_s": line.device.gigabytes_s,
        "teraflops": line.device.teraflops,
        "billions": line.model.parameters / 1e9,
        "bandwidth_used": BANDWIDTH_USED,
        "flops_used": FLOPS_USED,
        "floor_ms": line.floor_ms,
        "slope_ms": line.slope_ms,
        "rise": line.rise,
    }
    return Preset("estimated", basis, about)


def of_trace(trace: Trace) -> Preset:
    """What a run tells; what it does not is taken from the first preset."""
    found = observe(trace.events, measured(FIRST).basis)
    header = trace.header
    about = {
        **{name: getattr(header, name) for name in ("model", "method", "dtype", "device")},
        **{name: getattr(header, name) for name in ("threads", "machine", "recorded")},
        "steps": found.steps,
        "tokens_per_pass": found.tokens_per_pass,
        "guesses": found.guesses,
        "taken": list(found.taken),
    }
    return Preset("run", found.basis, about)


@lru_cache(maxsize=32)
def of_file(path: Path) -> Preset:
    """A recorded run of the page."""
    return of_trace(load(path))


def find(name: str, traces: Path) -> Preset:
    """The preset of this name; traces: folder of recorded runs."""
    if name in MEASURED:
        return measured(name)
    if name in SHEETS:
        return estimated(name)
    # compared with what is there, so that no name leads out of the folder
    for path in traces.glob("*.json"):
        if name == RUN + path.stem:
            return of_file(path)
    known = ", ".join([*MEASURED, *SHEETS])
    raise InvalidRequest(words.NO_PRESET.format(given=name[:60], known=known, run=RUN))
