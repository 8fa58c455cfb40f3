"""The loop: draft, grow, early layers, prune, late layers, verify, accept, commit.

Every method runs through it; they differ only in the planner and in whether they prune. It knows
token ids and time, and nothing of text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from propd.clock import BusyClock, watch_of
from propd.core import DecodingConfig, SizeDecision, StepEvent, TokenTree
from propd.errors import InvalidRequest
from propd.events import Step, StepRecord, build_event, final_probabilities
from propd.heads.protocol import DraftHeads
from propd.host import read, send
from propd.models.backbone import Backbone
from propd.models.kv_cache import KVCache
from propd.models.placement import Placement
from propd.nodes import Nodes, kept_places, survivors, visible_of
from propd.planning.cost import Work
from propd.planning.drafts import NO_DRAFTS, Drafted, Drafts, fill, sources_of
from propd.planning.feedback import Feedback
from propd.planning.guesser import Guesser, Mixture
from propd.planning.phrases import LONGEST
from propd.planning.planner import Outlook, Planner
from propd.planning.pruner import Pruner, told_of
from propd.planning.text_index import TextIndex
from propd.requests import prompt_too_long
from propd.rows import Row
from propd.tree.pruning import EarlyView, Pruning, look, prune
from propd.tree.sampling import Chooser, largest
from propd.tree.topology import ROOT_ONLY, ancestor_mask, inner_nodes, select
from propd.verification import Verdict, judge

Ends = Callable[[int, Sequence[int]], int | None]
"""(row number, new tokens) -> how many of them the text keeps if it ends there, else None."""


class Verified(NamedTuple):
    """What the host knows of a step when the model has spoken."""

    kept: Nodes
    """The nodes that were verified."""
    pruning: Pruning | None
    verdicts: Sequence[Verdict]


class DecodingSession:
    """Sequences decoded together. Owns cache and planner; weights and heads are shared.

    ``join`` a prompt, ``step`` until a row has a finish reason, and ``leave``: rows come and go
    while others run. ``run`` does it for a list of prompts.
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: DraftHeads | None,
        planner: Planner,
        pruner: Pruner | None,
        config: DecodingConfig,
        end_tokens: Sequence[int],
        capacity: int,
        max_rows: int = 1,
        ends: Ends | None = None,
        guesser: Guesser | None = None,
    ) -> None:
        self.backbone, self.heads, self.config = backbone, heads, config
        self.planner, self.pruner, self.ends = planner, pruner, ends
        self.end_tokens = frozenset(() if config.ignore_eos else end_tokens)
        self.guesser = guesser
        self.prune_layer = config.prune_layer or (heads.shape.prune_layer if heads else 0)
        self.room = self._room(planner.max_nodes + 1)
        slots = min(capacity, backbone.max_positions) + self.room
        self.max_rows, self.rows = max_rows, list[Row]()
        self.cache = self._new_cache(slots)
        self.clock, self.closed = BusyClock(), False
        self._judging = False

    def run(self, prompts: Sequence[Sequence[int]], stepped: int = 0) -> Iterator[StepEvent]:
        """Decode prompts, as many at once as there are rows. Closing the iterator cancels.

        Each prompt gives one event for its prefill, then one a step. stepped: as in `join`.
        """
        waiting = list(enumerate(prompts))[::-1]
        try:
            while waiting or self.rows:
                while waiting and len(self.rows) < self.max_rows:
                    number, prompt = waiting.pop()
                    event = self.join(number, prompt, stepped)
                    self.let_go()
                    yield event
                events = self.step()
                self.let_go()
                yield from events
        finally:
            for row in self.rows[::-1]:
                self.leave(row)

    def let_go(self) -> None:
        """Finished rows leave."""
        for row in [row for row in self.rows if row.finish_reason]:
            self.leave(row)

    @torch.inference_mode()
    def join(self, number: int, prompt: Sequence[int], stepped: int = 0) -> StepEvent:
        """Take a new row in and read its prompt, whose first new token is the event's bonus.

        stepped: so many last tokens of the prompt are computed as a step computes them, because
        they are the beginning of the answer.
        """
        self._check_open()
        if len(self.rows) == self.max_rows:
            raise InvalidRequest(f"All {self.max_rows} rows are taken; wait until one has left.")
        with self.clock, self.backbone.at_work():
            return self._take_in(number, prompt, stepped)

    def _take_in(self, number: int, prompt: Sequence[int], stepped: int) -> StepEvent:
        watch, slot = watch_of(self.backbone.device), len(self.rows)
        room = min(self.backbone.max_positions, self.cache.capacity - self.room)
        remaining = min(self.config.max_new_tokens, room - len(prompt))
        if remaining < 1:
            raise prompt_too_long(f"{len(prompt):,} tokens", room)
        chooser = Chooser(self.config, self.config.seed + number)
        tail = tuple(prompt[-LONGEST:])
        row = Row(number, remaining, chooser, len(prompt), began=self.clock.seconds, tail=tail)
        if self.config.guesses in ("text", "both"):
            row.text = TextIndex(prompt)
        try:
            final = self.backbone.final_norm(self._read(prompt, slot, stepped))
            watch.lap("late")
            verdict = self._begin(row, prompt[-1], final)
        except BaseException:
            self.cache.lengths[slot] = 0  # nobody took the place
            raise
        self.rows.append(row)
        row.settle(verdict, final, prompt[-1:])
        watch.lap("verify")
        record = StepRecord("prefill", ROOT_ONLY, (prompt[-1],), verdict, watch.result(), 0)
        return self._tell(row, record, rows=1)

    def _read(self, prompt: Sequence[int], slot: int, stepped: int) -> Tensor:
        """(1, H) hidden state of the prompt's last token."""
        read, begins = self.backbone.read, len(prompt) - stepped
        hidden = read(prompt[:begins], self.cache, slot)
        if stepped:
            hidden = read(prompt[begins:], self.cache, slot, as_prompt=False)
        return hidden

    def leave(self, row: Row) -> None:
        """Let a row go, finished or not; the last row takes its place in the cache."""
        slot, last = self.rows.index(row), len(self.rows) - 1
        if slot != last:
            self.cache.move(last, slot)
            self.rows[slot] = self.rows[last]
        self.cache.lengths[last] = 0
        self.rows.pop()

    @torch.inference_mode()
    def step(self) -> list[StepEvent]:
        """One pass through the loop: an event for each row."""
        self._check_open()
        if not self.rows:
            return []
        self._judging = False
        try:
            with self.clock, self.backbone.at_work():
                return self._pass()
        except BaseException:
            if self._judging:
                # random numbers are drawn and texts have grown: going on would tell another text
                self.close()
            raise

    def _pass(self) -> list[StepEvent]:
        watch = watch_of(self.backbone.device)
        outlook = self._look_ahead()
        wanted = self._wants_drafts(outlook)
        watch.lap("grow")
        drafts = self._draft(wanted)
        watch.lap("draft")
        trees, decision = self._plan(outlook, drafts)
        drafted = [fill(tree, said) for tree, said in zip(trees, drafts, strict=True)]
        nodes = self._embed(trees, drafted)
        watch.lap("grow")
        nodes = self._run_early(nodes)
        watch.lap("early")
        kept, pruning = self._prune(nodes, decision, outlook.past)
        watch.lap("prune")
        kept = self._run_late(kept)
        watch.lap("late")
        logits = self._score(kept)
        watch.lap("verify")
        self._draft_ahead()
        watch.lap("draft")
        self._judging = True
        kept, pruning, verdicts = self._verify(kept, pruning, logits)
        watch.lap("verify")
        pasts = tuple(self.cache.lengths)
        self._commit(kept, verdicts)
        watch.lap("commit")
        step = Step(
            nodes=nodes,
            kept=kept,
            pruning=pruning,
            verdicts=verdicts,
            drafts=drafts,
            drafted=drafted,
            heads_ran=wanted and self.heads is not None,
            decision=decision,
            milliseconds=watch.result(),
            pasts=pasts,
        )
        self._learn(step, outlook.past)
        watch.lap("commit")
        return self._tell_step(replace(step, milliseconds=watch.result()), logits)

    # The verbs of the loop, in its order.

    def _look_ahead(self) -> Outlook:
        past = round(sum(self.cache.lengths) / len(self.rows))
        return Outlook(tuple(row.remaining - 1 for row in self.rows), past)

    def _wants_drafts(self, outlook: Outlook) -> bool:
        return self.planner.wants_drafts(outlook)

    def _plan(
        self, outlook: Outlook, drafts: Sequence[Drafts]
    ) -> tuple[list[TokenTree], SizeDecision]:
        return self.planner.plan(outlook, drafts)

    def _draft(self, wanted: bool) -> Sequence[Drafts]:
        drafts: Sequence[Drafts] = [NO_DRAFTS] * len(self.rows)
        if wanted and self.heads is not None:
            drafts = self._ask(self.heads)
        if self.guesser is None:
            return drafts
        rows = zip(self.rows, drafts, strict=True)
        return [self.guesser.mix(said, row.text, row.tail) for row, said in rows]

    def _ask(self, heads: DraftHeads) -> Sequence[Drafts]:
        hidden = torch.stack([row.hidden for row in self.rows])
        return heads.draft(hidden, [row.root for row in self.rows])

    def _embed(self, trees: Sequence[TokenTree], drafted: Sequence[Sequence[Drafted]]) -> Nodes:
        tokens = [
            (row.root, *(node.token_id for node in nodes))
            for row, nodes in zip(self.rows, drafted, strict=True)
        ]
        visible = tuple(ancestor_mask(tree.parents) for tree in trees)
        place = self._place(visible, trees)
        hidden = self.backbone.embed([token for row in tokens for token in row])
        return Nodes(tuple(trees), tuple(tokens), sources_of(drafted), visible, hidden, place)

    def _run_early(self, nodes: Nodes) -> Nodes:
        run, last = self.backbone.run_layers, self.prune_layer
        return replace(nodes, hidden=run(nodes.hidden, 0, last, nodes.place, self.cache))

    def _run_late(self, nodes: Nodes) -> Nodes:
        backbone, first = self.backbone, self.prune_layer
        last = backbone.layer_count
        hidden = backbone.run_layers(nodes.hidden, first, last, nodes.place, self.cache)
        return replace(nodes, hidden=backbone.final_norm(hidden))

    def _score(self, nodes: Nodes) -> Tensor:
        return self.backbone.logits(nodes.hidden)

    def _draft_ahead(self) -> None:
        """Not here: the host draws up the next trees when it knows their roots."""

    def _prune(
        self, nodes: Nodes, decision: SizeDecision, past: int
    ) -> tuple[Nodes, Pruning | None]:
        parents = nodes.parents()
        inner = inner_nodes(parents)
        if self.pruner is None or self.heads is None or not decision.prunes or not inner:
            return nodes, None
        seen = nodes.hidden.index_select(0, send(inner, nodes.hidden.device)).to(
            self.backbone.dtype
        )
        score = partial(self.heads.look_early, self.prune_layer, seen)
        ranks, chances = look(parents, nodes.all_token_ids(), score)
        view = EarlyView(
            tuple(parents),
            nodes.depths(),
            nodes.values(),
            ranks,
            chances,
            past,
            nodes.all_sources(),
        )
        pruning = prune(view, self.pruner.keep(view))
        if all(pruning.alive):
            return nodes, pruning
        kept = kept_places(pruning.alive, nodes.starts)
        for slot, places in enumerate(kept):
            # K and V below the prune layer close up, so that one index counts in all layers
            self.cache.keep(slice(0, self.prune_layer), slot, places)
        trees = [select(tree, places) for tree, places in zip(nodes.trees, kept, strict=True)]
        place = self._place(visible_of(nodes, kept), trees)
        return survivors(nodes, kept, trees, place), pruning

    def _verify(self, kept: Nodes, pruning: Pruning | None, logits: Tensor) -> Verified:
        best = read(largest(logits))[0] if self.config.temperature == 0 else None
        spans = map(kept.span, range(len(self.rows)))
        verdicts = [
            self._judge(row, tree, tokens, logits[span], best and best[span])
            for row, tree, tokens, span in zip(
                self.rows, kept.trees, kept.token_ids, spans, strict=True
            )
        ]
        return Verified(kept, pruning, verdicts)

    def _begin(self, row: Row, token: int, final: Tensor) -> Verdict:
        """The first token of an answer. token: the last of the prompt; final: (1, H)."""
        return self._judge(row, ROOT_ONLY, (token,), self.backbone.logits(final))

    def _judge(
        self,
        row: Row,
        tree: TokenTree,
        tokens: Sequence[int],
        logits: Tensor,
        best: Sequence[int] | None = None,
    ) -> Verdict:
        verdict = judge(row.chooser, tree.parents, tokens, logits, self.end_tokens, best)
        if self.ends is None:
            return verdict
        count = self.ends(row.number, verdict.acceptance.written(tokens))
        return verdict if count is None else verdict.cut(count)

    def _commit(self, kept: Nodes, verdicts: Sequence[Verdict]) -> None:
        for slot, (row, verdict) in enumerate(zip(self.rows, verdicts, strict=True)):
            self.cache.commit(slot, (0, *verdict.acceptance.path))
            row.settle(verdict, kept.hidden[kept.span(slot)], kept.token_ids[slot])

    def _learn(self, step: Step, past: int) -> None:
        work = Work(
            rows=len(step.verdicts),
            early=step.nodes.starts[-1],
            late=step.kept.starts[-1],
            past=past,
            pruned=step.pruning is not None,
            drafted=step.heads_ran,
        )
        rows = tuple(step.feedback(slot) for slot in range(work.rows))
        for said, verdict in zip(step.drafts, step.verdicts, strict=True):
            if isinstance(said, Mixture) and self.guesser is not None:
                self.guesser.learn(said, verdict.truths())
        feedback = Feedback(work, step.milliseconds, rows)
        self.planner.learn(feedback)
        if self.pruner is not None:
            self.pruner.learn(feedback)

    # Telling what happened.

    def _tell_step(self, step: Step, logits: Tensor) -> list[StepEvent]:
        events = []
        for slot, row in enumerate(self.rows):
            record = step.record(slot, self._final_probabilities(step.kept, slot, logits))
            if step.pruning is not None and self.pruner is not None and record.tree.size:
                record = replace(record, prune_layer=self.prune_layer, **told_of(self.pruner))
            events.append(self._tell(row, record, rows=len(self.rows)))
        return events

    def _final_probabilities(
        self, kept: Nodes, slot: int, logits: Tensor
    ) -> Sequence[float | None]:
        tokens = kept.token_ids[slot]
        if not self.config.record_probabilities:
            return (None,) * len(tokens)
        with self.clock.pause():  # for pictures only: it is not part of the decoding
            return final_probabilities(kept.trees[slot].parents, tokens, logits[kept.span(slot)])

    def _tell(self, row: Row, record: StepRecord, rows: int) -> StepEvent:
        event = build_event(record, row.events, self.clock.seconds - row.began, row.finish_reason)
        row.events += 1
        return replace(event, row=row.number, rows=rows)

    # Keeping house.

    def check_integrity(self) -> None:
        """Raise if cache and rows disagree, or the cache holds a number that is not finite."""
        self._check_open()
        self.cache.check_integrity()
        expected = [row.cached for row in self.rows]
        expected += [0] * (self.max_rows - len(self.rows))
        if self.cache.lengths != expected:
            raise RuntimeError(f"the cache holds {self.cache.lengths} and the rows say {expected}")

    def close(self) -> None:
        """Free the cache; the session cannot be used any more. May be called twice."""
        self.rows.clear()
        self.cache.free()
        self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            raise InvalidRequest("The session is closed; open a new one.")

    def _new_cache(self, slots: int) -> KVCache:
        return self.backbone.new_cache(self.max_rows, slots)

    def _room(self, nodes: int) -> int:
        """Slots behind the past that a step of so many nodes a row takes, the root included."""
        return nodes

    def _place(self, visible: Sequence[np.ndarray], trees: Sequence[TokenTree]) -> Placement:
        depths = [tree.depths for tree in trees]
        return self.backbone.place(visible, depths, self.cache.lengths[: len(trees)])
