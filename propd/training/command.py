"""`python -m propd train`: from text the model wrote to a folder of heads with a model card."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch

from propd.errors import InvalidRequest
from propd.heads.rooted import HeadsConfig
from propd.models.backbone import Backbone
from propd.training.card import write_card
from propd.training.corpus import Corpus
from propd.training.hidden import cache_hidden_states
from propd.training.train import HeadTrainer, TrainingPlan

Say = Callable[[str], None]


def train_heads(
    backbone: Backbone,
    base_model: str,
    end_tokens: tuple[int, ...],
    data: Path,
    out: Path,
    cache: Path,
    plan: TrainingPlan,
    say: Say,
) -> HeadsConfig:
    """Cache hidden states, train, measure, and write weights, config and card after each epoch."""
    corpus = Corpus.load(data)
    _check(corpus, plan)
    began = time.monotonic()
    states = cache_hidden_states(backbone, corpus, cache, plan.prune_layer, _cache_progress(say))
    trainer = HeadTrainer(backbone, corpus, states, plan, base_model, end_tokens)
    positions = len(trainer.train_positions)
    say(f"training on {positions:,} positions, {plan.epochs} epochs of {plan.batch} a step")
    facts: dict[str, object] = {
        "data": f"{len(corpus):,} answers written by the model itself, every 20th held out",
        "positions": positions,
        "command": f"python -m propd train --data TEXT.npz --out DIR --epochs {plan.epochs} "
        f"--batch {plan.batch} --learning-rate {plan.learning_rate}",
        "date": date.today().isoformat(),
        "machine": f"CPU, {torch.get_num_threads()} threads, torch {torch.__version__}",
    }
    done = 0

    def report(step: int, loss: float) -> None:
        nonlocal done
        done = step + 1
        if done % 25 == 0:
            minutes = (time.monotonic() - began) / 60
            total = plan.epochs * trainer.steps_per_epoch
            say(f"step {done}/{total}  loss {loss:.3f}  {minutes:.1f} min")

    def save() -> None:
        steps: dict[str, object] = {"steps": done, "tokens_seen": done * plan.batch}
        minutes: dict[str, object] = {"minutes": round((time.monotonic() - began) / 60, 1)}
        config = trainer.save(out, {**facts, **vars(plan), **steps, **minutes})
        write_card(out, config)
        say(_accuracy_line(config))

    trainer.train(report, save)
    return trainer.config


def _check(corpus: Corpus, plan: TrainingPlan) -> None:
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


def _cache_progress(say: Say) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            say(f"hidden states {done}/{total} texts")

    return report


def _accuracy_line(config: HeadsConfig) -> str:
    heads = "  ".join(f"{row[0]:.3f}/{sum(row[:5]):.3f}" for row in config.acceptance_table)
    return f"held out, top-1/top-5 by head: {heads}   early recall {config.early_recall}"
