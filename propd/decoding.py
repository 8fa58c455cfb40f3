"""The loop: draft, grow, early layers, prune, late layers, verify, accept, commit.

Every method runs through it; they differ only in the planner and in whether they prune. It knows
token ids and time, and nothing of text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from propd.clock import BusyClock, StepWatch
from propd.core import DecodingConfig, FinishReason, StepEvent, TokenTree
from propd.errors import InvalidRequest
from propd.events import StepOutcome, StepRecord, Verdict, build_event, final_probabilities
from propd.methods import MethodSettings
from propd.models.backbone import Backbone
from propd.models.heads import RANKS, Heads
from propd.models.placement import Placement
from propd.nodes import Nodes, kept_places, survivors, visible_of
from propd.planning.planner import NO_DRAFTS, Drafts, Outcome, Planner
from propd.requests import prompt_too_long
from propd.tree.acceptance import accept
from propd.tree.pruning import Pruning, prune_top_k
from propd.tree.sampling import Chooser
from propd.tree.topology import ROOT_ONLY, ancestor_mask, inner_nodes, select

PREFILL_CHUNK = 512


@dataclass
class Row:
    """One sequence being decoded. Its place in the session's list is its row of the cache."""

    number: int
    remaining: int
    chooser: Chooser
    root: int = -1
    hidden: Tensor = field(default_factory=lambda: torch.empty(0))
    """(H,) final hidden state of the last kept token."""
    began: float = 0.0
    """Seconds of the session's clock when it joined."""
    index: int = 0
    finish_reason: FinishReason | None = None


