"""Train draft heads and early heads of a frozen model on text it wrote itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from propd.heads.early_files import save_early
from propd.heads.files import Stored, save_heads
from propd.heads.rooted import HeadsConfig, HeadWeights
from propd.models.backbone import Backbone
from propd.planning.drafts import RANKS
from propd.training.corpus import Corpus
from propd.training.hidden import HiddenStates
from propd.training.plan import TrainingPlan, config_of

if TYPE_CHECKING:
    from accelerate import Accelerator

EARLY_KS = (1, 5, 10, 20, 50, 100, 200)
IGNORE = -100
PART = 128
"""Positions whose logits are alive at once on a CPU. The logits of a whole batch are so large that
the allocator returns them to the system each time; fetching the pages anew took half of a step."""
SMOOTH = 0.05
"""Weight of the newest part in the running accuracies."""


@dataclass(frozen=True)
class Batch:
    """P positions: what the heads see, and the reduced ids they should say (IGNORE: unknown)."""

    final: Tensor
    early: dict[str, Tensor]
    root: Tensor
    next_token: Tensor
    """(P,) reduced id of the root: what the early heads must guess."""
    targets: Tensor
    """(P, heads) reduced ids at distances 1, 2, ... from the root."""
    known: Tensor
    """(P, heads) whether the text goes on that far."""
    between: Tensor | None
    """(P, heads - 1, H) embeddings of the tokens after the root, for dependent heads."""
    ahead: Tensor
    """(P, heads, H) final hidden states where the model itself chose those tokens."""


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
        accelerator: Accelerator,
        start: Stored | None = None,
    ) -> None:
        """start: heads to train further; their reduced vocabulary stays."""
        self.plan, self.corpus, self.states, self.start = plan, corpus, states, start
        self.accelerator, self.device = accelerator, accelerator.device
        if start is None:
            words = torch.from_numpy(corpus.frequent_tokens(plan.vocabulary, end_tokens))
            self.token_map, self.reference = words, words[: plan.reference]
        else:
            self.token_map, self.reference = start.token_map, start.reference
        self.reduced = torch.full((backbone.vocabulary_size,), IGNORE)
        self.reduced[self.token_map] = torch.arange(len(self.token_map))
        self.embedding = backbone.embedding.float().cpu()
        self.output = backbone.lm_head_weight.cpu()[self.token_map].float().to(self.device)
        self.config = config_of(plan, backbone, base_model)
        torch.manual_seed(plan.seed)
        self.weights = HeadWeights(self.config)
        with torch.no_grad():
            for name, weight in self.weights.named_parameters():
                if name.endswith(".norm"):
                    # a good place to begin; the backbone's own holds the root of its length as well
                    weight.copy_(backbone.norm.cpu() / len(backbone.norm) ** 0.5)
        if start is not None:
            self.weights.load_state_dict(_known(start.weights, self.weights), strict=False)
            for layer in plan.prune_layers:  # a further layer's begins as its neighbour's
                if near := _nearest(layer, start.config.prune_layers):
                    known = start.weights.early_of(near).state_dict()
                    self.weights.early_of(layer).load_state_dict(known)
        kept, held_out = corpus.split()
        self.train_positions = np.concatenate([corpus.answer_positions(i) for i in kept])
        self.test_positions = np.concatenate([corpus.answer_positions(i) for i in held_out])
        self.ends = np.repeat(corpus.starts[1:], np.diff(corpus.starts))
        """(T,) end of the sequence of each position."""
        self.rates = [(0.0, 0.0)] * (plan.draft_heads + len(plan.prune_layers))
        """Running top-1 and top-5 accuracy on training text: draft heads, then early heads."""

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
        here = self._states(self.states.final, positions)
        return Batch(
            final=here,
            early={
                str(layer): self._states(states, positions)
                for layer, states in self.states.early.items()
            },
            root=self.embedding[root].to(self.device),
            next_token=self.reduced[root].to(self.device),
            targets=torch.where(inside, self.reduced[ids], IGNORE).to(self.device),
            known=inside.to(self.device),
            between=self.embedding[ids[:, :-1]].to(self.device) if self.plan.dependent else None,
            ahead=self._states(self.states.final, np.where(known, far - 1, positions[:, None])),
        )

    def _states(self, states: np.ndarray, positions: np.ndarray) -> Tensor:
        return torch.from_numpy(states[positions]).to(self.device).float()

    def logits(self, model: torch.nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Draft logits (P, heads, R), and early logits by layer, each (P, R)."""
        draft, early = model(batch.final, batch.root, batch.early, batch.between)
        return (
            F.linear(draft, self.output),
            {layer: F.linear(hidden, self.output) for layer, hidden in early.items()},
        )

    def loss(self, batch: Batch, draft: Tensor, early: dict[str, Tensor]) -> Tensor:
        """Sum of the cross entropies of all heads (as in Medusa's training), against the tokens
        and, for a share, against the model's own distributions."""
        heads, soft = self.plan.draft_heads, self.plan.soft
        total = draft.new_zeros(())
        # one mean over all heads and positions, times the heads: the sum of the heads' means
        if heads and soft < 1:
            wanted = batch.targets.flatten()
            hard = F.cross_entropy(draft.flatten(0, 1), wanted, ignore_index=IGNORE)
            total = total + (1 - soft) * heads * hard
        if heads and soft:
            with torch.no_grad():
                teacher = F.linear(batch.ahead[batch.known], self.output).softmax(-1)
            total = total + soft * heads * F.cross_entropy(draft[batch.known], teacher)
        for scores in early.values():
            total = total + F.cross_entropy(scores, batch.next_token, ignore_index=IGNORE)
        return total

    def train(
        self,
        begin: int,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        report: Callable[[int, float], None],
    ) -> None:
        """Run the plan from a step on; report(steps done, loss) after every step."""
        plan, total = self.plan, self.plan.epochs * self.steps_per_epoch
        for step, positions in enumerate(self._shuffled()):
            if step < begin:
                continue
            for group in optimizer.param_groups:
                group["lr"] = plan.learning_rate * _schedule(step / total, plan.warmup)
            optimizer.zero_grad()
            loss = self._backward(model, self._mine(positions))
            self.accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            report(step + 1, loss)

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW over all weights."""
        return torch.optim.AdamW(
            self.weights.parameters(),
            lr=self.plan.learning_rate,
            weight_decay=self.plan.weight_decay,
        )

    def _mine(self, positions: np.ndarray) -> np.ndarray:
        """This process's share of a batch."""
        return positions[self.accelerator.process_index :: self.accelerator.num_processes]

    def _backward(self, model: torch.nn.Module, positions: np.ndarray) -> float:
        """Gradients of the mean loss, part by part; returns that loss."""
        size = PART if self.device.type == "cpu" else len(positions)
        parts = np.array_split(positions, math.ceil(len(positions) / size))
        total = 0.0
        for place, part in enumerate(parts):
            batch = self.batch(part)
            with self._sync(model, last=place == len(parts) - 1), self.accelerator.autocast():
                draft, early = self.logits(model, batch)
                loss = self.loss(batch, draft, early) * (len(part) / len(positions))
                self.accelerator.backward(loss)
            total += float(loss.detach())
        self._watch(batch, draft.detach(), early)  # of the last part only: it costs a topk
        return total

    def _sync(self, model: torch.nn.Module, last: bool):  # type: ignore[no-untyped-def]
        """Several processes share their gradients once a step."""
        from contextlib import nullcontext

        return nullcontext() if last else self.accelerator.no_sync(model)

    @torch.no_grad()
    def _watch(self, batch: Batch, draft: Tensor, early: dict[str, Tensor]) -> None:
        """Update the running accuracies."""
        scores = [*draft.unbind(1), *early.values()]
        targets = [*batch.targets.unbind(1), *[batch.next_token] * len(early)]
        for place, (logits, wanted) in enumerate(zip(scores, targets, strict=True)):
            ranks = _ranks(logits, wanted)
            new = [(ranks < k).float().mean().item() for k in (1, 5)]
            old = self.rates[place] if any(self.rates[place]) else new
            self.rates[place] = tuple(  # type: ignore[assignment]
                o + SMOOTH * (n - o) for o, n in zip(old, new, strict=True)
            )

    def _shuffled(self) -> Iterator[np.ndarray]:
        generator = np.random.default_rng(self.plan.seed)
        for _ in range(self.plan.epochs):
            order = generator.permutation(self.train_positions)
            for step in range(self.steps_per_epoch):
                yield np.sort(order[step * self.plan.batch : (step + 1) * self.plan.batch])

    @torch.no_grad()
    def measure(self) -> HeadsConfig:
        """The config with held-out rank accuracies of the heads and recall of the early heads."""
        heads, layers = self.plan.draft_heads, [str(n) for n in self.plan.prune_layers]
        hits, known, seen = torch.zeros(heads, RANKS), torch.zeros(heads), 0
        recall = {layer: torch.zeros(len(EARLY_KS)) for layer in layers}
        for start in range(0, len(self.test_positions), PART):
            batch = self.batch(self.test_positions[start : start + PART])
            draft, early = self.logits(self.weights, batch)
            for head in range(heads):
                ranks = _ranks(draft[:, head], batch.targets[:, head]).cpu()
                hits[head] += torch.bincount(ranks.clamp(max=RANKS), minlength=RANKS + 1)[:RANKS]
            known += batch.known.sum(0).cpu()
            for layer in layers:
                ranks = _ranks(early[layer], batch.next_token).cpu()
                recall[layer] += torch.stack([(ranks < k).sum() for k in EARLY_KS])
            seen += len(batch.next_token)
        table = tuple(tuple(round(float(p), 5) for p in row) for row in hits / known[:, None])
        return replace(
            self.config,
            acceptance_table=table,
            early_recall={
                layer: {
                    str(k): round(float(h) / seen, 4) for k, h in zip(EARLY_KS, found, strict=True)
                }
                for layer, found in recall.items()
            },
        )

    def save(self, folder: Path, training: dict[str, object]) -> HeadsConfig:
        """Measure on the held-out text and write weights and config; early heads alone go beside
        whatever draft heads the folder holds."""
        config, plan = replace(self.measure(), training=training), self.plan
        if plan.draft_heads:
            save_heads(folder, config, self.weights, self.token_map, self.reference)
            return config
        early = {str(layer): self.weights.early_of(layer) for layer in plan.prune_layers}
        save_early(
            folder, plan.prune_layers, plan.early_width, plan.prune_top_k, early, self.reference,
            config.early_recall,
        )  # fmt: skip
        return config


def _known(start: HeadWeights, weights: HeadWeights) -> dict[str, Tensor]:
    """What the heads that are there hold of the weights that are to be trained."""
    wanted = weights.state_dict()
    return {name: tensor for name, tensor in start.state_dict().items() if name in wanted}


def _nearest(layer: int, known: Sequence[int]) -> int | None:
    """The known layer that is nearest to this one, the later of two; None without any."""
    return min(known, key=lambda other: (abs(other - layer), -other), default=None)


def _ranks(logits: Tensor, targets: Tensor) -> Tensor:
    """Place of each target among its logits (P, V), 0 is best; a target outside ranks last."""
    score = logits.gather(1, targets.clamp(min=0)[:, None])
    return torch.where(targets < 0, logits.shape[1], (logits > score).sum(1))


def _schedule(progress: float, warmup: float) -> float:
    """Linear warm-up, then a cosine to 2%."""
    if progress < warmup:
        return progress / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
