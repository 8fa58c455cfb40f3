"""Methods side by side: one process, the same weights, interleaved prompt by prompt."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from propd.core import RunStats
from propd.engine import Engine, Generation
from propd.methods import method_settings


@dataclass(frozen=True)
class MethodResult:
    """Sums of one method over all prompts."""

    method: str
    tokens: int
    seconds: float
    steps: int
    decoded_tokens: int
    drafted: int
    verified: int
    identical: int
    """Prompts with exactly the text of plain decoding."""
    prompts: int

    @property
    def tokens_per_second(self) -> float:
        """Total tokens over total seconds, prefill included."""
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_pass(self) -> float:
        """Mean acceptance length."""
        return self.decoded_tokens / self.steps if self.steps else 0.0


def run_benchmark(
    engine: Engine,
    methods: Sequence[str],
    prompts: Sequence[str],
    max_new_tokens: int,
    report: Callable[[str], None],
) -> list[MethodResult]:
    """Run every method on every prompt; plain decoding always runs, as the reference."""
    for name in methods:
        method_settings(name)
    names = list(dict.fromkeys(["autoregressive", *methods]))
    runs: dict[str, list[Generation]] = {name: [] for name in names}
    for name in names:  # warm-up, not counted
        engine.generate(prompts[0], method=name, max_new_tokens=8)
    for place, prompt in enumerate(prompts):
        for name in names:
            runs[name].append(engine.generate(prompt, method=name, max_new_tokens=max_new_tokens))
        report(f"prompt {place + 1}/{len(prompts)}")
    plain = [run.token_ids for run in runs["autoregressive"]]
    return [_sum_up(name, runs[name], plain) for name in names]


def _sum_up(
    name: str, runs: Sequence[Generation], plain: Sequence[tuple[int, ...]]
) -> MethodResult:
    def total(field: Callable[[RunStats], float]) -> float:
        return sum(field(run.stats) for run in runs)

    return MethodResult(
        method=name,
        tokens=int(total(lambda s: s.new_tokens)),
        seconds=total(lambda s: s.seconds),
        steps=int(total(lambda s: s.steps)),
        decoded_tokens=int(total(lambda s: s.decoded_tokens)),
        drafted=int(total(lambda s: s.drafted)),
        verified=int(total(lambda s: s.verified)),
        identical=sum(run.token_ids == other for run, other in zip(runs, plain, strict=True)),
        prompts=len(runs),
    )


def table(results: Sequence[MethodResult]) -> str:
    """A Markdown table; speeds are ratios to plain decoding, since machines differ."""
    plain = results[0].tokens_per_second
    names = "method", "tokens/s", "x plain", "tokens per pass", "drafted/step", "verified/step"
    lines = [f"| {' | '.join(names)} | same text |", "| --- |" + " --- |" * 6]
    for r in results:
        steps = max(r.steps, 1)
        lines.append(
            f"| {r.method} | {r.tokens_per_second:.1f} | {r.tokens_per_second / plain:.2f} | "
            f"{r.tokens_per_pass:.2f} | {r.drafted / steps:.1f} | {r.verified / steps:.1f} | "
            f"{r.identical}/{r.prompts} |"
        )
    return "\n".join(lines)


def write_results(
    folder: Path, engine: Engine, results: Sequence[MethodResult], max_new_tokens: int
) -> None:
    """Write results.json with all that is needed to read the numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    body = {
        **engine.describe(),
        "command": " ".join(sys.argv[1:]),
        "batch": 1,
        "max_new_tokens": max_new_tokens,
        "results": [vars(r) for r in results],
    }
    (folder / "results.json").write_text(json.dumps(body, indent=2) + "\n")
