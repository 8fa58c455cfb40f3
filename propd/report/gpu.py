"""What a report of a GPU asks, stage by stage: the machine, parity, and the full comparison."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

from propd.benchmark.plan import PLAIN, BenchPlan
from propd.benchmark.prompts import PROMPTS
from propd.report.machine import this_machine
from propd.report.stages import Outcome, Stage, Tell

if TYPE_CHECKING:
    import torch

    from propd.benchmark.figures import Group
    from propd.engine import Engine

METHODS = (PLAIN, "bpd", "medusa", "propd-paper", "propd", "propd-static", "propd-unpruned")
TREES = METHODS[1:]
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
PARITY_BATCHES = (1, 8)
AGREES = 1e-3
"""Largest difference of a logit to `transformers`, over the largest logit, that is rounding."""


@dataclass(frozen=True)
class GpuPlan:
    """The question that a report answers."""

    model: str
    heads: str | None
    device: str
    device_map: str | None
    weights: str
    half: str
    """dtype of the comparison and of the report of near-ties; auto is the checkpoint's own."""
    batch_sizes: tuple[int, ...]
    prompts: tuple[tuple[str, str], ...]
    """(category, text) of the comparison."""
    max_new_tokens: int
    parity_prompts: int
    """How many of them are read for parity."""
    parity_tokens: int
    smoke: bool = False
    """Whether it is only to see that the command works."""
    one_read: bool = False
    """Whether the loop that reads once a step is asked for."""


class Engines:
    """At most one loaded engine: two copies of a large model would not fit."""

    def __init__(self, plan: GpuPlan, load: Callable[..., Engine]) -> None:
        self._plan, self._load = plan, load
        self._asked: tuple[str, str] | None = None
        self._engine: Engine | None = None

    def get(self, dtype: str, weights: str, tell: Tell) -> Engine:
        """An engine of this dtype and these weights; any other is forgotten first."""
        if self._asked != (dtype, weights) or self._engine is None:
            self.forget()
            plan = self._plan
            self._engine = self._load(
                plan.model, heads=plan.heads, dtype=dtype, device=plan.device, weights=weights,
                numerics="fast", report=tell, device_map=plan.device_map,
                one_read=plan.one_read,
            )  # fmt: skip
            self._asked = (dtype, weights)
        return self._engine

    def forget(self) -> None:
        """Let the engine go."""
        from propd.benchmark.run import give_back_memory

        self._engine = self._asked = None
        give_back_memory()


