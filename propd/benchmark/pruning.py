"""What early pruning is worth by prune layer and k: the same trees with and without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from propd.benchmark.sizes import milliseconds_of, step_by_step, tokens_of
from propd.config_options import UNPRUNED
from propd.core import DecodingConfig, StepEvent
from propd.engine import Engine
from propd.errors import InvalidRequest
from propd.methods import settled
from propd.recording import asked

Cut = tuple[int, int | None]
"""(prune layer, k of the rule ``topk``); None: the rule ``budget``."""


@dataclass(frozen=True)
class PruningResult:
    """What one prune layer and k wrote; prefills left out."""

    cut: Cut | None
    """None: nothing is pruned."""
    tokens: int
    milliseconds: float
    steps: int
    """Steps, counted once for each row in them."""
    drafted: int
    pruned: int

    @property
    def tokens_per_pass(self) -> float:
        """Of a row."""
        return self.tokens / max(self.steps, 1)

    @property
    def speed(self) -> float:
        """Tokens a millisecond."""
        return self.tokens / self.milliseconds if self.milliseconds else 0.0

    @property
    def pruned_share(self) -> float:
        """Of the drafted nodes."""
        return self.pruned / max(self.drafted, 1)


def compare_pruning(
    engine: Engine,
    prompts: Sequence[str],
    rows: int,
    config: DecodingConfig,
    layers: Sequence[int],
    tops: Sequence[int],
    report: Callable[[str], None],
) -> list[PruningResult]:
    """Every early layer with every k and with ``budget``, and no pruning, side by side.

    config: a pruning method, whose tree size holds for all. layers: of the heads; () for all they
    have.
    """
    if engine.heads is None:
        raise InvalidRequest("Early pruning needs heads and this model has none; give --heads.")
    config, found = settled(config), engine.heads.shape.prune_layers
    ways: dict[Cut | None, DecodingConfig] = {
        (layer, k): replace(
            config,
            prune_layer=layer,
            prune_top_k=k,
            prune_rule="budget" if k is None else "topk",
            prune_when="always",
        )
        for layer in layers or found
        for k in (*tops, None)
    }
    ways = {None: replace(config, method=UNPRUNED[config.method]), **ways}
    told: dict[Cut | None, list[StepEvent]] = {cut: [] for cut in ways}
    engine.warm_up(rows)
    groups = [prompts[at : at + rows] for at in range(0, len(prompts), rows)]
    for number, group in enumerate(groups, start=1):
        streams = {cut: engine.stream_batch(group, way) for cut, way in ways.items()}
        for cut, events in step_by_step(streams).items():
            told[cut] += events
        report(f"prompts {min(number * rows, len(prompts))}/{len(prompts)}")
    return [_sum_up(cut, events) for cut, events in told.items()]


def _sum_up(cut: Cut | None, events: Sequence[StepEvent]) -> PruningResult:
    return PruningResult(
        cut=cut,
        tokens=tokens_of(events),
        milliseconds=milliseconds_of(events),
        steps=len(events),
        drafted=sum(event.drafted for event in events),
        pruned=sum(event.pruned for event in events),
    )


def pruning_table(results: Sequence[PruningResult]) -> str:
    """A Markdown table; what is kept and the speed are ratios to no pruning."""
    whole = results[0]
    lines = [
        f"Without pruning: {whole.tokens_per_pass:.2f} tokens per pass of "
        f"{whole.drafted / max(whole.steps, 1):.1f} drafted nodes.",
        "",
        "| prune layer | k | nodes pruned | tokens per pass kept | speed |",
        "| --- | --- | --- | --- | --- |",
    ]
    for result in results[1:]:
        layer, k = result.cut or (0, 0)
        lines.append(
            f"| {layer} | {k or 'budget'} | {result.pruned_share:.0%} | "
            f"{result.tokens_per_pass / whole.tokens_per_pass:.1%} | "
            f"{result.speed / whole.speed:.2f} |"
        )
    best = max(results, key=lambda result: result.speed)
    where = "no pruning" if best.cut is None else f"layer {best.cut[0]}, {best.cut[1] or 'budget'}"
    return "\n".join([*lines, "", f"Fastest here: {where}."])


def pruning_json(
    engine: Engine, config: DecodingConfig, rows: int, results: Sequence[PruningResult]
) -> dict[str, object]:
    """The results with all that is needed to read the numbers."""
    told = [{**vars(r), "tokens_per_pass": round(r.tokens_per_pass, 4)} for r in results]
    return {**engine.describe(), "config": asked(config), "batch_size": rows, "results": told}
