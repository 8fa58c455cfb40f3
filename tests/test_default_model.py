"""The real default model with its shipped heads, end to end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import propd
from propd.benchmark.prompts import PROMPTS
from propd.models.loading import load_pretrained

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def engine() -> Iterator[propd.Engine]:
    yield propd.load(dtype="float32")


def transformers_greedy(model: torch.nn.Module, ids: list[int], count: int) -> list[int]:
    with torch.inference_mode():
        output = model.generate(torch.tensor([ids]), max_new_tokens=count, do_sample=False)
    return output[0, len(ids) :].tolist()


def test_equals_transformers(engine: propd.Engine) -> None:
    """Logits within 1e-3 of transformers, and the same 64 greedy tokens on 5 prompts."""
    model = load_pretrained("smollm2-135m-instruct", dtype="float32", device="cpu").model
    for prompt in PROMPTS[:5]:
        ids = engine.encode(prompt)
        run = engine.generate(prompt, method="autoregressive", max_new_tokens=64)
        assert list(run.token_ids) == transformers_greedy(model, ids, 64)
    backbone = engine.backbone
    with torch.inference_mode():
        expected = model(torch.tensor([ids])).logits[0]
        count = len(ids)
        cache = backbone.new_cache(1, count)
        place = backbone.place([np.tri(count, dtype=bool)], [range(count)], [0])
        layers = backbone.layer_count
        hidden = backbone.run_layers(backbone.embed(ids), 0, layers, place, cache)
        logits = backbone.logits(backbone.final_norm(hidden))
    assert (logits - expected).abs().max() < 1e-3


def test_every_method_writes_the_text_of_plain_decoding(engine: propd.Engine) -> None:
    for prompt in PROMPTS[:3]:
        plain = engine.generate(prompt, method="autoregressive", max_new_tokens=48)
        for method in propd.METHODS:
            run = engine.generate(prompt, method=method, max_new_tokens=48)
            assert run.token_ids == plain.token_ids, method


def test_the_shipped_heads_guess_well(engine: propd.Engine) -> None:
    """Acceptance must not rot unnoticed: the text would stay right and only speed would go."""
    assert engine.heads is not None
    runs = [engine.generate(p, method="medusa", max_new_tokens=64).stats for p in PROMPTS[:3]]
    passes = sum(run.steps for run in runs)
    assert sum(run.decoded_tokens for run in runs) / passes > 1.6


def test_characters_stay_whole(engine: propd.Engine) -> None:
    run = engine.generate("Repeat these emoji: 😀 👍🏽 🇳🇱", max_new_tokens=32)
    assert "".join(event.text for event in run.events) == run.text
    assert run.text == engine.tokenizer.decode(run.token_ids, skip_special_tokens=True)
