"""The job of distillation, done by this engine and by `transformers.generate`: a pile of prompts,
so many rows at a time, plain greedy decoding, the same weights and dtype."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from propd.core import DecodingConfig
from propd.engine import Engine
from propd.models.quiet import quiet_transformers


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


class Peer:
    """`transformers.generate` on the weights of a folder."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=engine.backbone.dtype, use_safetensors=True, trust_remote_code=False
            )
        self.model = model.to(engine.backbone.device).eval()
        self.ends = list(engine.end_tokens)

    @torch.inference_mode()
    def answer(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[list[int]]:
        """Greedy answers to a batch of prompts of token ids, end tokens included."""
        width, pad = max(map(len, prompts)), self.ends[0]
        ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        output = self.model.generate(
            ids.to(self.model.device), attention_mask=mask.to(self.model.device),
            max_new_tokens=tokens, do_sample=False, eos_token_id=self.ends, pad_token_id=pad,
        )  # fmt: skip
        return [self._cut(row) for row in output[:, width:].tolist()]

    def _cut(self, row: list[int]) -> list[int]:
        """Up to the first end token; what follows is padding."""
        ends = [place for place, token in enumerate(row) if token in self.ends]
        return row[: ends[0] + 1] if ends else row


def compare_throughput(
    engine: Engine,
    peer: Peer,
    prompts: Sequence[str],
    rows: int,
    tokens: int,
    rounds: int,
    report: Callable[[str], None],
) -> list[Round]:
    """Both do the whole pile in every round, in turn; a small warm-up is not counted."""
    config = DecodingConfig(method="autoregressive", max_new_tokens=tokens)
    encoded = [engine.encode(prompt) for prompt in prompts]
    engine.generate_batch(prompts[:2], method="autoregressive", max_new_tokens=4)
    peer.answer(encoded[:2], 4)
    done = []
    for number in range(rounds):
        began = time.perf_counter()
        ours = [run.token_ids for run in engine.generate_batch(prompts, config, max_rows=rows)]
        between = time.perf_counter()
        theirs = []
        for start in range(0, len(encoded), rows):
            theirs += peer.answer(encoded[start : start + rows], tokens)
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
