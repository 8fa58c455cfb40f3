"""Train draft heads and the early head of a frozen model on text it wrote itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from propd.models.backbone import Backbone
from propd.models.heads import RANKS, HeadsConfig, HeadWeights, save_heads
from propd.training.corpus import Corpus
from propd.training.hidden import HiddenStates

EARLY_KS = (1, 5, 10, 20, 50, 100, 200)
IGNORE = -100
PART = 128
"""Positions whose logits are alive at once. The logits of a whole batch are so large that the
allocator returns them to the system each time; fetching the pages anew took half of a step."""


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides a run, so that a card can state it."""

    epochs: int = 5
    batch: int = 1024
    """Positions a step."""
    learning_rate: float = 1.5e-3
    warmup: float = 0.03
    weight_decay: float = 0.01
    draft_heads: int = 4
    trunk_width: int = 1152
    head_width: int = 576
    early_width: int = 1024
    vocabulary: int = 8192
    prune_layer: int = 4
    prune_top_k: int = 50
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """P positions: what the heads see, and the reduced ids they should say (IGNORE: unknown)."""

    final: Tensor
    early: Tensor
    root: Tensor
    next_token: Tensor
    """(P,) reduced id of the root: what the early head must guess."""
    targets: Tensor
    """(P, heads) reduced ids at distances 1, 2, ... from the root."""
    known: Tensor
    """(P, heads) whether the text goes on that far."""


