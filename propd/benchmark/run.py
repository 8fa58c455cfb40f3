"""Methods and peers side by side: one process, the same weights, group after group in turn."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
import torch

from propd.benchmark.bandwidth import read_bandwidth
from propd.benchmark.figures import MIXED, Group, figures_of
from propd.benchmark.peers import Common, Peer
from propd.benchmark.plan import PLAIN, BenchPlan
from propd.benchmark.runners import Answer, Method, Runner
from propd.engine import Engine
from propd.errors import NoRoom
from propd.models.device_map import DeviceMap

WARM_UP_TOKENS = 8
MEMORY_ERRORS = (torch.OutOfMemoryError, NoRoom)
"""What a run raises that the device has no memory for, while it runs or before."""
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Prompt:
    """A prompt as token ids."""

    place: int
    """Among all prompts."""
    category: str
    token_ids: tuple[int, ...]


@dataclass
class Bench:
    """Everything that a benchmark found."""

    groups: list[Group] = field(default_factory=list)
    peers: dict[str, str] = field(default_factory=dict)
    """What each peer is: program, version, weights."""
    skipped: list[str] = field(default_factory=list)
    """What did not run, and why; a sentence each."""
    cache_bytes: dict[int, int] = field(default_factory=dict)
    """By batch size: the largest cache that one of our methods decoded in."""
    peak_bytes: int = 0
    """Most memory of the process, the peers' copies of the weights included."""
    bandwidth: float = 0.0
    """Bytes a second that this machine reads, measured before and after all groups."""


def run_bench(
    engine: Engine,
    plan: BenchPlan,
    folder: Path,
    report: Callable[[str], None],
    bench: Bench | None = None,
) -> Bench:
    """Run a plan. folder: the model's own, which peers load their weights from.

    bench: filled group by group, so that whoever stops the run has what was finished.
    """
    bench = bench or Bench()
    prompts = [
        Prompt(place, category, tuple(engine.encode(text)))
        for place, (category, text) in enumerate(plan.prompts)
    ]
    room = max(len(prompt.token_ids) for prompt in prompts) + plan.max_new_tokens
    peers = _open_peers(plan.peers, Common.of(engine, folder, room), bench, report)
    methods = [Method(engine, name) for name in plan.methods]
    plain: dict[int, Sequence[int]] = {}
    bench.bandwidth = read_bandwidth(engine.backbone.device)
    for batch in plan.batch_sizes:
        if batch > len(prompts):
            _skip(bench, f"batch {batch}: there are {len(prompts)} prompts", report)
            continue
        groups = groups_of(prompts, batch)
        runners: list[Runner] = [*methods, *_that_can(peers, batch, bench, report)]
        report(f"batch {batch}: warm-up")
        runners = _warm_up(runners, groups, batch, bench, report)
        if all(runner.name != PLAIN for runner in runners):
            continue
        if why := _run_all(runners, groups, batch, plan, plain, bench, report):
            _skip(bench, f"batch {batch}, the rest: {why}", report)
            give_back_memory()
    bench.bandwidth = max(bench.bandwidth, read_bandwidth(engine.backbone.device))
    bench.peak_bytes = peak_bytes(engine.backbone.device_map)
    return bench


def _run_all(
    runners: Sequence[Runner],
    groups: Sequence[Sequence[Prompt]],
    batch: int,
    plan: BenchPlan,
    plain: dict[int, Sequence[int]],
    bench: Bench,
    report: Callable[[str], None],
) -> str | None:
    """A batch size, group by group; why it stopped early, if memory ran out."""
    try:
        for group in _run_batch(runners, groups, batch, plan, plain, report):
            bench.groups.append(group)
        methods = [runner for runner in runners if isinstance(runner, Method)]
        bench.cache_bytes[batch] = _largest_cache(methods, groups, plan.max_new_tokens)
    except MEMORY_ERRORS as error:
        return _no_memory(error)
    return None


def groups_of(prompts: Sequence[Prompt], size: int) -> list[list[Prompt]]:
    """The prompts in their order, so many a group; the last may have fewer."""
    return [list(prompts[start : start + size]) for start in range(0, len(prompts), size)]


