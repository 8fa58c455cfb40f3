"""How good the guesses are: accuracy at every depth, and tokens per pass by size of the tree.

The model writes plain greedy texts; then every position of them is a root, and what was guessed
behind it is compared with what came. Trees are replayed over the known texts: with greedy decoding
the model's choices are the text, so which path a tree would have had accepted needs no further
pass, and no clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from propd.core import DecodingConfig, TokenTree
from propd.engine import Engine
from propd.errors import InvalidRequest
from propd.heads.protocol import DraftHeads, HeadsShape
from propd.planning.drafts import NO_DRAFTS, Drafts, known_ranks
from propd.planning.guesser import Guesser
from propd.planning.phrases import LONGEST
from propd.planning.text_index import TextIndex
from propd.tree.growth import grow_by

SIZES = (1, 2, 4, 8, 16, 32, 63)
"""Nodes of the replayed trees."""
TOPS = (1, 5)
AT_ONCE = 16
"""Positions whose guesses are computed together."""

Guessing = Literal["heads", "text", "both"]
GUESSING: tuple[Guessing, ...] = ("heads", "text", "both")


@dataclass(frozen=True)
class PlainText:
    """A prompt with what plain decoding answers, and the heads' guesses behind every token."""

    category: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    drafts: tuple[Drafts, ...]
    """``drafts[i]``: behind ``answer[i]``, for all but the last token."""

    def up_to(self, place: int) -> tuple[int, ...]:
        """The last tokens up to ``answer[place]``."""
        return (*self.prompt[-LONGEST:], *self.answer[: place + 1])[-LONGEST:]


@dataclass
class Tally:
    """Sums over the texts of a category, for one way to guess."""

    positions: int = 0
    hits: dict[str, int] = field(default_factory=dict)
    """By depth and top: ``1/5`` is the next token among the five best guesses."""
    known: dict[int, int] = field(default_factory=dict)
    """By depth: positions whose text goes on that far."""
    passes: dict[int, int] = field(default_factory=dict)
    """By size of the tree."""
    tokens: int = 0

    def told(self) -> dict[str, Any]:
        """Rates: accuracy by depth and top, tokens per pass by size."""
        return {
            "positions": self.positions,
            "accuracy": {
                name: round(hits / max(1, self.known[int(name.split("/")[0])]), 4)
                for name, hits in sorted(self.hits.items())
            },
            "tokens_per_pass": {
                str(size): round(self.tokens / max(1, passes), 3)
                for size, passes in self.passes.items()
            },
        }


def measure(
    engine: Engine,
    prompts: Sequence[tuple[str, str]],
    max_new_tokens: int,
    rows: int,
    report: Callable[[str], None],
) -> dict[str, dict[str, dict[str, Any]]]:
    """By way to guess and category (and ``all``): `Tally.told`.

    prompts: (category, prompt). rows: plain texts decoded together. Needs draft heads.
    """
    if engine.heads is None:
        raise InvalidRequest("This model has no heads to measure; give a folder with --heads.")
    tallies: dict[Guessing, dict[str, Tally]] = {way: {} for way in GUESSING}
    for done, text in enumerate(plain_texts(engine, engine.heads, prompts, max_new_tokens, rows)):
        for way in GUESSING:
            for name in ("all", text.category):
                _count(tallies[way].setdefault(name, Tally()), text, way, engine.heads)
        if (done + 1) % 10 == 0 or done + 1 == len(prompts):
            report(f"text {done + 1}/{len(prompts)}")
    return {
        way: {name: tally.told() for name, tally in by_category.items()}
        for way, by_category in tallies.items()
    }


def plain_texts(
    engine: Engine,
    heads: DraftHeads,
    prompts: Sequence[tuple[str, str]],
    max_new_tokens: int,
    rows: int,
) -> Iterator[PlainText]:
    """The plain greedy answers to (category, prompt), ``rows`` of them decoded together."""
    config = DecodingConfig(method="autoregressive", max_new_tokens=max_new_tokens)
    for start in range(0, len(prompts), rows):
        group = prompts[start : start + rows]
        runs = engine.generate_batch([prompt for _, prompt in group], config)
        for (category, prompt), run in zip(group, runs, strict=True):
            ids, answer = tuple(engine.encode(prompt)), run.token_ids
            yield PlainText(category, ids, answer, _guess_all(engine, heads, ids, answer))


