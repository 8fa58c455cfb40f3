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
from propd.planning.budget import Share
from propd.planning.cost import LineCost
from propd.planning.guesser import DEEPEST
from propd.recording import asked

Cut = tuple[int, int | float | None]
"""Prune layer, and k of the rule ``topk``, or the share of the nodes that stays; None: the rule
``budget``."""


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
    keep: float | None = None,
) -> list[PruningResult]:
    """Every early layer with every k and with ``budget``, and no pruning, side by side.

    config: a pruning method, whose tree size holds for all. layers: of the heads; () for all they
    have. keep: instead, after every layer the best share of the nodes (`Share`).
    """
    if engine.heads is None:
        raise InvalidRequest("Early pruning needs heads and this model has none; give --heads.")
    config, found = settled(config), engine.heads.shape.prune_layers
    ways: dict[Cut | None, DecodingConfig] = {
        (layer, k): replace(
            config,
            prune_layer=layer,
            prune_top_k=k if isinstance(k, int) else None,
            prune_rule="budget" if k is None else "topk",
            prune_when="always",
        )
        for layer in layers or found
        for k in ((*tops, None) if keep is None else (keep,))
    }
    ways = {None: replace(config, method=UNPRUNED[config.method]), **ways}
    told: dict[Cut | None, list[StepEvent]] = {cut: [] for cut in ways}
    engine.warm_up(rows)
    groups = [prompts[at : at + rows] for at in range(0, len(prompts), rows)]
    for number, group in enumerate(groups, start=1):
        streams = {
            cut: engine.stream_batch(group, way, pruner=_own_pruner(cut))
            for cut, way in ways.items()
        }
        for cut, events in step_by_step(streams).items():
            told[cut] += events
        report(f"prompts {min(number * rows, len(prompts))}/{len(prompts)}")
    return [_sum_up(cut, events) for cut, events in told.items()]


def _own_pruner(cut: Cut | None) -> Share | None:
    """For a share of the nodes; the other rules are settings."""
    if cut is None or not isinstance(cut[1], float):
        return None
    return Share(LineCost(), DEEPEST, cut[1])  # which asks no costs


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
        layer, rule = _told(result.cut or (0, 0))
        lines.append(
            f"| {layer} | {rule} | {result.pruned_share:.0%} | "
            f"{result.tokens_per_pass / whole.tokens_per_pass:.1%} | "
            f"{result.speed / whole.speed:.2f} |"
        )
    best = max(results, key=lambda result: result.speed)
    where = "no pruning" if best.cut is None else "layer {}, {}".format(*_told(best.cut))
    return "\n".join([*lines, "", f"Fastest here: {where}."])


def _told(cut: Cut) -> tuple[int, str]:
    layer, k = cut
    return layer, f"best {k:.0%}" if isinstance(k, float) else str(k or "budget")


def pruning_json(
    engine: Engine, config: DecodingConfig, rows: int, results: Sequence[PruningResult]
) -> dict[str, object]:
    """The results with all that is needed to read the numbers."""
    told = [{**vars(r), "tokens_per_pass": round(r.tokens_per_pass, 4)} for r in results]
    return {**engine.describe(), "config": asked(config), "batch_size": rows, "results": told}