def order_of(count: int, turn: int) -> list[int]:
    """Who runs when in a turn: 0 to count - 1, each once.

    Over 2 x count turns everybody stands at every place equally often and follows everybody else
    equally often (a Williams design: 0, 1, -1, 2, -2, ..., moved on by one each turn, and then the
    other way round).
    """
    zigzag = [(step + 1) // 2 if step % 2 else -(step // 2) for step in range(count)]
    line = [(place + turn) % count for place in zigzag]
    return line[::-1] if turn // count % 2 else line


def _run_batch(
    runners: Sequence[Runner],
    groups: Sequence[Sequence[Prompt]],
    batch: int,
    plan: BenchPlan,
    plain: dict[int, Sequence[int]],
    report: Callable[[str], None],
) -> Iterator[Group]:
    """All groups of a batch size, as often as the plan says.

    plain: the first text of plain decoding by prompt; those of new prompts are added.
    """
    for repeat in range(plan.repeats):
        for number, group in enumerate(groups):
            turn = repeat * len(groups) + number
            order = order_of(len(runners), turn)
            answers = {index: _timed(runners[index], group, plan) for index in order}
            first, _ = answers[[runner.name for runner in runners].index(PLAIN)]
            for prompt, text in zip(group, first.token_ids, strict=True):
                plain.setdefault(prompt.place, list(text))
            for index, runner in enumerate(runners):
                answer, seconds = answers[index]
                yield Group(
                    name=runner.name, batch=batch, repeat=repeat, number=number,
                    place=order.index(index), seconds=seconds, **_told(group, answer, plain),
                )  # fmt: skip
            report(f"batch {batch}: group {turn + 1}/{plan.repeats * len(groups)}")


def _timed(runner: Runner, group: Sequence[Prompt], plan: BenchPlan) -> tuple[Answer, float]:
    began = perf_counter()
    answer = runner.answer([prompt.token_ids for prompt in group], plan.max_new_tokens)
    return answer, round(perf_counter() - began, 6)


def _told(
    group: Sequence[Prompt], answer: Answer, plain: Mapping[int, Sequence[int]]
) -> dict[str, Any]:
    """The fields of `Group` that prompts and answer tell."""
    categories = {prompt.category for prompt in group}
    first = answer.first_seconds
    pairs = zip(group, answer.token_ids, strict=True)
    return {
        "category": categories.pop() if len(categories) == 1 else MIXED,
        "prompts": len(group),
        "identical": sum(list(text) == plain[prompt.place] for prompt, text in pairs),
        "tokens": sum(map(len, answer.token_ids)),
        "first_seconds": None if first is None else round(first, 6),
        **(figures_of(answer.events) if answer.events else {}),
    }


def _warm_up(
    runners: Sequence[Runner],
    groups: Sequence[Sequence[Prompt]],
    batch: int,
    bench: Bench,
    report: Callable[[str], None],
) -> list[Runner]:
    """Those that have the memory for a batch.

    A few tokens of each size of group: a dynamic method measures costs at a size it has not met.
    The last group may be smaller, and those two seconds would be counted.
    """
    ready = []
    for runner in runners:
        why = None
        try:
            for group in {len(group): group for group in groups}.values():
                runner.answer([prompt.token_ids for prompt in group], WARM_UP_TOKENS)
            ready.append(runner)
        except MEMORY_ERRORS as error:
            why = _no_memory(error)
        if why:
            _skip(bench, f"{runner.name}, batch {batch}: {why}", report)
            give_back_memory()
    return ready


def _no_memory(error: BaseException) -> str:
    return str(error).rstrip(".") if isinstance(error, NoRoom) else "out of memory"


def give_back_memory() -> None:
    """Let what a step that ran out of memory left behind be free again."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _open_peers(
    peers: Sequence[Peer], common: Common, bench: Bench, report: Callable[[str], None]
) -> list[Peer]:
    """Those that can run here, loaded."""
    there = []
    for peer in peers:
        if reason := peer.available():
            _skip(bench, f"{peer.name}: {reason}", report)
            continue
        report(f"loading {peer.name}")
        bench.peers[peer.name] = peer.load(common)
        there.append(peer)
    return there


def _that_can(
    peers: Sequence[Peer], batch: int, bench: Bench, report: Callable[[str], None]
) -> list[Peer]:
    """Those that can answer so many prompts together."""
    for peer in peers:
        if peer.most_rows < batch:
            _skip(bench, f"{peer.name}, batch {batch}: it answers {peer.most_rows} at once", report)
    return [peer for peer in peers if peer.most_rows >= batch]


def _skip(bench: Bench, why: str, report: Callable[[str], None]) -> None:
    bench.skipped.append(why)
    report(f"skipped: {why}")


def _largest_cache(
    methods: Sequence[Method], groups: Sequence[Sequence[Prompt]], tokens: int
) -> int:
    asked = [[prompt.token_ids for prompt in group] for group in groups]
    most = max(asked, key=lambda ids: len(ids) * (max(map(len, ids)) + tokens))
    return max(method.cache_bytes(most, tokens) for method in methods)


def peak_bytes(device_map: DeviceMap) -> int:
    """Most memory held so far: on the GPUs, if layers are on some, else by this process.

    Where the system does not say, what the process holds now.
    """
    gpus = {device for device in (device_map.home, *device_map.layers) if device.type == "cuda"}
    if gpus:
        return sum(torch.cuda.max_memory_allocated(gpu) for gpu in gpus)
    memory = psutil.Process().memory_info()
    try:
        line = next(li for li in STATUS.read_text().splitlines() if li.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return int(getattr(memory, "peak_wset", memory.rss))