class DecodingSession:
    """Sequences decoded together. Owns cache and planner; weights and heads are shared.

    ``join`` a prompt, ``step`` until a row has a finish reason, and ``leave``: rows come and go
    while others run. ``run`` does it for a list of prompts.
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: Heads | None,
        settings: MethodSettings,
        planner: Planner,
        config: DecodingConfig,
        end_tokens: Sequence[int],
        capacity: int,
        max_rows: int = 1,
    ) -> None:
        self.backbone, self.heads, self.planner, self.config = backbone, heads, planner, config
        self.end_tokens = frozenset(() if config.ignore_eos else end_tokens)
        self.prunes = settings.pruning and heads is not None
        self.prune_layer = heads.config.prune_layer if heads is not None else 0
        self.top_k = config.prune_top_k or (heads.config.prune_top_k if heads is not None else 0)
        slots = min(capacity, backbone.max_positions) + planner.max_nodes + 1
        self.cache = backbone.new_cache(max_rows, slots)
        self.max_rows, self.rows = max_rows, list[Row]()
        self.clock = BusyClock()

    @torch.inference_mode()
    def run(self, prompts: Sequence[Sequence[int]]) -> Iterator[StepEvent]:
        """Decode prompts, as many at once as there are rows. Closing the iterator cancels.

        Each prompt gives one event for its prefill, then one a step.
        """
        waiting = list(enumerate(prompts))[::-1]
        while waiting or self.rows:
            while waiting and len(self.rows) < self.max_rows:
                number, prompt = waiting.pop()
                yield from self._hand_over([self.join(number, prompt)])
            if self.rows:
                yield from self._hand_over(self.step())

    def _hand_over(self, events: list[StepEvent]) -> Iterator[StepEvent]:
        """Give the events away with the clock standing still, and let finished rows leave."""
        for row in [row for row in self.rows if row.finish_reason]:
            self.leave(row)
        self.clock.pause()
        yield from events
        self.clock.resume()

    def join(self, number: int, prompt: Sequence[int]) -> StepEvent:
        """Take a new row in and read its prompt, whose first new token is the event's bonus."""
        if len(self.rows) == self.max_rows:
            raise InvalidRequest(f"All {self.max_rows} rows are taken; wait until one has left.")
        watch, slot = StepWatch(), len(self.rows)
        room = min(self.backbone.max_positions, self.cache.capacity - self.planner.max_nodes - 1)
        remaining = min(self.config.max_new_tokens, room - len(prompt))
        if remaining < 1:
            raise prompt_too_long(f"{len(prompt):,} tokens", room)
        chooser = Chooser(self.config, self.config.seed + number)
        row = Row(number, remaining, chooser, began=self.clock.seconds)
        final = self._read(prompt, slot)
        watch.lap("late")
        self.rows.append(row)
        verdict = self._judge(row, ROOT_ONLY, (prompt[-1],), self.backbone.logits(final))
        self._settle(row, verdict, final)
        watch.lap("verify")
        record = StepRecord(
            kind="prefill",
            tree=ROOT_ONLY,
            token_ids=(prompt[-1],),
            verdict=verdict,
            milliseconds=watch.result(),
            past_length=0,
        )
        return self._tell(row, record, rows=1)

    def leave(self, row: Row) -> None:
        """Let a row go, finished or not; the last row takes its place in the cache."""
        slot, last = self.rows.index(row), len(self.rows) - 1
        if slot != last:
            self.cache.move(last, slot)
            self.rows[slot] = self.rows[last]
        self.cache.lengths[last] = 0
        self.rows.pop()

    def step(self) -> list[StepEvent]:
        """One pass through the loop: an event for each row."""
        watch = StepWatch()
        drafts = self._draft()
        watch.lap("draft")
        trees, decision = self.planner.plan(drafts, [row.remaining - 1 for row in self.rows])
        nodes = self._embed(trees, drafts)
        watch.lap("grow")
        nodes = self._run_layers(nodes, 0, self.prune_layer)
        watch.lap("early")
        kept, pruning = self._prune(nodes)
        watch.lap("prune")
        kept = self._run_layers(kept, self.prune_layer, self.backbone.layer_count)
        final = self.backbone.final_norm(kept.hidden)
        watch.lap("late")
        logits = self.backbone.logits(final)
        verdicts = self._verify(kept, logits)
        watch.lap("verify")
        pasts = list(self.cache.lengths)
        self._commit(kept, final, verdicts)
        watch.lap("commit")
        self.planner.learn(
            sum(tree.size for tree in trees),
            [_outcome(row, v) for row, v in zip(drafts, verdicts, strict=True)],
            watch.result().total,
        )
        watch.lap("commit")
        told = StepOutcome(nodes, kept, pruning, verdicts, drafts, decision, watch.result(), pasts)
        return self._tell_step(told, logits)

    # The verbs of the loop, in its order.

    def _draft(self) -> list[Drafts]:
        if not self.planner.uses_drafts or self.heads is None:
            return [NO_DRAFTS] * len(self.rows)
        hidden = torch.stack([row.hidden for row in self.rows])
        roots = torch.tensor([row.root for row in self.rows], device=self.backbone.device)
        logits = self.heads.draft_logits(hidden, roots)
        scores, reduced = logits.topk(RANKS, dim=-1)
        chances = (scores - logits.logsumexp(-1, keepdim=True)).exp()
        tokens = self.heads.token_map[reduced]
        told = torch.stack([tokens.double(), reduced.double(), chances.double()]).tolist()
        return [
            Drafts(
                tuple(tuple(map(int, head)) for head in ids),
                tuple(tuple(map(int, head)) for head in places),
                tuple(map(tuple, probabilities)),
            )
            for ids, places, probabilities in zip(*told, strict=True)
        ]

    def _embed(self, trees: Sequence[TokenTree], drafts: Sequence[Drafts]) -> Nodes:
        tokens, reduced = [], []
        for row, tree, said in zip(self.rows, trees, drafts, strict=True):
            spots = [(d - 1, k) for d, k in zip(tree.depths[1:], tree.ranks[1:], strict=True)]
            tokens.append((row.root, *(said.token_ids[d][k] for d, k in spots)))
            reduced.append((0, *(said.reduced_ids[d][k] for d, k in spots)))
        visible = tuple(ancestor_mask(tree.parents) for tree in trees)
        place = self._place(visible, trees)
        hidden = self.backbone.embed([token for row in tokens for token in row])
        return Nodes(tuple(trees), tuple(tokens), tuple(reduced), visible, hidden, place)

    def _run_layers(self, nodes: Nodes, first: int, last: int) -> Nodes:
        hidden = self.backbone.run_layers(nodes.hidden, first, last, nodes.place, self.cache)
        return replace(nodes, hidden=hidden)

    def _prune(self, nodes: Nodes) -> tuple[Nodes, Pruning | None]:
        parents = nodes.parents()
        inner = inner_nodes(parents)
        if not self.prunes or self.heads is None or not inner:
            return nodes, None
        scores = self.heads.early_logits(nodes.hidden[inner])
        pruning = prune_top_k(parents, nodes.all_reduced_ids(), scores, self.top_k)
        if all(pruning.alive):
            return nodes, pruning
        kept = kept_places(pruning.alive, nodes.starts)
        for slot, places in enumerate(kept):
            # K and V below the prune layer close up, so that one index counts in all layers
            self.cache.keep(slice(0, self.prune_layer), slot, places)
        trees = [select(tree, places) for tree, places in zip(nodes.trees, kept, strict=True)]
        place = self._place(visible_of(nodes, kept), trees)
        return survivors(nodes, kept, trees, place), pruning

    def _verify(self, nodes: Nodes, logits: Tensor) -> list[Verdict]:
        spans = zip(nodes.starts, nodes.starts[1:], strict=False)
        best = logits.argmax(-1).tolist() if self.config.temperature == 0 else None
        return [
            self._judge(row, tree, tokens, logits[start:end], best and best[start:end])
            for row, tree, tokens, (start, end) in zip(
                self.rows, nodes.trees, nodes.token_ids, spans, strict=True
            )
        ]

    def _judge(
        self,
        row: Row,
        tree: TokenTree,
        tokens: Sequence[int],
        logits: Tensor,
        best: Sequence[int] | None = None,
    ) -> Verdict:
        """Accept a path of one row. logits: (n, V); best: their argmax, when already known."""
        if row.chooser.greedy:
            chosen = list(best if best is not None else logits.argmax(-1).tolist())
            accepted = accept(tree.parents, tokens, chosen.__getitem__, self.end_tokens)
            return Verdict(accepted, tuple(chosen))
        drawn: dict[int, int] = {}

        def choose(node: int) -> int:
            drawn[node] = row.chooser.draw(logits[node])
            return drawn[node]

        accepted = accept(tree.parents, tokens, choose, self.end_tokens)
        return Verdict(accepted, tuple(drawn.get(node) for node in range(len(tokens))))

    def _commit(self, nodes: Nodes, final: Tensor, verdicts: Sequence[Verdict]) -> None:
        for slot, (row, verdict) in enumerate(zip(self.rows, verdicts, strict=True)):
            self.cache.commit(slot, (0, *verdict.acceptance.path))
            self._settle(row, verdict, final[nodes.starts[slot] : nodes.starts[slot + 1]])

    def _settle(self, row: Row, verdict: Verdict, final: Tensor) -> None:
        """Bring the row to where its verdict leaves it. final: (n, H) of the row's nodes."""
        path, bonus = verdict.acceptance.path, verdict.acceptance.bonus
        row.hidden = final[path[-1] if path else 0]
        row.root = -1 if bonus is None else bonus
        row.remaining -= len(path) + (bonus is not None)
        if verdict.acceptance.ended:
            row.finish_reason = "eos"
        elif row.remaining <= 0:
            row.finish_reason = "length"

    # Telling what happened.

    def _tell_step(self, step: StepOutcome, logits: Tensor) -> list[StepEvent]:
        events = []
        for slot, row in enumerate(self.rows):
            record = step.record(slot, self._final_probabilities(step.kept, slot, logits))
            if record.early_ranks is not None and record.tree.size:
                record = replace(record, prune_layer=self.prune_layer, prune_top_k=self.top_k)
            events.append(self._tell(row, record, rows=len(self.rows)))
        return events

    def _final_probabilities(
        self, kept: Nodes, slot: int, logits: Tensor
    ) -> Sequence[float | None]:
        tokens = kept.token_ids[slot]
        if not self.config.record_probabilities:
            return (None,) * len(tokens)
        self.clock.pause()  # for pictures only: it is not part of the decoding
        span = slice(kept.starts[slot], kept.starts[slot + 1])
        chances = final_probabilities(kept.trees[slot].parents, tokens, logits[span])
        self.clock.resume()
        return chances

    def _tell(self, row: Row, record: StepRecord, rows: int) -> StepEvent:
        event = build_event(record, row.index, self.clock.seconds - row.began, row.finish_reason)
        row.index += 1
        return replace(event, row=row.number, rows=rows)

    # Helpers.

    def _read(self, prompt: Sequence[int], slot: int) -> Tensor:
        """Prefill a row in chunks; (1, H) final hidden state of the last token."""
        hidden = torch.empty(0)
        for start in range(0, len(prompt), PREFILL_CHUNK):
            chunk = prompt[start : start + PREFILL_CHUNK]
            causal = np.tri(len(chunk), dtype=bool)
            past = self.cache.lengths[slot]
            place = self.backbone.place([causal], [range(len(chunk))], [past], first_row=slot)
            layers = self.backbone.layer_count
            embedded = self.backbone.embed(chunk)
            hidden = self.backbone.run_layers(embedded, 0, layers, place, self.cache)[-1:]
            self.cache.commit(slot, range(len(chunk)))
        return self.backbone.final_norm(hidden)

    def _place(self, visible: Sequence[np.ndarray], trees: Sequence[TokenTree]) -> Placement:
        depths = [tree.depths for tree in trees]
        return self.backbone.place(visible, depths, self.cache.lengths[: len(trees)])


def _outcome(drafts: Drafts, verdict: Verdict) -> Outcome:
    """The rank of the model's own token in each head's list, as deep as the path went.

    What the model put after the root and after each accepted node is what the heads for depths
    1, 2, ... should have said, whether the tree had it or not.
    """
    acceptance = verdict.acceptance
    truths = [verdict.choices[node] for node in (0, *acceptance.path)]
    if acceptance.bonus is None:
        truths.pop()  # what stands after an end token was never written
    known = list(zip(truths, drafts.token_ids, drafts.probabilities, strict=False))
    return Outcome(
        ranks=tuple(row.index(truth) if truth in row else None for truth, row, _ in known),
        claimed=tuple(chances[0] for _, _, chances in known),
    )
