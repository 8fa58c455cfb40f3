"""Small worlds and sessions for tests, made in one place.

A test says what it wants: a method, rows, end tokens, a rule of pruning, a call that breaks. Only
this module knows how a session is built and opened up, so a change of the engine is one edit here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from propd.core import CostTable, DecodingConfig, SizeDecision, StepEvent, TokenTree
from propd.decoding import DecodingSession
from propd.heads.rooted import Heads, HeadsConfig, HeadWeights
from propd.methods import (
    METHODS,
    make_cost,
    make_guesser,
    make_planner,
    make_pruner,
    settled,
)
from propd.models.backbone import Backbone
from propd.planning.drafts import RANKS, Drafts
from propd.planning.feedback import Feedback
from propd.planning.planner import Outlook, Planner
from propd.rows import Row
from propd.tree.pruning import EarlyTensors, EarlyView

TREE_METHODS = [name for name, method in METHODS.items() if method.tree != "root"]
PRUNING_METHODS = [name for name, method in METHODS.items() if method.pruning]

Prompts = Sequence[Sequence[int]]
Events = list[StepEvent]


# Worlds: a model and its heads.


@dataclass(frozen=True)
class World:
    """A tiny Llama of three layers with random heads that prune after the first."""

    backbone: Backbone
    heads: Any


@cache
def small_world(vocabulary: int = 12, positions: int = 256, seed: int = 0) -> World:
    """Few tokens, so that even random heads are often right: paths of two and three are accepted.

    Weights are drawn wide, so that keys, values and logits are of size 1 and more, and a wrong
    slot is off by as much. Not packed: at this size packing only costs time.
    """
    torch.manual_seed(seed)
    shape = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=positions,
        tie_word_embeddings=False,
    )
    model = AutoModelForCausalLM.from_config(shape).float().eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.uniform_(0.5, 1.5)
        else:
            weight.normal_(0, 0.4)
    with torch.inference_mode():
        backbone = Backbone(model, pack=False)
        return World(backbone, random_heads(backbone, seed))


def random_heads(backbone: Backbone, seed: int = 0) -> Heads:
    """Four random draft heads and a random early head over the whole vocabulary."""
    torch.manual_seed(seed)
    size, vocabulary = backbone.hidden_size, backbone.vocabulary_size
    table = tuple(tuple(0.4 / (1 + d) / (1 + k) for k in range(RANKS)) for d in range(4))
    config = HeadsConfig(
        base_model="small",
        hidden_size=size,
        vocabulary_size=vocabulary,
        draft_heads=4,
        trunk_width=8,
        head_width=8,
        early_width=8,
        prune_layers=(1,),
        prune_top_k=4,
        acceptance_table=table,
        early_recall={"1": {"4": 0.5}},
        training={},
    )
    weights = HeadWeights(config)
    with torch.no_grad():
        for weight in weights.parameters():
            weight.normal_(0, 0.3)
    words = torch.arange(vocabulary)
    return Heads(config, weights, words, words, backbone)


def random_prompt(source: random.Random, world: World, longest: int = 12) -> list[int]:
    """A prompt of 1 to ``longest`` tokens."""
    count = source.randint(1, longest)
    return [source.randrange(world.backbone.vocabulary_size) for _ in range(count)]


# Sessions.


CHEAP_TREES = CostTable((), ((1, 1.0), (64, 1.2)), (), ((1, 9.0), (64, 10.8)))
"""A tree of 63 nodes costs a fifth more than none, so dynamic methods draft large trees. Given in
the config it holds for the whole run: a test draws the same trees on every machine."""

ACCEPT = "propd.verification.accept"
"""Where the loop finds `propd.tree.acceptance.accept`, for tests that put a wrong one there."""


def open_session(
    world: World,
    method: str = "propd",
    *,
    rows: int = 1,
    end_tokens: Iterable[int] = (),
    pruner: Rule | None = None,
    planner: Planner | None = None,
    kind: type[DecodingSession] = DecodingSession,
    **settings: Any,
) -> DecodingSession:
    """A session of a method; ``pruner`` and ``planner`` take the place of the method's own."""
    settings = {"cost_table": CHEAP_TREES, "prune_when": "always", **settings}
    config, shape = settled(DecodingConfig(method=method, **settings)), world.heads.shape
    cost = make_cost(config, CHEAP_TREES)
    return kind(
        world.backbone,
        world.heads,
        planner or make_planner(config, shape, cost),
        ByRule(pruner) if pruner else make_pruner(config, shape, cost),
        config,
        tuple(end_tokens),
        world.backbone.max_positions,
        rows,
        guesser=make_guesser(config, shape),
    )


