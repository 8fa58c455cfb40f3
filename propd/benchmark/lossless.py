"""Is the text really that of plain decoding? Every method and batch size, row by row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from propd.benchmark.checkpoint import Checkpoint, key_of
from propd.core import DecodingConfig
from propd.engine import Engine
from propd.errors import InvalidRequest
from propd.recording import asked


@dataclass(frozen=True)
class Difference:
    """The first place where a text left plain decoding; what follows it is not judged."""

    method: str
    batch_size: int
    prompt: int
    position: int
    plain_token: int
    other_token: int
    gap: float
    """Plain decoding's logit of its own token over that of the other."""
    noise: float
    """How far the logits there move when the same text is read in another order of sums."""

    @property
    def near_tie(self) -> bool:
        """Whether noise alone can explain it: each of two logits may move by the noise."""
        return abs(self.gap) <= 2 * self.noise


@dataclass(frozen=True)
class Cell:
    """One method at one batch size: how many texts were compared, and which differ."""

    method: str
    batch_size: int
    compared: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class LosslessReport:
    """Counts over all comparisons."""

    cells: tuple[Cell, ...]

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Of all cells."""
        return tuple(d for cell in self.cells for d in cell.differences)

    @property
    def compared(self) -> int:
        """Texts compared."""
        return sum(cell.compared for cell in self.cells)

    @property
    def identical(self) -> int:
        """Texts equal token for token."""
        return self.compared - len(self.differences)

    @property
    def near_ties(self) -> int:
        """Texts that left plain decoding at a proven numerical near-tie."""
        return sum(d.near_tie for d in self.differences)

    @property
    def different(self) -> int:
        """Texts that left plain decoding without such an excuse: must be 0."""
        return len(self.differences) - self.near_ties

    def counts(self) -> dict[str, int]:
        """The four counts under their names."""
        names = ("compared", "identical", "near_ties", "different")
        return {name: getattr(self, name) for name in names}

    def to_json(self) -> dict[str, object]:
        """The counts, the same by method and batch size, and every difference."""
        by_method: dict[str, dict[int, dict[str, int]]] = {}
        for cell in self.cells:
            by_method.setdefault(cell.method, {})[cell.batch_size] = LosslessReport(
                (cell,)
            ).counts()
        # JSON has no infinity: the gap of a text that ended where the other went on is null
        differences = [
            {**asdict(d), "gap": d.gap if math.isfinite(d.gap) else None} for d in self.differences
        ]
        return {**self.counts(), "by_method": by_method, "differences": differences}


def verify_lossless(
    engine: Engine,
    prompts: Sequence[str],
    methods: Sequence[str],
    batch_sizes: Sequence[int],
    max_new_tokens: int,
    report: Callable[[str], None],
    *,
    config: DecodingConfig | None = None,
    checkpoint: Path | None = None,
) -> LosslessReport:
    """Compare every method at every batch size with plain decoding of one row at a time.

    config: further settings of the methods. checkpoint: a file in which each plain text and each
    (method, batch size) is kept when it is done, and from which it is taken if it is there.
    """
    config = replace(config or DecodingConfig(), max_new_tokens=max_new_tokens)
    if config.temperature:
        raise InvalidRequest(
            f"Losslessness is told of greedy texts and the temperature is {config.temperature}; "
            "give 0."
        )
    done = Checkpoint(checkpoint, _key(engine, prompts, config))
    plain = _plain_texts(engine, prompts, replace(config, method="autoregressive"), done, report)
    cells: list[Cell] = []
    for method in methods:
        for size in batch_sizes:
            name = f"{method}, batch {size}"
            if name not in done:
                setting = replace(config, method=method)
                found = _compare(engine, prompts, plain, setting, size)
                done[name] = [asdict(difference) for difference in found]
            differences = tuple(Difference(**told) for told in done[name])
            cells.append(Cell(method, size, len(prompts), differences))
            total = sum(len(cell.differences) for cell in cells)
            report(f"{name}: {total} differences so far")
    return LosslessReport(tuple(cells))


def _key(engine: Engine, prompts: Sequence[str], config: DecodingConfig) -> str:
    """Of all that the texts depend on; methods and batch sizes are in the names of the findings."""
    settings = asked(replace(config, method="propd"))
    heads = engine.heads.shape if engine.heads else None
    return key_of(about=engine.describe(), prompts=prompts, settings=settings, heads=heads)


def _plain_texts(
    engine: Engine,
    prompts: Sequence[str],
    config: DecodingConfig,
    done: Checkpoint,
    report: Callable[[str], None],
) -> list[tuple[int, ...]]:
    for place, prompt in enumerate(prompts):
        name = f"plain {place}"
        if name not in done:
            done[name] = engine.generate(prompt, config).token_ids
        report(f"plain decoding {place + 1}/{len(prompts)}")
    return [tuple(done[f"plain {place}"]) for place in range(len(prompts))]


def _compare(
    engine: Engine,
    prompts: Sequence[str],
    plain: Sequence[tuple[int, ...]],
    config: DecodingConfig,
    size: int,
) -> list[Difference]:
    """Where the texts of one method at one batch size leave plain decoding."""
    differences = []
    runs = engine.generate_batch(prompts, config, max_rows=size)
    for place, (run, expected) in enumerate(zip(runs, plain, strict=True)):
        if run.token_ids != expected:
            at = first_difference(run.token_ids, expected)
            found = examine(engine, prompts[place], expected, run.token_ids, at)
            differences.append(Difference(config.method, size, place, at, *found))
    return differences


def first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    """The first place where two texts that are not equal differ."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


@torch.inference_mode()
def examine(
    engine: Engine, prompt: str, plain: Sequence[int], other: Sequence[int], at: int
) -> tuple[int, int, float, float]:
    """Both tokens at the first difference, the gap between them, and the noise there."""
    if at >= min(len(plain), len(other)):
        return -1, -1, float("inf"), 0.0  # one text ended where the other went on: never a tie
    read, written = engine.encode(prompt), list(plain[:at])
    seen = _logits(engine, read, written, 1)
    by_token, at_once = (_logits(engine, [], read + written, n) for n in (1, len(read) + at))
    gap = float(seen[plain[at]] - seen[other[at]])
    return plain[at], other[at], gap, float((by_token - at_once).abs().max())


def _logits(engine: Engine, prompt: Sequence[int], answer: Sequence[int], chunk: int) -> Tensor:
    """(V,) logits after a prompt, which is read, and its answer, in steps of so many tokens."""
    backbone = engine.backbone
    cache = backbone.new_cache(1, len(prompt) + len(answer))
    parts = [
        backbone.read_all(prompt, cache),
        backbone.read_all(answer, cache, chunk=chunk, as_prompt=False),
    ]
    hidden = torch.cat(parts)[-1:]
    return backbone.logits(backbone.final_norm(hidden))[0].float()
