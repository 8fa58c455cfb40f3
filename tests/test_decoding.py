"""The loop: whatever the tree, the heads and the pruner, the text is that of plain decoding."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from propd.core import CostTable, DecodingConfig, StepEvent
from propd.decoding import DecodingSession
from propd.heads.rooted import Heads
from propd.methods import METHODS, make_cost, make_guesser, make_planner, make_pruner, settled
from propd.models.backbone import Backbone
from tests.conftest import tiny_heads, tiny_transformer
from tests.models.test_backbone import run_line

PROMPTS = [[1, 2, 3], [7], [11, 5, 11, 5, 11, 5], list(range(30))]
# trees are cheap, so that dynamic methods draft large ones
COSTS = CostTable((), ((1, 1.0), (64, 1.2)), (), ((1, 9.0), (64, 10.8)))


def decode(
    backbone: Backbone,
    heads: Heads,
    prompt: list[int],
    method: str,
    end_tokens: tuple[int, ...] = (),
    **settings: object,
) -> list[StepEvent]:
    config = DecodingConfig(method=method, **settings)  # type: ignore[arg-type]
    session = make_session(backbone, heads, config, end_tokens)
    events = list(session.run([prompt]))
    session.check_integrity()
    return events


def make_session(
    backbone: Backbone,
    heads: Any,
    config: DecodingConfig,
    end_tokens: tuple[int, ...] = (),
    max_rows: int = 1,
) -> DecodingSession:
    # pruned in every step, so that pruning is met often; sizes by a table, so that no clock decides
    config = settled(dataclasses.replace(config, prune_when="always", cost_table=COSTS))
    shape, cost = heads.shape, make_cost(config, COSTS)
    planner, pruner = make_planner(config, shape, cost), make_pruner(config, shape, cost)
    room = backbone.max_positions
    return DecodingSession(
        backbone, heads, planner, pruner, config, end_tokens, room, max_rows,
        guesser=make_guesser(config, shape),
    )  # fmt: skip


def tokens(events: list[StepEvent]) -> list[int]:
    return [token for event in events for token in event.token_ids]


def transformers_greedy(model: torch.nn.Module, prompt: list[int], count: int) -> list[int]:
    output = model.generate(
        torch.tensor([prompt]), max_new_tokens=count, do_sample=False, eos_token_id=None
    )
    return output[0, len(prompt) :].tolist()


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_every_method_writes_what_transformers_writes(family: str) -> None:
    """Guards the whole loop: mask, compaction after pruning, commit, positions."""
    model = tiny_transformer(family)
    with torch.inference_mode():
        backbone = Backbone(model)
        heads = tiny_heads(backbone)
    for prompt in PROMPTS:
        expected = transformers_greedy(model, prompt, 40)
        for method in METHODS:
            assert tokens(decode(backbone, heads, prompt, method, max_new_tokens=40)) == expected


@pytest.mark.parametrize("kept", [1, 61])
def test_any_pruning_leaves_the_text_alone(backbone: Backbone, heads: Heads, kept: int) -> None:
    """A pruner that cuts almost all, or nothing, changes the speed and not the text."""
    plain = tokens(decode(backbone, heads, [1, 2, 3], "autoregressive", max_new_tokens=50))
    events = decode(backbone, heads, [1, 2, 3], "propd", max_new_tokens=50, prune_top_k=kept)
    assert tokens(events) == plain
    pruned = sum(event.pruned for event in events)
    assert (pruned > 0) == (kept == 1)


def test_each_step_writes_at_least_one_token(backbone: Backbone, heads: Heads) -> None:
    for method in METHODS:
        events = decode(backbone, heads, [4, 4], method, max_new_tokens=30)
        assert all(event.token_ids for event in events)


def test_events_tell_one_story(backbone: Backbone, heads: Heads) -> None:
    """The numbers of an event agree with its nodes, and the nodes with the tree they came from."""
    for event in decode(backbone, heads, [3, 1], "propd", max_new_tokens=40)[1:]:
        fates = [node.fate for node in event.nodes]
        assert fates[0] == "root"
        assert "root" not in fates[1:]
        assert event.decision.chosen == event.drafted == event.pruned + event.verified
        for node in event.nodes[1:]:
            parent = event.nodes[node.parent]
            assert node.depth == parent.depth + 1
            if node.fate == "accepted":
                assert parent.choice_id == node.token_id
            if parent.fate == "pruned":
                assert node.fate == "pruned"
            if node.fate == "pruned" and parent.fate != "pruned":
                assert node.early_rank is not None
                assert node.early_rank >= 3
        last = event.accepted[-1] if event.accepted else 0
        assert event.bonus is None or event.bonus.parent == last


def test_final_probabilities_are_those_of_the_model(backbone: Backbone, heads: Heads) -> None:
    """Each equals the softmax of the model's logits after the node's own path, read as a line."""
    prompt = [2, 9]
    events = decode(backbone, heads, prompt, "medusa", max_new_tokens=12, record_probabilities=True)
    text, told = prompt + list(events[0].token_ids), 0
    for event in events[1:]:
        for node in event.nodes[1:]:
            path, up = [], node.parent
            while up > 0:
                path.insert(0, event.nodes[up].token_id)
                up = event.nodes[up].parent
            with torch.inference_mode():
                law = run_line(backbone, text + path, 2)[-1].softmax(-1)
            assert node.final_probability == pytest.approx(float(law[node.token_id]), abs=1e-4)
            told += 1
        text += event.token_ids
    assert told > 100


def batch(
    backbone: Backbone, heads: Heads, method: str, max_rows: int, **settings: object
) -> dict[int, list[StepEvent]]:
    config = DecodingConfig(method=method, **settings)  # type: ignore[arg-type]
    session = make_session(backbone, heads, config, (60,), max_rows)
    events: dict[int, list[StepEvent]] = {row: [] for row in range(len(PROMPTS))}
    for event in session.run(PROMPTS):
        events[event.row].append(event)
        session.check_integrity()
    assert session.rows == []
    return events


@pytest.mark.parametrize("max_rows", [1, 3])
def test_seeds_reproduce_alone_and_in_any_batch(
    backbone: Backbone, heads: Heads, max_rows: int
) -> None:
    """One random number a token: the same seed writes the same text, whatever was drafted."""
    settings: dict[str, Any] = {"temperature": 0.8, "seed": 5, "max_new_tokens": 30}
    texts = [
        {row: tokens(events) for row, events in batch(*run, **settings).items()}
        for run in (
            (backbone, heads, "autoregressive", max_rows),
            (backbone, heads, "medusa", 4),
            (backbone, heads, "propd", 2),
        )
    ]
    assert texts[0] == texts[1] == texts[2]
    greedy = batch(backbone, heads, "propd", 4, max_new_tokens=30)
    assert any(texts[0][row] != tokens(greedy[row]) for row in greedy)


def test_a_row_can_leave_while_others_run(backbone: Backbone, heads: Heads) -> None:
    """Cancelling a neighbour changes nothing for the rows that stay."""
    alone = tokens(decode(backbone, heads, PROMPTS[3], "propd", (60,), max_new_tokens=30))
    config = DecodingConfig(max_new_tokens=30)
    session = make_session(backbone, heads, config, (60,), max_rows=3)
    joined = [session.join(number, PROMPTS[number]) for number in (0, 1, 3)]
    written = list(joined[2].token_ids)
    for _ in range(3):
        written += [t for e in session.step() if e.row == 3 for t in e.token_ids]
    session.leave(session.rows[0])
    while all(row.finish_reason is None for row in session.rows if row.number == 3):
        for row in [row for row in session.rows if row.finish_reason]:
            session.leave(row)
        written += [t for e in session.step() if e.row == 3 for t in e.token_ids]
    assert written == alone


def test_closing_the_stream_cancels(backbone: Backbone, heads: Heads) -> None:
    config = DecodingConfig(max_new_tokens=40)
    session = make_session(backbone, heads, config)
    stream = session.run([[1, 2]])
    next(stream)
    first = next(stream)
    assert session.cache.lengths[0] == 2 + len(first.token_ids)
    stream.close()  # type: ignore[attr-defined]
    session.check_integrity()
    assert session.rows == list(stream) == []