def run(session: DecodingSession, prompts: Prompts) -> list[Events]:
    """Decode the prompts to their ends; the events of each."""
    told: list[Events] = [[] for _ in prompts]
    for event in session.run(prompts):
        told[event.row].append(event)
    session.check_integrity()
    assert session.rows == []
    return told


def join(session: DecodingSession, number: int, prompt: Sequence[int]) -> StepEvent:
    """Take a row in, and let it go at once if its first token already ended it."""
    event = session.join(number, prompt)
    leave_finished(session)
    return event


def step(session: DecodingSession) -> Events:
    """One step of all rows; those that finished leave."""
    events = session.step()
    leave_finished(session)
    return events


def leave_finished(session: DecodingSession) -> None:
    """Rows with a finish reason go."""
    for row in [row for row in session.rows if row.finish_reason]:
        session.leave(row)


def leave_all(session: DecodingSession) -> None:
    """Every row goes, wherever it is."""
    for row in list(session.rows):
        session.leave(row)


def row_of(session: DecodingSession, number: int) -> Row | None:
    """The row of this number, if it still runs."""
    return next((row for row in session.rows if row.number == number), None)


def tokens(events: Iterable[StepEvent]) -> list[int]:
    """What the events wrote."""
    return [token for event in events for token in event.token_ids]


def texts(told: Iterable[Events]) -> list[list[int]]:
    """What each of the prompts was answered."""
    return [tokens(events) for events in told]


def plain_texts(world: World, prompts: Prompts, **settings: Any) -> list[list[int]]:
    """What plain decoding answers, one prompt at a time, each under its own number."""
    answers = []
    for number, prompt in enumerate(prompts):
        session = open_session(world, "autoregressive", **settings)
        events = [join(session, number, prompt)]
        while session.rows:
            events += step(session)
        answers.append(tokens(events))
    return answers