def stages_of(plan: GpuPlan, engines: Engines) -> list[Stage]:
    """All stages, the quick and the telling ones first."""
    runs = sum(-(-len(plan.prompts) // size) for size in PARITY_BATCHES) * len(TREES)
    parity = plan.parity_prompts * (1 + len(TREES)) * plan.parity_tokens
    batches = [
        Stage(f"batch {size}", _groups(plan, size) * len(METHODS), _batch(plan, engines, size))
        for size in plan.batch_sizes
    ]
    return [
        Stage("machine", 1, lambda tell: _machine(plan)),
        Stage("layers in float32", max(1.0, 0.01 * runs), _layers(plan, engines)),
        Stage("parity in float32", 1.5 * parity, _parity(plan, engines, "float32")),
        Stage("parity in half precision", parity, _parity(plan, engines, plan.half)),
        *batches,
        Stage("transformers", 2 * _groups(plan, 1), _transformers(plan, engines)),
    ]


def _groups(plan: GpuPlan, size: int) -> float:
    """Steps that a method takes for all prompts, more or less."""
    return float(-(-len(plan.prompts) // size) * plan.max_new_tokens)


def _machine(plan: GpuPlan) -> dict[str, Any]:
    from propd.benchmark.bandwidth import read_bandwidth
    from propd.models.room import devices_here

    speeds = {str(device): round(read_bandwidth(device)) for device in devices_here()}
    return {**asdict(this_machine()), "bandwidth": speeds}


def _layers(plan: GpuPlan, engines: Engines) -> Callable[[Tell], dict[str, Any]]:
    """The engine's layers against those of `transformers`, one prompt, all positions."""

    def run(tell: Tell) -> dict[str, Any]:
        import torch

        engine = engines.get("float32", "dense", tell)
        ids = engine.encode(plan.prompts[0][1])
        with torch.inference_mode():
            ours = _read(engine, ids)
            theirs = _transformers_logits(plan, engine, ids)
        gap, size = float((ours - theirs).abs().max()), float(theirs.abs().max())
        same = int((ours.argmax(-1) == theirs.argmax(-1)).sum())
        return {
            "positions": len(ids), "same_choice": same, "largest_difference": gap,
            "largest_logit": size, "agrees": gap <= AGREES * size,
        }  # fmt: skip

    return run


def _read(engine: Engine, ids: Sequence[int]) -> torch.Tensor:
    """(T, V) logits on the host."""
    backbone = engine.backbone
    hidden = backbone.read_all(ids, backbone.new_cache(1, len(ids)))
    return backbone.logits(backbone.final_norm(hidden)).float().cpu()


def _transformers_logits(plan: GpuPlan, engine: Engine, ids: Sequence[int]) -> torch.Tensor:
    import torch

    from propd.benchmark.peers import Common
    from propd.models.sources import resolve

    common = Common.of(engine, resolve(plan.model).path, len(ids))
    model = common.transformer
    logits: torch.Tensor = model(torch.tensor([list(ids)], device=model.device)).logits[0]
    return logits.float().cpu()


def _parity(plan: GpuPlan, engines: Engines, dtype: str) -> Callable[[Tell], dict[str, Any]]:
    """Every method against plain decoding, text by text; near-ties told apart."""

    def run(tell: Tell) -> dict[str, Any]:
        from propd.benchmark.lossless import verify_lossless

        weights = "dense" if dtype == "float32" else plan.weights
        engine = engines.get(dtype, weights, tell)
        prompts = [text for _, text in plan.prompts[: plan.parity_prompts]]
        sizes = [size for size in PARITY_BATCHES if size <= len(prompts)]
        found = verify_lossless(engine, prompts, TREES, sizes, plan.parity_tokens, tell)
        about = {"dtype": engine.dtype, "weights": engine.weights, "batch_sizes": sizes}
        return {**about, "prompts": len(prompts), "tokens": plan.parity_tokens, **found.to_json()}

    return run


def _batch(plan: GpuPlan, engines: Engines, size: int) -> Callable[[Tell], dict[str, Any]]:
    """All methods at one batch size."""
    return lambda tell: _bench(plan, engines, METHODS, size, (), tell)


def _transformers(plan: GpuPlan, engines: Engines) -> Callable[[Tell], dict[str, Any]]:
    """Plain decoding beside `transformers`, so that nobody has to believe our baseline."""
    return lambda tell: _bench(plan, engines, (PLAIN,), 1, ("transformers",), tell)


def _bench(
    plan: GpuPlan,
    engines: Engines,
    methods: Sequence[str],
    size: int,
    peers: Sequence[str],
    tell: Tell,
) -> dict[str, Any]:
    from propd.benchmark.command import about
    from propd.benchmark.peers import make_peers
    from propd.benchmark.run import run_bench
    from propd.errors import NoRoom
    from propd.models.sources import resolve

    engine = engines.get(plan.half, plan.weights, tell)
    asked = BenchPlan(
        tuple(methods), tuple(make_peers(peers, None, None)), (size,), plan.prompts,
        plan.max_new_tokens,
    )  # fmt: skip
    found = run_bench(engine, asked, resolve(plan.model).path, tell)
    if not found.groups:
        raise NoRoom("; ".join(found.skipped) or "Nothing ran.")
    return {"about": about(engine, asked, found), "groups": list(map(astuple, found.groups))}


def groups_of(outcomes: Sequence[Outcome], begins: str) -> list[Group]:
    """The groups of the stages whose name begins so."""
    from propd.benchmark.figures import Group

    names = [item.name for item in fields(Group)]
    rows = (
        row
        for outcome in outcomes
        if outcome.found is not None and outcome.name.startswith(begins)
        for row in outcome.found["groups"]
    )
    return [Group.read(dict(zip(names, row, strict=True))) for row in rows]


def about_of(outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
    """How the first batch that ran was made; empty if none did."""
    found = (outcome.found for outcome in outcomes if outcome.name.startswith("batch "))
    return next((told["about"] for told in found if told is not None), {})


def many_prompts(count: int) -> list[tuple[str, str]]:
    """So many different prompts, (kind, text): our own, then instructions by chance.

    The shipped heads were trained on answers to instructions from the same templates, so their
    guesses are better here than on prompts of strangers; --prompts FILE takes others.
    """
    from propd.training.seeds import draw_seed

    found = [("own", text) for text in PROMPTS[:count]]
    source, known = random.Random(0), set(PROMPTS)
    while len(found) < count:
        seed = draw_seed(source, ())
        if seed.text not in known:
            known.add(seed.text)
            found.append((seed.kind, seed.text))
    return found
