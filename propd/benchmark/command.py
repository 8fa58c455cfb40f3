"""The command `bench`: run a plan, print its table, and keep what was found."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from propd.benchmark.plan import BenchPlan
from propd.benchmark.plots import write_plots
from propd.benchmark.results import Results, write_results
from propd.benchmark.run import Bench, run_bench
from propd.benchmark.table import page
from propd.engine import Engine


def bench(
    engine: Engine,
    plan: BenchPlan,
    folder: Path,
    out: Path | None,
    report: Callable[[str], None],
) -> str:
    """Run a plan and return its Markdown. folder: of the model; out: for the files, if any.

    If it is stopped, the files tell what was finished.
    """
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    found = Bench()
    try:
        run_bench(engine, plan, folder, report, found)
    except KeyboardInterrupt:
        found.skipped.append("the rest: the run was stopped")
        if found.groups:
            _keep(Results.of(about(engine, plan, found), found.groups), out, report)
        raise
    results = Results.of(about(engine, plan, found), found.groups)
    _keep(results, out, report)
    return page(results)


def _keep(results: Results, out: Path | None, report: Callable[[str], None]) -> None:
    if out is None:
        return
    write_results(out / "results.json", results)
    (out / "table.md").write_text(page(results) + "\n", encoding="utf-8")
    write_plots(out / "plots.html", results)
    report(f"results.json, table.md and plots.html are in {out}")


def about(engine: Engine, plan: BenchPlan, found: Bench) -> dict[str, Any]:
    """How the results were made, as JSON has it."""
    return {
        **engine.describe(),
        "command": shlex.join(sys.argv[1:]),
        "prompts": len(plan.prompts),
        "max_new_tokens": plan.max_new_tokens,
        "batch_sizes": list(plan.batch_sizes),
        "repeats": plan.repeats,
        "peers": found.peers,
        "skipped": found.skipped,
        "cache_bytes": {str(batch): size for batch, size in found.cache_bytes.items()},
        "peak_bytes": found.peak_bytes,
        "bandwidth": round(found.bandwidth),
        "pass_bytes": engine.backbone.pass_bytes,
    }
