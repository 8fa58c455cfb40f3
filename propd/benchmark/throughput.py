"""The job of distillation, done by this engine and by `transformers.generate`: a pile of prompts,
so many rows at a time, plain greedy decoding, the same weights and dtype."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from propd.benchmark.peers import Common, Transformers
from propd.core import DecodingConfig
from propd.engine import Engine


@dataclass(frozen=True)
class Round:
    """One pile, done twice."""

    ours_tokens: int
    ours_seconds: float
    theirs_tokens: int
    theirs_seconds: float
    identical: int
    """Prompts with the same answer. Theirs is padded on the left, so near-ties may differ."""

    @property
    def ratio(self) -> float:
        """Our tokens per second over theirs."""
        return self.ours_tokens / self.ours_seconds / (self.theirs_tokens / self.theirs_seconds)


def compare_throughput(
    engine: Engine,
    folder: Path,
    prompts: Sequence[str],
    rows: int,
    tokens: int,
    rounds: int,
    report: Callable[[str], None],
) -> list[Round]:
    """Both do the whole pile in every round, in turn; a small warm-up is not counted.

    folder: of the model, for `transformers`.
    """
    config = DecodingConfig(method="autoregressive", max_new_tokens=tokens)
    encoded = [engine.encode(prompt) for prompt in prompts]
    peer = Transformers()
    peer.load(Common.of(engine, folder, max(map(len, encoded)) + tokens))
    engine.generate_batch(prompts[:2], method="autoregressive", max_new_tokens=4)
    peer.answer(encoded[:2], 4)
    done = []
    for number in range(rounds):
        began = time.perf_counter()
        ours = [run.token_ids for run in engine.generate_batch(prompts, config, max_rows=rows)]
        between = time.perf_counter()
        theirs = list[list[int]]()
        for start in range(0, len(encoded), rows):
            theirs += map(list, peer.answer(encoded[start : start + rows], tokens).token_ids)
        ended = time.perf_counter()
        done.append(
            Round(
                sum(map(len, ours)),
                between - began,
                sum(map(len, theirs)),
                ended - between,
                sum(list(a) == b for a, b in zip(ours, theirs, strict=True)),
            )
        )
        report(f"round {number + 1}/{rounds}: {done[-1].ratio:.2f} times transformers.generate")
    return done


def throughput_json(
    engine: Engine, rows: int, tokens: int, prompts: int, rounds: Sequence[Round]
) -> dict[str, Any]:
    """The rounds with how they were made; ``ratio`` is the median."""
    return {
        "engine": engine.describe(),
        "rows": rows,
        "max_new_tokens": tokens,
        "prompts": prompts,
        "ratio": round(median(one.ratio for one in rounds), 3),
        "rounds": [asdict(one) for one in rounds],
    }