class HeadTrainer:
    """One training run: batches out of the cached states, the loss, and the measure."""

    def __init__(
        self,
        backbone: Backbone,
        corpus: Corpus,
        states: HiddenStates,
        plan: TrainingPlan,
        base_model: str,
        end_tokens: tuple[int, ...],
    ) -> None:
        self.plan, self.corpus, self.states = plan, corpus, states
        self.token_map = torch.from_numpy(corpus.frequent_tokens(plan.vocabulary, end_tokens))
        self.reduced = torch.full((backbone.vocabulary_size,), IGNORE)
        self.reduced[self.token_map] = torch.arange(len(self.token_map))
        # the heads are small: they train on the CPU, wherever the backbone ran
        self.embedding = backbone.embedding.float().cpu()
        self.output = backbone.lm_head_weight.cpu()[self.token_map].float()
        self.config = _shape(plan, backbone, base_model)
        torch.manual_seed(plan.seed)
        self.weights = HeadWeights(self.config)
        self.weights.early_norm.data.copy_(backbone.norm.cpu())  # a good place to begin
        kept, held_out = corpus.split()
        self.train_positions = np.concatenate([corpus.answer_positions(i) for i in kept])
        self.test_positions = np.concatenate([corpus.answer_positions(i) for i in held_out])
        self.ends = np.repeat(corpus.starts[1:], np.diff(corpus.starts))
        """(T,) end of the sequence of each position."""

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the training text."""
        return len(self.train_positions) // self.plan.batch

    def batch(self, positions: np.ndarray) -> Batch:
        """Gather one batch; positions (P,) ascending for speed of the disk."""
        far = positions[:, None] + 2 + np.arange(self.plan.draft_heads)
        known = far < self.ends[positions][:, None]
        tokens = torch.from_numpy(self.corpus.tokens)
        ids = tokens[torch.from_numpy(np.where(known, far, 0))]
        root = tokens[torch.from_numpy(positions + 1)]
        inside = torch.from_numpy(known)
        return Batch(
            final=torch.from_numpy(self.states.final[positions]).float(),
            early=torch.from_numpy(self.states.early[positions]).float(),
            root=self.embedding[root],
            next_token=self.reduced[root],
            targets=torch.where(inside, self.reduced[ids], IGNORE),
            known=inside,
        )

    def logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Draft logits (P, heads, reduced vocabulary) and early logits (P, reduced vocabulary)."""
        draft = F.linear(self.weights.draft(batch.final, batch.root), self.output)
        return draft, F.linear(self.weights.look_early(batch.early), self.output)

    def loss(self, batch: Batch) -> Tensor:
        """Sum of the cross entropies of all heads and the early head (as in Medusa's training)."""
        draft, early = self.logits(batch)
        # one mean over all heads and positions, times the heads: the sum of the heads' means
        guesses = F.cross_entropy(draft.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE)
        looks = F.cross_entropy(early, batch.next_token, ignore_index=IGNORE)
        return self.plan.draft_heads * guesses + looks

    def train(self, report: Callable[[int, float], None], save: Callable[[], None]) -> None:
        """Run the plan; report(step, loss) every step, save() at the end of each epoch."""
        plan, total = self.plan, self.plan.epochs * self.steps_per_epoch
        optimizer = torch.optim.AdamW(
            self.weights.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        for step, positions in enumerate(self._shuffled()):
            for group in optimizer.param_groups:
                group["lr"] = plan.learning_rate * _schedule(step / total, plan.warmup)
            optimizer.zero_grad()
            loss = self._backward(positions)
            torch.nn.utils.clip_grad_norm_(self.weights.parameters(), 1.0)
            optimizer.step()
            report(step, loss)
            if (step + 1) % self.steps_per_epoch == 0:
                save()

    def _backward(self, positions: np.ndarray) -> float:
        """Gradients of the mean loss, part by part; returns that loss."""
        total = 0.0
        for part in np.array_split(positions, math.ceil(len(positions) / PART)):
            loss = self.loss(self.batch(part)) * (len(part) / len(positions))
            loss.backward()
            total += loss.item()
        return total

    def _shuffled(self) -> Iterator[np.ndarray]:
        generator = np.random.default_rng(self.plan.seed)
        for _ in range(self.plan.epochs):
            order = generator.permutation(self.train_positions)
            for step in range(self.steps_per_epoch):
                yield np.sort(order[step * self.plan.batch : (step + 1) * self.plan.batch])

    @torch.no_grad()
    def measure(self) -> HeadsConfig:
        """The config with held-out rank accuracies of the heads and recall of the early head."""
        hits = torch.zeros(self.plan.draft_heads, RANKS)
        known = torch.zeros(self.plan.draft_heads)
        early_hits, seen = torch.zeros(len(EARLY_KS)), 0
        for start in range(0, len(self.test_positions), self.plan.batch):
            batch = self.batch(self.test_positions[start : start + self.plan.batch])
            draft, early = self.logits(batch)
            for head in range(self.plan.draft_heads):
                ranks = _ranks(draft[:, head], batch.targets[:, head])
                hits[head] += torch.bincount(ranks.clamp(max=RANKS), minlength=RANKS + 1)[:RANKS]
            known += batch.known.sum(0)
            ranks = _ranks(early, batch.next_token)
            early_hits += torch.stack([(ranks < k).sum() for k in EARLY_KS])
            seen += len(ranks)
        table = tuple(tuple(round(float(p), 5) for p in row) for row in hits / known[:, None])
        recall = {
            str(k): round(float(h) / seen, 4) for k, h in zip(EARLY_KS, early_hits, strict=True)
        }
        return replace(self.config, acceptance_table=table, early_recall=recall)

    def save(self, folder: Path, training: dict[str, object]) -> HeadsConfig:
        """Measure on the held-out text and write weights and config."""
        config = replace(self.measure(), training=training)
        save_heads(folder, config, self.weights, self.token_map)
        return config


def _ranks(logits: Tensor, targets: Tensor) -> Tensor:
    """Place of each target among its logits (P, V), 0 is best; a target outside ranks last."""
    score = logits.gather(1, targets.clamp(min=0)[:, None])
    return torch.where(targets < 0, logits.shape[1], (logits > score).sum(1))


def _schedule(progress: float, warmup: float) -> float:
    """Linear warm-up, then a cosine to 2%."""
    if progress < warmup:
        return progress / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def _shape(plan: TrainingPlan, backbone: Backbone, base_model: str) -> HeadsConfig:
    return HeadsConfig(
        base_model=base_model,
        hidden_size=backbone.hidden_size,
        vocabulary_size=backbone.vocabulary_size,
        draft_heads=plan.draft_heads,
        trunk_width=plan.trunk_width,
        head_width=plan.head_width,
        early_width=plan.early_width,
        prune_layer=plan.prune_layer,
        prune_top_k=plan.prune_top_k,
        acceptance_table=(),
        early_recall={},
        training={"started": time.strftime("%Y-%m-%d")},
    )