@torch.inference_mode()
def _guess_all(
    engine: Engine, heads: DraftHeads, prompt: Sequence[int], answer: Sequence[int]
) -> tuple[Drafts, ...]:
    """The heads' guesses behind every token of the answer but the last."""
    backbone, drafts = engine.backbone, list[Drafts]()
    cache = backbone.new_cache(1, len(prompt) + len(answer))
    last = backbone.read(prompt, cache)
    rest = backbone.read_all(answer[:-1], cache)
    hidden = backbone.final_norm(torch.cat([last, rest]))[: len(answer) - 1]
    for start in range(0, len(hidden), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        drafts += heads.draft(hidden[part], answer[: len(hidden)][part])
    return tuple(drafts)


def _count(tally: Tally, text: PlainText, way: Guessing, heads: DraftHeads) -> None:
    """Add one text to a tally."""
    _count_ranks(tally, text, way, heads)
    tally.tokens += len(text.answer) - 1
    for size in SIZES:
        passes = sum(1 for _ in replay(text, way, heads.shape, size))
        tally.passes[size] = tally.passes.get(size, 0) + passes


def _count_ranks(tally: Tally, text: PlainText, way: Guessing, heads: DraftHeads) -> None:
    depths = heads.shape.draft_heads
    guesser = Guesser(depths, phrases=heads.shape.phrases)
    index = TextIndex(text.prompt)
    for place, said in enumerate(text.drafts):
        index.add(text.answer[place : place + 1])
        mixture = guesser.mix(
            NO_DRAFTS if way == "text" else said,
            None if way == "heads" else index,
            text.up_to(place),
        )
        truths = text.answer[place + 1 : place + 1 + depths]
        ranks = known_ranks(mixture, truths)
        tally.positions += 1
        for depth in range(1, len(truths) + 1):
            rank = ranks[depth - 1] if depth <= len(ranks) else None
            tally.known[depth] = tally.known.get(depth, 0) + 1
            for top in TOPS:
                name = f"{depth}/{top}"
                hit = rank is not None and rank < top
                tally.hits[name] = tally.hits.get(name, 0) + hit
        guesser.learn(mixture, truths[:1])


def replay(text: PlainText, way: Guessing, shape: HeadsShape, size: int) -> Iterator[int]:
    """The number of tokens that each pass of a run with trees of this size would have written."""
    guesser = Guesser(shape.draft_heads, phrases=shape.phrases)
    index = TextIndex([*text.prompt, *text.answer[:1]])
    at, last = 0, len(text.answer) - 1
    while at < last:
        said = NO_DRAFTS if way == "text" else text.drafts[at]
        mixture = guesser.mix(said, None if way == "heads" else index, text.up_to(at))
        deepest = min(mixture.depth, last - at - 1)
        tree = grow_by(mixture.after, size, deepest)
        written = _accepted(tree, known_ranks(mixture, text.answer[at + 1 : at + 1 + deepest]))
        truths = text.answer[at + 1 : at + 2 + written]  # the accepted, and the model's own next
        guesser.learn(mixture, truths)
        index.add(truths)
        at += len(truths)
        yield len(truths)


def _accepted(tree: TokenTree, ranks: Sequence[int | None]) -> int:
    """How far a tree goes along the true path. ranks: of the true tokens in their lists."""
    places = {(tree.parents[node], tree.ranks[node]): node for node in range(1, len(tree.parents))}
    node = 0
    for written, rank in enumerate(ranks):
        if rank is None or (node, rank) not in places:
            return written
        node = places[node, rank]
    return len(ranks)


def accuracy_table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Markdown: a line for each category and way to guess."""
    lines = [
        "| guesses | category | next token top-1 | top-5 | second | third | fourth | "
        + " | ".join(f"tokens per pass, {size}" for size in SIZES)
        + " |",
        "| --- |" * 2 + " --- |" * (5 + len(SIZES)),
    ]
    for way, by_category in results.items():
        for name, told in by_category.items():
            rates = told["accuracy"]
            cells = [rates.get(spot, 0.0) for spot in ("1/1", "1/5", "2/1", "3/1", "4/1")]
            passes = told["tokens_per_pass"]
            lines.append(
                f"| {way} | {name} | "
                + " | ".join(f"{cell:.3f}" for cell in cells)
                + " | "
                + " | ".join(f"{passes[str(size)]:.2f}" for size in SIZES)
                + " |"
            )
    return "\n".join(lines)


def accuracy_json(
    engine: Engine, max_new_tokens: int, results: dict[str, dict[str, dict[str, Any]]]
) -> str:
    """The results with how they were made."""
    return json.dumps(
        {"engine": engine.describe(), "max_new_tokens": max_new_tokens, "results": results}
    )
