"""Measure how good the heads of the default model are, for the Lab (for developers).

`python -m app.record_lab [--prompts FILE] [--limit K]` runs the real engine with the fixed tree of
63 nodes, scored early at every prune layer and never pruned, so that nothing is missing from the
counts; it writes `assets/lab/heads.json`. Times come from `python -m propd costs`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import propd
from app import settings
from propd.benchmark.prompts import read_prompts
from propd.core import DecodingConfig, StepEvent
from propd.forecast.observed import find_acceptance, find_cuts

NEVER = 1_000_000
"""k so large that nothing is pruned."""
TOKENS = 64


def measure(engine: Any, prompts: Sequence[str]) -> dict[str, Any]:
    """Accuracy by depth and rank, and what pruning would leave, by layer and k."""
    shape, steps = engine.heads.shape, list[StepEvent]()
    for layer in shape.prune_layers:
        for done, prompt in enumerate(prompts, start=1):
            config = DecodingConfig(
                method="propd-static",
                max_new_tokens=TOKENS,
                prune_layer=layer,
                prune_top_k=NEVER,
                guesses="heads",
            )
            steps += [e for e in engine.stream(prompt, config) if e.kind == "decode"]
            print(f"layer {layer}: {done}/{len(prompts)}", file=sys.stderr)
    layers = engine.backbone.layer_count
    return {
        "layers": layers,
        "layer": shape.prune_layer,
        "top_k": shape.prune_top_k,
        "acceptance": find_acceptance(steps, shape.acceptance_table),
        "cuts": [asdict(cut) for cut in find_cuts(steps, layers)],
        "steps": len(steps),
    }


def main(arguments: Sequence[str], folder: Path = settings.LAB) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m app.record_lab")
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--of", default="of our own", help="what kind of prompts, in words")
    options = parser.parse_args(arguments)
    engine = propd.load(
        settings.MODEL, weights=settings.WEIGHTS, report=lambda line: print(line, file=sys.stderr)
    )
    prompts = read_prompts(options.prompts, options.limit)
    about = {
        **engine.describe(),
        "prompts": f"{len(prompts)} prompts {options.of}",
        "recorded": date.today().isoformat(),
    }
    body = {"about": about, **measure(engine, prompts)}
    path = folder / "heads.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body) + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {body['steps']} steps")


if __name__ == "__main__":
    main(sys.argv[1:])
