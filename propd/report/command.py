"""The command `doctor --gpu`: run the stages, write the report, say what failed."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from propd.benchmark.checkpoint import key_of
from propd.benchmark.plan import check_enough
from propd.benchmark.prompts import read_tagged
from propd.command_door import report
from propd.config_options import whole_numbers
from propd.errors import InvalidRequest
from propd.report.gpu import Engines, GpuPlan, many_prompts, stages_of
from propd.report.stages import Outcome, Run
from propd.requests import check_rows

SMOKE = {"limit": 2, "max_new_tokens": 8, "batch_sizes": "1,2"}
FULL = {"limit": 64, "max_new_tokens": 128, "batch_sizes": "1,2,4,8,16,32"}
PARITY_PROMPTS, PARITY_TOKENS = 16, 96


def run_report(options: argparse.Namespace) -> int:
    """0 when every stage is done and every text is plain decoding's or a near-tie, else 1."""
    import torch

    if not (torch.cuda.is_available() or options.smoke or options.device == "cpu"):
        raise InvalidRequest(
            "PyTorch sees no GPU here; run this on a machine with one, or add --smoke to try the "
            "whole command small on the CPU."
        )
    plan = plan_of(options)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    about = {
        "command": shlex.join(sys.argv[1:]),
        "recorded": date.today().isoformat(),
        "model": plan.model,
        "smoke": plan.smoke,
        "settings": {**asdict(plan), "prompts": len(plan.prompts)},
    }
    from propd.library import load

    engines = Engines(plan, load)
    run = Run(out / "report.json", about, _key(plan), report)
    outcomes = run.all(stages_of(plan, engines), lambda name: _write_page(out))
    _write_page(out)
    report(f"report.json and report.html are in {out}")
    return _tell(outcomes)


def plan_of(options: argparse.Namespace) -> GpuPlan:
    """What the options ask for, checked before anything is loaded."""
    usual = SMOKE if options.smoke else FULL
    told: dict[str, Any] = {name: getattr(options, name) or value for name, value in usual.items()}
    sizes = tuple(dict.fromkeys(whole_numbers(str(told["batch_sizes"]))))
    for size in sizes:
        check_rows(size)
    limit, tokens = int(told["limit"]), int(told["max_new_tokens"])
    for name, value in (("limit", limit), ("max-new-tokens", tokens)):
        if value < 1:
            raise InvalidRequest(f"--{name} is {value}; give 1 or more.")
    given = options.prompts
    prompts = read_tagged(given, limit) if given else many_prompts(limit)
    check_enough(sizes, len(prompts), given)
    return GpuPlan(
        model=options.model, heads=options.heads, device=options.device,
        device_map=options.device_map, weights=options.weights, half=_half(options),
        batch_sizes=sizes, prompts=tuple(prompts), max_new_tokens=tokens,
        parity_prompts=min(limit, PARITY_PROMPTS), parity_tokens=min(tokens, PARITY_TOKENS),
        smoke=options.smoke, one_read=options.one_read,
    )  # fmt: skip


def _half(options: argparse.Namespace) -> str:
    """The dtype asked for; auto is half precision on a GPU and must be named on a CPU."""
    import torch

    if options.dtype != "auto":
        return str(options.dtype)
    return "auto" if torch.cuda.is_available() and options.device != "cpu" else "bfloat16"


def _key(plan: GpuPlan) -> str:
    from propd.report.machine import this_machine

    return key_of(plan=asdict(plan), machine=asdict(this_machine()))


def _write_page(out: Path) -> None:
    """The page of what the file says: as it will be read by whom it is sent to."""
    from propd.report.checks import read_report
    from propd.report.page import page_of

    about, outcomes = read_report(out / "report.json")
    (out / "report.html").write_text(page_of(about, outcomes), encoding="utf-8")


def _tell(outcomes: list[Outcome]) -> int:
    bad = [outcome.name for outcome in outcomes if outcome.state == "failed" or _wrong(outcome)]
    done = sum(outcome.state == "done" for outcome in outcomes)
    tail = f"; look at {', '.join(bad)}" if bad else ""
    print(f"{done} of {len(outcomes)} stages done{tail}.")
    return 1 if bad else 0


def _wrong(outcome: Outcome) -> bool:
    """Whether a stage that is done found texts or logits that must not be."""
    found: Any = outcome.found or {}
    return bool(found.get("different", 0)) or found.get("agrees") is False
