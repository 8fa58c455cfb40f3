"""Self-distillation: the model writes the text that its heads are trained on.

Heads must guess what this model would write, so nobody's text is better than its own (Medusa-1's
self-distillation). Work goes in waves. A wave draws seed instructions, lets the model invent
further ones after an open user turn, answers them all, and is saved as one shard; the answers are
the passages that the next wave's instructions work on. A wave depends on the seed, its number and
the shards before it, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from propd.core import DecodingConfig
from propd.engine import Engine
from propd.errors import InvalidRequest
from propd.training.seeds import FOREIGN, Seed, draw_seed

INVENTED = "invented"
LONGEST_PROMPT = 1024
LONGEST_TEXT = 4000
"""Characters of a text to work on."""
OPEN_TURN = "\x00open turn\x00"


@dataclass(frozen=True)
class DistillPlan:
    """What to write."""

    tokens: int = 1_000_000
    """Answer tokens to reach, all shards together."""
    wave: int = 512
    """Instructions a wave."""
    rows: int = 16
    """Sequences decoded together."""
    answer_tokens: int = 192
    """Tokens of an answer at most."""
    invented: float = 0.3
    """Share of instructions that the model writes itself."""
    temperatures: tuple[float, ...] = (0.0, 0.0, 0.0, 0.7)
    """Of the answers, in turn."""
    seed: int = 0
    texts: str = ""
    """Fingerprint of the `Texts` to work on, so that a folder keeps to one set."""


@dataclass(frozen=True)
class Texts:
    """What tasks about a text work on, beside what the model wrote in earlier waves."""

    passages: tuple[str, ...] = ()
    foreign: tuple[str, ...] = FOREIGN
    """Sentences to translate."""

    @classmethod
    def load(cls, path: Path) -> Texts:
        """Read JSON lines with a ``text`` each, and a ``kind``: passage (or none) or foreign."""
        found: dict[str, list[str]] = {"passage": [], "foreign": []}
        try:
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                found[entry.get("kind", "passage")].append(str(entry["text"])[:LONGEST_TEXT])
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise InvalidRequest(
                f"{path} holds no texts ({error!r}); it must have one JSON object a line, with "
                "'text' and perhaps 'kind', passage or foreign."
            ) from error
        return cls(tuple(found["passage"]), tuple(found["foreign"]) or FOREIGN)

    @property
    def fingerprint(self) -> str:
        """Short name of the contents."""
        return hashlib.sha256(repr((self.passages, self.foreign)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Answered:
    """A finished sequence."""

    kind: str
    temperature: float
    prompt: tuple[int, ...]
    answer: tuple[int, ...]


def distill(
    engine: Engine,
    folder: Path,
    plan: DistillPlan,
    report: Callable[[str], None],
    texts: Texts | None = None,
    advance: Callable[[int], None] = lambda tokens: None,
) -> None:
    """Write shards into the folder until the plan's tokens are reached.

    report: called with each shard; advance: with the tokens that every step wrote.
    """
    texts = texts or Texts()
    plan = replace(plan, texts=texts.fingerprint)
    folder.mkdir(parents=True, exist_ok=True)
    _check_plan(folder / "plan.json", plan)
    job, seen = _Job(engine, plan, advance), set[str]()
    tokens, passages = 0, list[str]()
    number = 0
    while tokens < plan.tokens:
        path = folder / f"shard-{number:04d}.npz"
        if not path.exists():
            mine = replace(texts, passages=(*texts.passages, *passages))
            _write_wave(job, path, number, mine, seen)
        with np.load(path, allow_pickle=False) as shard:
            written = int((shard["total_len"] - shard["prompt_len"]).sum())
            passages = [str(text) for text in shard["passages"]]
            seen |= {str(text) for text in shard["instructions"]}
        if not written:
            raise InvalidRequest(f"{path} holds no answers; delete it and start again.")
        tokens, number = tokens + written, number + 1
        report(f"shard {number}: {tokens:,} of {plan.tokens:,} tokens")


def _check_plan(path: Path, plan: DistillPlan) -> None:
    """Shards of one folder belong to one plan; only its goal may grow."""
    mine = {name: value for name, value in asdict(plan).items() if name != "tokens"}
    text = json.dumps(mine, sort_keys=True)
    if path.exists() and path.read_text() != text:
        raise InvalidRequest(
            f"{path.parent} holds shards of other settings; give another folder, or the same ones."
        )
    path.write_text(text)


@dataclass(frozen=True)
class _Job:
    """Who writes, what, and who hears of it."""

    engine: Engine
    plan: DistillPlan
    advance: Callable[[int], None]


def _write_wave(job: _Job, path: Path, number: int, texts: Texts, seen: set[str]) -> None:
    plan = job.plan
    source = random.Random(f"{plan.seed}/{number}")
    count = round(plan.wave * plan.invented)
    seeds = [Seed(INVENTED, text) for text in _invent(job, source, count)]
    seeds += [draw_seed(source, texts.passages, texts.foreign) for _ in range(plan.wave - count)]
    fresh = {seed.text: seed for seed in seeds if seed.text not in seen}  # each only once
    turns = [
        (seed, plan.temperatures[i % len(plan.temperatures)])
        for i, seed in enumerate(fresh.values())
    ]
    answered = [
        answer
        for temperature in sorted(set(plan.temperatures))
        for answer in _answer(
            job,
            [seed for seed, its in turns if its == temperature],
            temperature,
            source.randrange(2**30),
        )
    ]
    _save(job.engine, path, answered, list(fresh))


def _invent(job: _Job, source: random.Random, count: int) -> Iterator[str]:
    """Instructions that the model writes where a user would."""
    engine, opening = job.engine, _open_turn(job.engine)
    config = DecodingConfig(
        method="autoregressive", max_new_tokens=96, temperature=0.9, top_p=0.95,
        seed=source.randrange(2**30),
    )  # fmt: skip
    for ids in _run(job, config, [opening] * count):
        text = engine.tokenizer.decode(ids, skip_special_tokens=True).strip()
        if len(text) >= 12 and ids[-1] in engine.end_tokens:
            yield text


def _open_turn(engine: Engine) -> list[int]:
    """Tokens of the chat template up to where the user's words would begin."""
    messages = [{"role": "user", "content": OPEN_TURN}]
    text = engine.tokenizer.apply_chat_template(messages, tokenize=False)
    before = text[: text.index(OPEN_TURN)]
    return [int(t) for t in engine.tokenizer(before, add_special_tokens=False)["input_ids"]]


