"""`python -m propd train`: from text the model wrote to a folder of heads with a model card."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import torch
from accelerate import Accelerator

from propd.errors import InvalidRequest
from propd.heads.files import read_ours
from propd.heads.phrase_files import save_phrases
from propd.heads.rooted import HeadsConfig
from propd.models.backbone import Backbone
from propd.planning.phrases import count_phrases
from propd.training.card import write_card
from propd.training.corpus import Corpus
from propd.training.hidden import HiddenStates, cache_hidden_states
from propd.training.plan import TrainingPlan, further
from propd.training.progress import History, load_state, save_state, table_head, table_line
from propd.training.train import HeadTrainer

Say = Callable[[str], None]
TOLD_EVERY = 25
"""Steps between two lines of the table."""
KEPT_EVERY = 200
"""Steps between two states a run can go on from."""


def train_heads(
    backbone: Backbone,
    base_model: str,
    end_tokens: tuple[int, ...],
    data: Sequence[Path],
    out: Path,
    cache: Path,
    plan: TrainingPlan,
    say: Say,
    precision: str = "no",
    begin_with: Path | None = None,
) -> HeadsConfig:
    """Cache hidden states, train, measure, and write weights, config, card and curves.

    begin_with: a folder of our heads to train further; their shape and reduced vocabulary stay.

    Started again with the same plan and text it goes on where it stopped. Several processes
    (`accelerate launch -m propd train ...`) share each batch; precision: as accelerate names it.
    """
    accelerator = Accelerator(mixed_precision=precision, cpu=not torch.cuda.is_available())
    corpus = Corpus.load_all(data)
    start = None if begin_with is None else read_ours(begin_with, backbone)
    plan = plan if start is None else further(plan, start)
    _check(corpus, plan, backbone)
    states = _states(accelerator, backbone, corpus, cache, plan, say)
    trainer = HeadTrainer(
        backbone, corpus, states, plan, base_model, end_tokens, accelerator, start
    )
    run = _Run(trainer, out, cache, say)
    run.train()
    accelerator.wait_for_everyone()
    return run.finish(corpus) if accelerator.is_main_process else trainer.config


def write_phrases(corpus: Corpus, out: Path, say: Say) -> None:
    """Count what usually follows a few tokens of the training text, beside the heads in ``out``."""
    phrases = count_phrases(corpus.answers())
    save_phrases(out, phrases)
    say(f"{len(phrases):,} phrases counted over {len(corpus.split()[0]):,} answers")


class _Run:
    """A training run with its table, curve and kept states."""

    def __init__(self, trainer: HeadTrainer, out: Path, cache: Path, say: Say) -> None:
        self.trainer, self.out, self.cache = trainer, out, cache
        self.main = trainer.accelerator.is_main_process
        self.say: Say = say if self.main else (lambda line: None)
        self.began, self.total = time.monotonic(), trainer.plan.epochs * trainer.steps_per_epoch
        self.key = _key(trainer)
        out.mkdir(parents=True, exist_ok=True)

    def train(self) -> None:
        """All steps that are left."""
        trainer = self.trainer
        self.optimizer = trainer.optimizer()
        begin = load_state(self.cache, self.key, trainer.weights, self.optimizer)
        self.history = History.resume(self.out, begin)
        model, prepared = trainer.accelerator.prepare(trainer.weights, self.optimizer)
        self.say(
            f"training on {len(trainer.train_positions):,} positions, {trainer.plan.epochs} "
            f"epochs of {trainer.plan.batch} a step" + (f", from step {begin}" if begin else "")
        )
        self.say(table_head(trainer.plan.draft_heads, trainer.plan.prune_layers))
        trainer.train(begin, model, prepared, self._report)

    def _report(self, done: int, loss: float) -> None:
        trainer, last = self.trainer, done == self.total
        minutes = (time.monotonic() - self.began) / 60
        if self.main and (done % TOLD_EVERY == 0 or last):
            self.say(table_line(f"{done}/{self.total}", loss, minutes, trainer.rates))
            self.history.add(
                {"step": done, "seen": done * trainer.plan.batch, "loss": round(loss, 4)}
                | dict(zip(_names(trainer.plan), (r[0] for r in trainer.rates), strict=True))
            )
        if self.main and (done % KEPT_EVERY == 0 or last):
            save_state(self.cache, self.key, done, trainer.weights, self.optimizer)

    def finish(self, corpus: Corpus) -> HeadsConfig:
        """Measure, and write everything."""
        trainer, plan = self.trainer, self.trainer.plan
        facts: dict[str, object] = {
            "data": f"{len(corpus):,} answers written by the model itself, every 20th held out",
            "positions": len(trainer.train_positions),
            "command": f"python -m propd train --data TEXT --out DIR --epochs {plan.epochs} "
            f"--batch {plan.batch} --learning-rate {plan.learning_rate}",
            "date": date.today().isoformat(),
            "machine": _machine(trainer.accelerator),
            "steps": self.total,
            "tokens_seen": self.total * plan.batch,
            "minutes": round((time.monotonic() - self.began) / 60, 1),
        }
        if trainer.start is not None:
            facts["begun_with"] = trainer.start.config.training
        if plan.draft_heads and not plan.dependent:
            facts["phrases"] = "counted over the answers that were not held out"
        config = trainer.save(self.out, {**facts, **asdict(plan)})
        if plan.draft_heads and not plan.dependent:  # those see the tokens before by themselves
            write_phrases(corpus, self.out, self.say)
        if plan.draft_heads:
            write_card(self.out, config)
        self.history.draw()
        self.say(_accuracy_line(config))
        return config


def _key(trainer: HeadTrainer) -> str:
    """Tells runs apart: a kept state is gone on with only by the run that it is of."""
    digest = hashlib.sha256(repr(asdict(trainer.plan)).encode() + trainer.corpus.tokens.tobytes())
    if trainer.start is not None:
        for weight in trainer.start.weights.state_dict().values():
            digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def _states(
    accelerator: Accelerator,
    backbone: Backbone,
    corpus: Corpus,
    cache: Path,
    plan: TrainingPlan,
    say: Say,
) -> HiddenStates:
    """Computed by the first process; the others wait and read."""

    def report(done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            say(f"hidden states {done}/{total} texts")

    with accelerator.main_process_first():
        return cache_hidden_states(backbone, corpus, cache, plan.prune_layers, report)


def _names(plan: TrainingPlan) -> list[str]:
    return [
        *(f"head {d + 1} top-1" for d in range(plan.draft_heads)),
        *(f"early {layer} top-1" for layer in plan.prune_layers),
    ]


def _machine(accelerator: Accelerator) -> str:
    if accelerator.device.type == "cpu":
        return f"CPU, {torch.get_num_threads()} threads, torch {torch.__version__}"
    name = torch.cuda.get_device_name(accelerator.device)
    return f"{accelerator.num_processes} x {name}, torch {torch.__version__}"


def _check(corpus: Corpus, plan: TrainingPlan, backbone: Backbone) -> None:
    """Refuse now what would fail, or train nothing, after hours of hidden states."""
    kept, held_out = corpus.split()
    positions = sum(len(corpus.answer_positions(i)) for i in kept)
    if not held_out:
        raise InvalidRequest(f"The text has {len(corpus)} answers; training needs at least 20.")
    if not 0 < plan.batch <= positions:
        raise InvalidRequest(
            f"The batch is {plan.batch} positions; it must be between 1 and the {positions} of "
            "the training text."
        )
    if plan.epochs < 1:
        raise InvalidRequest(f"The number of epochs is {plan.epochs}; it must be at least 1.")
    for layer in plan.prune_layers:
        if not 0 < layer < backbone.layer_count:
            raise InvalidRequest(
                f"An early head is to read layer {layer}; it must be between 1 and "
                f"{backbone.layer_count - 1}."
            )


def _accuracy_line(config: HeadsConfig) -> str:
    heads = "  ".join(f"{row[0]:.3f}/{sum(row[:5]):.3f}" for row in config.acceptance_table)
    return f"held out, top-1/top-5 by head: {heads}   early recall {config.early_recall}"
