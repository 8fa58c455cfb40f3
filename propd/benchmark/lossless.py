"""Is the text really that of plain decoding? Every method and batch size, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from propd.engine import Engine


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
class LosslessReport:
    """Counts over all comparisons."""

    compared: int
    differences: tuple[Difference, ...]

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

    def to_json(self) -> dict[str, object]:
        """The counts and every difference."""
        counts = {
            name: getattr(self, name)
            for name in ("compared", "identical", "near_ties", "different")
        }
        return {**counts, "differences": [asdict(d) for d in self.differences]}


def verify_lossless(
    engine: Engine,
    prompts: Sequence[str],
    methods: Sequence[str],
    batch_sizes: Sequence[int],
    max_new_tokens: int,
    report: Callable[[str], None],
) -> LosslessReport:
    """Compare every method at every batch size with plain decoding of one row at a time."""
    plain = []
    for place, prompt in enumerate(prompts):
        run = engine.generate(prompt, method="autoregressive", max_new_tokens=max_new_tokens)
        plain.append(run.token_ids)
        report(f"plain decoding {place + 1}/{len(prompts)}")
    compared, differences = 0, []
    for method in methods:
        for size in batch_sizes:
            runs = engine.generate_batch(
                prompts, method=method, max_new_tokens=max_new_tokens, max_rows=size
            )
            for place, (run, expected) in enumerate(zip(runs, plain, strict=True)):
                compared += 1
                if run.token_ids != expected:
                    at = _first_difference(run.token_ids, expected)
                    found = _examine(engine, prompts[place], expected, run.token_ids, at)
                    differences.append(Difference(method, size, place, at, *found))
            report(f"{method}, batch {size}: {len(differences)} differences so far")
    return LosslessReport(compared, tuple(differences))


def _first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


@torch.inference_mode()
def _examine(
    engine: Engine, prompt: str, plain: Sequence[int], other: Sequence[int], at: int
) -> tuple[int, int, float, float]:
    """Both tokens at the first difference, the gap between them, and the noise there."""
    if at >= min(len(plain), len(other)):
        return -1, -1, float("inf"), 0.0  # one text ended where the other went on: never a tie
    text = engine.encode(prompt) + list(plain[:at])
    by_token, at_once = _logits(engine, text, 1), _logits(engine, text, len(text))
    gap = float(by_token[plain[at]] - by_token[other[at]])
    return plain[at], other[at], gap, float((by_token - at_once).abs().max())


def _logits(engine: Engine, text: Sequence[int], chunk: int) -> Tensor:
    """(V,) logits after a text that is read in chunks of this size."""
    backbone = engine.backbone
    cache = backbone.new_cache(1, len(text))
    hidden = backbone.read(text, cache, chunk=chunk)
    return backbone.logits(backbone.final_norm(hidden))[0].float()