def fresh_prefill(
    backbone: Backbone, text: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Keys and values, each (layers, kv heads, n, size), and (n, V) logits of a text read at once.

    No session, no tree, no commit: what the session's cache must hold after all its detours.
    """
    count = len(text)
    with torch.inference_mode():
        cache_ = backbone.new_cache(1, count)
        place = backbone.place([np.tri(count, dtype=bool)], [range(count)], [0])
        embedded = backbone.embed(text)
        hidden = backbone.run_layers(embedded, 0, backbone.layer_count, place, cache_)
        logits = backbone.logits(backbone.final_norm(hidden))
    return cache_.keys[:, 0], cache_.values[:, 0], logits


# Pruning by an arbitrary rule.

Rule = Callable[[Sequence[int]], Sequence[bool]]
"""Parents of all nodes of a step (-1 for roots) -> which nodes to keep, as far as one can."""


def keep_all(parents: Sequence[int]) -> Sequence[bool]:
    """Prunes nothing."""
    return [True] * len(parents)


def only_roots(parents: Sequence[int]) -> Sequence[bool]:
    """Prunes all it can."""
    return [False] * len(parents)


def at_random(seed: int = 0, share: float = 0.6) -> Rule:
    """Keeps each node with this chance."""
    source = random.Random(seed)
    return lambda parents: [source.random() < share for _ in parents]


class ByRule:
    """A pruner that asks a rule."""

    name = "rule"

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def keep(self, view: EarlyView) -> Sequence[bool]:
        """As the rule says."""
        return self._rule(view.parents)

    def keeps(self, seen: EarlyTensors) -> torch.Tensor:
        """The same on the device: the rule needs no numbers of it."""
        forest, parents, places = seen.forest, list[int](), list[tuple[int, int]]()
        real, up = forest.real.tolist(), forest.parents.tolist()
        for row in range(seen.rows):
            first = len(parents)
            for node in range(sum(real[row])):
                parents.append(first + up[row][node] if node else -1)
                places.append((row, node))
        keep = torch.zeros_like(forest.real)
        for (row, node), stays in zip(places, self._rule(parents), strict=True):
            keep[row, node] = bool(stays)
        return keep

    def learn(self, feedback: Feedback) -> None:
        """Nothing to learn."""


# Trees by chance.


def random_parents(source: random.Random, size: int) -> list[int]:
    """Parents of a root and ``size`` nodes: now a chain, now a star, mostly something between."""
    shape = source.random()
    parents = [-1]
    for node in range(1, size + 1):
        if shape < 0.15:
            parents.append(node - 1)
        elif shape < 0.3:
            parents.append(0)
        else:
            parents.append(source.randrange(node))
    return parents


def depths_of(parents: Sequence[int]) -> list[int]:
    """Distance of each node from its root."""
    depths: list[int] = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    return depths


class RandomTrees:
    """A planner that draws another tree for every row in every step: any shape, 0 to n nodes."""

    def __init__(self, seed: int = 0, depth: int = 4, max_nodes: int = 24) -> None:
        self._source, self._depth, self.max_nodes = random.Random(seed), depth, max_nodes

    def wants_drafts(self, outlook: Outlook) -> bool:
        """Always."""
        return True

    def plan(
        self, outlook: Outlook, drafts: Sequence[Drafts]
    ) -> tuple[list[TokenTree], SizeDecision]:
        """Whatever comes."""
        trees = [self._draw(min(limit, self._depth)) for limit in outlook.deepest]
        total = sum(tree.size for tree in trees)
        return trees, SizeDecision((total,), (), (), total, "fixed", prunes=True)

    def _draw(self, deepest: int) -> TokenTree:
        parents, ranks, depths = [-1], [0], [0]
        for _ in range(self._source.randint(0, self.max_nodes)):
            parent, rank = self._source.randrange(len(parents)), self._source.randrange(RANKS)
            taken = {r for p, r in zip(parents, ranks, strict=True) if p == parent}
            if depths[parent] < deepest and rank not in taken:
                parents.append(parent)
                ranks.append(rank)
                depths.append(depths[parent] + 1)
        values = tuple(0.5**depth for depth in depths)
        return TokenTree(tuple(parents), tuple(ranks), tuple(depths), values)

    def learn(self, feedback: Feedback) -> None:
        """Nothing to learn."""


# Breaking a session from inside.

BEFORE_COMMIT = (
    ("planner", "wants_drafts"),
    ("heads", "draft"),
    ("planner", "plan"),
    ("backbone", "embed"),
    ("backbone", "place"),
    ("backbone", "run_layers"),
    ("heads", "look_early"),
    ("pruner", "keep"),
    ("backbone", "final_norm"),
    ("backbone", "logits"),
)
TOO_LATE = (("cache", "commit"), ("planner", "learn"), ("pruner", "learn"))
"""When these raise, random numbers are drawn and texts have grown: the session closes."""
BREAKABLE = (*BEFORE_COMMIT, *TOO_LATE)
"""Calls that a step makes on its way, in order: any of them may raise."""


class Broken(Exception):
    """Raised on purpose."""


class _Stand:
    """Stands before an object and answers one of its methods in another way."""

    def __init__(self, inner: Any, method: str, answer: Callable[..., Any]) -> None:
        self.inner, self._method, self._answer = inner, method, answer

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        return partial(self._answer, value) if name == self._method else value


def change(session: DecodingSession, part: str, method: str, answer: Callable[..., Any]) -> None:
    """Let ``answer(original, *arguments)`` take the place of a method of the session's ``part``."""
    setattr(session, part, _Stand(getattr(session, part), method, answer))


def break_at(session: DecodingSession, part: str, method: str, call: int) -> None:
    """Let the n-th call from now of a method of the session's ``part`` raise `Broken`.

    A session without a pruner has none to break.
    """
    if getattr(session, part) is None:
        return
    left = [call]

    def count(original: Callable[..., Any], *given: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise Broken(method)
        return original(*given, **named)

    change(session, part, method, count)


def mend(session: DecodingSession) -> None:
    """Take every change out again."""
    for part in ("heads", "planner", "pruner", "backbone", "cache"):
        while isinstance(getattr(session, part), _Stand):
            setattr(session, part, getattr(session, part).inner)
