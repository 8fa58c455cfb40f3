"""What the layers know: is the model's next token near the top already after a few of them?

Early pruning keeps a guess that is among the k best successors which its early look sees. So what
it may lose is the share of the model's own next tokens that are not among them (1 - recall), and
what it wins is the share of wrong guesses that are not. Both are counted here over plain greedy
texts, for every early head, and for the model's own LM head read after every layer (the logit
lens).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import torch
from torch import Tensor

from propd.benchmark.accuracy import PlainText, plain_texts
from propd.engine import Engine
from propd.errors import InvalidRequest
from propd.heads.early import LogitLens
from propd.heads.protocol import DraftHeads
from propd.planning.drafts import Drafts

FORMAT = "propd-recall/1"
TOPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Values of k."""
AT_ONCE = 64
"""Positions that are looked at together; the lens makes logits of all words for each."""


@dataclass
class Ranks:
    """Ranks that one way to look gave after one layer, 0 is best."""

    truths: list[int] = field(default_factory=list)
    """Of the model's own next token, at every position."""
    guessed: list[int] = field(default_factory=list)
    """The same where the first draft head had guessed it."""
    wrong: list[int] = field(default_factory=list)
    """Of the first draft head's other guesses."""

    def told(self) -> dict[str, list[float]]:
        """Shares with a rank under each of `TOPS`; empty where nothing was counted."""
        return {
            "recall": _under(self.truths),
            "recall_of_guessed": _under(self.guessed),
            "wrong_kept": _under(self.wrong),
        }


Found = dict[str, dict[int, Ranks]]
"""By way to look (``head``, ``lens``) and layer."""


def measure_recall(
    engine: Engine,
    prompts: Sequence[tuple[str, str]],
    max_new_tokens: int,
    rows: int,
    report: Callable[[str], None],
) -> Found:
    """Look at every position of the plain answers to (category, prompt). Needs draft heads."""
    if engine.heads is None:
        raise InvalidRequest("This model has no heads to measure; give a folder with --heads.")
    found: Found = {"head": {}, "lens": {}}
    texts = plain_texts(engine, engine.heads, prompts, max_new_tokens, rows)
    for done, text in enumerate(texts, start=1):
        _count(found, engine, engine.heads, text)
        report(f"text {done}/{len(prompts)}")
    return found


@torch.inference_mode()
def _count(found: Found, engine: Engine, heads: DraftHeads, text: PlainText) -> None:
    backbone = engine.backbone
    lens = LogitLens(backbone.final_norm, backbone.lm_head_weight, backbone.layer_count)
    trained = heads.shape.prune_layers if heads.shape.early_kind == "trained" else ()
    for layer, hidden in _states(engine, text):
        truths, rows = text.answer[1 : 1 + len(hidden)], range(len(hidden))
        ranks = found["lens"].setdefault(layer, Ranks())
        ranks.truths += _ranks(lens, layer, hidden, rows, truths)
        if layer not in trained:
            continue
        ranks = found["head"].setdefault(layer, Ranks())
        ranks.truths += _ranks(heads.look_early, layer, hidden, rows, truths)
        guesses = [
            (row, token)
            for row, said in enumerate(text.drafts[: len(hidden)])
            for token in _first(said)
        ]
        places, tokens = [row for row, _ in guesses], [token for _, token in guesses]
        seen = _ranks(heads.look_early, layer, hidden, places, tokens)
        for (row, token), rank in zip(guesses, seen, strict=True):
            (ranks.guessed if token == truths[row] else ranks.wrong).append(rank)


def _first(said: Drafts) -> tuple[int, ...]:
    """The guesses for the next token."""
    guesses = said.after(())
    return () if guesses is None else guesses.token_ids


def _states(engine: Engine, text: PlainText) -> Iterator[tuple[int, Tensor]]:
    """(layers run, (N, H) hidden states of the answer but its last token), layer after layer."""
    backbone, tokens = engine.backbone, text.answer[:-1]
    if not tokens:
        return
    cache = backbone.new_cache(1, len(text.prompt) + len(tokens))
    backbone.read(text.prompt, cache)
    causal = np.tri(len(tokens), dtype=bool)
    place = backbone.place([causal], [range(len(tokens))], [cache.lengths[0]])
    hidden = backbone.embed(tokens)
    for layer in range(backbone.layer_count):
        hidden = backbone.run_layers(hidden, layer, layer + 1, place, cache)
        yield layer + 1, hidden


def _ranks(
    look: Callable[..., tuple[Tensor, Tensor]],
    layer: int,
    hidden: Tensor,
    rows: Sequence[int],
    tokens: Sequence[int],
) -> list[int]:
    """Rank of each token after the hidden state of its row; the rows ascend."""
    ranks: list[int] = []
    for start in range(0, len(hidden), AT_ONCE):
        part = [i for i, row in enumerate(rows) if start <= row < start + AT_ONCE]
        if part:
            here = [rows[i] - start for i in part]
            seen = look(layer, hidden[start : start + AT_ONCE], here, [tokens[i] for i in part])
            ranks += seen[0].tolist()
    return ranks


def _under(ranks: Sequence[int]) -> list[float]:
    if not ranks:
        return []
    return [round(sum(rank < k for rank in ranks) / len(ranks), 4) for k in TOPS]


def recall_json(engine: Engine, prompts: int, max_new_tokens: int, found: Found) -> str:
    """What was found, with how it was measured."""
    lens = found["lens"].values()
    about = {
        **engine.describe(),
        "layers": engine.backbone.layer_count,
        "prompts": prompts,
        "max_new_tokens": max_new_tokens,
        "positions": max((len(ranks.truths) for ranks in lens), default=0),
        "recorded": date.today().isoformat(),
    }
    told = {
        way: {str(layer): ranks.told() for layer, ranks in by_layer.items()}
        for way, by_layer in found.items()
    }
    return json.dumps({"format": FORMAT, "about": about, "k": TOPS, **told})


def recall_table(found: Found) -> str:
    """Markdown: a line for each way and layer."""
    lines = [
        f"| looks | after layer | {' | '.join(f'top {k}' for k in TOPS)} | wrong kept, top 50 |",
        "| --- |" + " --- |" * (2 + len(TOPS)),
    ]
    for way, by_layer in found.items():
        for layer, ranks in by_layer.items():
            told = ranks.told()
            kept = told["wrong_kept"]
            cells = [f"{share:.3f}" for share in told["recall"]]
            cells.append(f"{kept[TOPS.index(50)]:.3f}" if kept else "")
            lines.append(f"| {way} | {layer} | {' | '.join(cells)} |")
    return "\n".join(lines)