def _answer(job: _Job, seeds: Sequence[Seed], temperature: float, seed: int) -> Iterator[Answered]:
    """Answers to the instructions that fit, in the order of their length, so that rows agree."""
    engine, plan = job.engine, job.plan
    room = min(engine.backbone.max_positions - plan.answer_tokens, LONGEST_PROMPT)
    encoded = [(engine.encode(item.text), item) for item in seeds if item.text.strip()]
    jobs = sorted((job for job in encoded if len(job[0]) < room), key=lambda job: len(job[0]))
    config = DecodingConfig(
        method="autoregressive",
        max_new_tokens=plan.answer_tokens,
        temperature=temperature,
        seed=seed,
    )
    answers = _run(job, config, [ids for ids, _ in jobs])
    for (ids, item), answer in zip(jobs, answers, strict=True):
        if len(answer) >= 4:  # a head needs something to guess
            yield Answered(item.kind, temperature, tuple(ids), tuple(answer))


def _run(job: _Job, config: DecodingConfig, prompts: Sequence[list[int]]) -> list[list[int]]:
    """The answers to prompts of token ids, in order."""
    answers: list[list[int]] = [[] for _ in prompts]
    if not prompts:
        return answers
    longest, rows = max(map(len, prompts)), min(job.plan.rows, len(prompts))
    with job.engine.open(config, max_rows=rows, longest_prompt=longest) as session:
        for event in session.run(prompts):
            answers[event.row] += event.token_ids
            job.advance(len(event.token_ids))
    return answers


def _save(
    engine: Engine, path: Path, answered: Sequence[Answered], instructions: Sequence[str]
) -> None:
    texts = [engine.tokenizer.decode(a.answer, skip_special_tokens=True).strip() for a in answered]
    passages = [text for text in texts if 200 < len(text) < 1500]
    sequences = [(*a.prompt, *a.answer) for a in answered]
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(
        partial,
        tokens=np.concatenate([np.asarray(s, dtype=np.int32) for s in sequences]),
        prompt_len=np.asarray([len(a.prompt) for a in answered], dtype=np.int32),
        total_len=np.asarray([len(s) for s in sequences], dtype=np.int32),
        kinds=np.asarray([a.kind for a in answered]),
        temperatures=np.asarray([a.temperature for a in answered], dtype=np.float32),
        passages=np.asarray(passages, dtype=str),
        instructions=np.asarray(instructions, dtype=str),
    )
    partial.replace(path)  # a shard is whole or not there
