"""Training on a tiny model: the states are right, the heads learn, and what is saved loads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from propd.cli import main
from propd.errors import InvalidRequest, ModelUnavailable
from propd.heads.files import open_heads
from propd.heads.phrase_files import load_phrases
from propd.heads.rooted import Heads
from propd.models.backbone import Backbone
from propd.training.command import train_heads
from propd.training.corpus import Corpus
from propd.training.hidden import cache_hidden_states
from propd.training.plan import TrainingPlan
from propd.training.train import HeadTrainer
from tests.conftest import tiny_transformer

PLAN = TrainingPlan(
    epochs=6, batch=64, learning_rate=1e-2, draft_heads=2, trunk_width=32, head_width=32,
    early_width=32, vocabulary=40, reference=30, prune_layers=(2, 1), prune_top_k=3, soft=0.5,
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts that count up: after token n comes n + 1, so the heads have something to learn."""
    generator = np.random.default_rng(0)
    texts = [np.arange(30) + generator.integers(0, 20) for _ in range(60)]
    path = tmp_path_factory.mktemp("corpus") / "text.npz"
    np.savez(
        path,
        tokens=np.concatenate(texts).astype(np.uint16),
        prompt_len=np.full(60, 4, dtype=np.int32),
        total_len=np.full(60, 30, dtype=np.int32),
    )
    return path


def test_answers_begin_where_the_prompt_ends(corpus_file: Path) -> None:
    """At the first position the root is the first answer token, at the last one guess is left."""
    corpus = Corpus.load(corpus_file)
    positions = corpus.answer_positions(1)
    start = corpus.starts[1]
    assert positions[0] + 1 == start + 4
    assert positions[-1] + 2 == start + 29


def test_damaged_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    np.savez(path, tokens=np.arange(5), prompt_len=np.array([2]), total_len=np.array([9]))
    with pytest.raises(InvalidRequest, match="lengths do not add up"):
        Corpus.load(path)
    path.write_bytes(b"not an archive")
    with pytest.raises(InvalidRequest, match="is no training text"):
        Corpus.load(path)


def test_states_are_those_of_transformers_and_resume(corpus_file: Path, tmp_path: Path) -> None:
    model = tiny_transformer("llama")
    corpus = Corpus.load(corpus_file)

    def stop(done: int, total: int) -> None:
        if done == 55:
            raise KeyboardInterrupt

    with torch.inference_mode():
        backbone = Backbone(model)
        with pytest.raises(KeyboardInterrupt):
            cache_hidden_states(backbone, corpus, tmp_path, (2, 3), stop)
        seen: list[int] = []
        states = cache_hidden_states(
            backbone, corpus, tmp_path, (2, 3), lambda d, _: seen.append(d)
        )
        assert seen[0] == 51  # the first 50 were on disk
        output = model.model(torch.from_numpy(corpus.sequence(3))[None], output_hidden_states=True)
    first = corpus.prompt_lengths[3] - 1  # what lies before it nobody reads
    span = slice(corpus.starts[3] + first, corpus.starts[4])
    final = output.last_hidden_state[0, first:].numpy()
    assert np.abs(states.final[span] - final).max() < 1e-2
    for layer in (2, 3):
        early = output.hidden_states[layer][0, first:].numpy()
        assert np.abs(states.early[layer][span] - early).max() < 1e-2


def test_an_early_head_begins_as_the_models_own_norm(corpus_file: Path, tmp_path: Path) -> None:
    """On the last layer's states it would be the LM head's own input. It once began with numbers
    larger by the root of their count, and never learned what others knew before (lab notebook)."""
    with torch.inference_mode():
        backbone = Backbone(tiny_transformer("llama"))
        corpus = Corpus.load(corpus_file)
        states = cache_hidden_states(backbone, corpus, tmp_path, PLAN.prune_layers)
    trainer = HeadTrainer(backbone, corpus, states, PLAN, "tiny", (60,), Accelerator(cpu=True))
    hidden = torch.randn(5, backbone.hidden_size)
    with torch.inference_mode():
        begun = trainer.weights.early_of(2)(hidden)
        assert torch.allclose(begun, backbone.final_norm(hidden), atol=1e-4)


def test_heads_learn_and_what_is_saved_loads(corpus_file: Path, tmp_path: Path) -> None:
    """Held-out accuracy on counting text goes from nothing to nearly always right."""
    with torch.inference_mode():
        backbone = Backbone(tiny_transformer("llama"))
    said: list[str] = []
    train_heads(
        backbone, "tiny", (60,), [corpus_file], tmp_path / "heads", tmp_path / "cache", PLAN,
        said.append,
    )  # fmt: skip
    with torch.inference_mode():
        heads = open_heads(tmp_path / "heads", backbone)
    assert isinstance(heads, Heads)
    assert len(heads.config.acceptance_table) == 2
    assert heads.config.acceptance_table[0][0] > 0.8
    assert heads.config.early_recall["2"]["5"] > 0.8
    assert 60 in heads.token_map.tolist()  # the end token is always in the reduced vocabulary
    card = (tmp_path / "heads" / "README.md").read_text()
    assert f"{heads.config.acceptance_table[0][0]:.3f}" in card
    assert heads.shape.phrases is not None
    assert max(chances := heads.shape.phrases.after([30]), key=lambda t: chances[t]) == 31
    assert "phrases.safetensors" in card


def test_heads_are_trained_further(corpus_file: Path, tmp_path: Path) -> None:
    """In their own shape and words, an early head of a further layer, which begins as its
    neighbour's, beside theirs; without a step of any size they stay what they were."""
    with torch.inference_mode():
        backbone = Backbone(tiny_transformer("llama"))
    first, second, cache = tmp_path / "first", tmp_path / "second", tmp_path / "cache"
    common = (backbone, "tiny", (60,), [corpus_file])
    train_heads(*common, first, cache, replace(PLAN, epochs=2), lambda _: None)
    other = replace(PLAN, epochs=1, learning_rate=0.0, trunk_width=8, prune_layers=(2, 3))
    config = train_heads(*common, second, cache, other, lambda _: None, begin_with=first)
    before = json.loads((first / "config.json").read_text())
    assert config.trunk_width == 32 and config.prune_layers == (2, 3)
    assert [list(row) for row in config.acceptance_table] == before["acceptance_table"]
    assert config.early_recall["2"] == before["early_recall"]["2"] != config.early_recall["3"]
    assert config.training["begun_with"] == before["training"]
    third, near = (load_file(second / f"early-0{n}.safetensors") for n in (3, 2))
    assert torch.equal(third["early.3.block.inner.weight"], near["early.2.block.inner.weight"])
    assert "begun with heads trained on 60 answers" in (second / "README.md").read_text()
    (first / "config.json").write_text("{}")
    with pytest.raises(ModelUnavailable, match="their format is None"):
        train_heads(*common, second, cache, other, lambda _: None, begin_with=first)


def test_phrases_can_be_counted_for_heads_that_are_there(
    corpus_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["train", "--phrases-only", "--data", str(corpus_file), "--out"]
    assert main([*asked, str(tmp_path / "nowhere")]) == 2
    assert "There is no folder" in capsys.readouterr().err
    assert main([*asked, str(tmp_path)]) == 0
    assert "phrases counted over 57 answers" in capsys.readouterr().err
    phrases = load_phrases(tmp_path, 60)
    assert phrases is not None and set(phrases.after([7, 8])) == {9}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 0}, "The number of epochs is 0"),
        ({"batch": 10**6}, "The batch is 1000000 positions; it must be between 1 and the"),
    ],
)
def test_a_plan_that_trains_nothing_is_refused_at_once(
    corpus_file: Path, tmp_path: Path, change: dict[str, int], sentence: str
) -> None:
    """It would run for hours, write nothing, and report success."""
    with torch.inference_mode():
        backbone = Backbone(tiny_transformer("llama"))
    out = tmp_path / "heads"
    with pytest.raises(InvalidRequest, match=sentence):
        train_heads(backbone, "tiny", (60,), [corpus_file], out, tmp_path / "cache",
                    replace(PLAN, **change), lambda _: None)  # fmt: skip
    assert not (tmp_path / "cache").exists()


def test_states_of_another_model_are_not_taken_for_these(corpus_file: Path, tmp_path: Path) -> None:
    corpus = Corpus.load(corpus_file)
    states = []
    for seed in (0, 1):
        with torch.inference_mode():
            backbone = Backbone(tiny_transformer("llama", seed))
        states.append(cache_hidden_states(backbone, corpus, tmp_path, (2,)).final[5].copy())
    assert np.abs(states[0] - states[1]).max() > 0.1


def test_a_run_goes_on_where_it_stopped_and_ends_the_same(
    corpus_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights after an interruption are bit for bit those of a run that had none."""
    monkeypatch.setattr("propd.training.command.KEPT_EVERY", 5)
    monkeypatch.setattr("propd.training.command.TOLD_EVERY", 5)
    with torch.inference_mode():
        backbone = Backbone(tiny_transformer("llama"))
    plan = replace(PLAN, epochs=1)

    def train(name: str, say: Callable[[str], None]) -> None:
        out, cache = tmp_path / name, tmp_path / f"{name}-cache"
        train_heads(backbone, "tiny", (60,), [corpus_file], out, cache, plan, say)

    def stop(line: str) -> None:
        if line.strip().startswith("15/"):
            raise KeyboardInterrupt

    train("whole", lambda line: None)
    with pytest.raises(KeyboardInterrupt):
        train("pieces", stop)
    said: list[str] = []
    train("pieces", said.append)
    assert any("from step 1" in line for line in said)
    whole, pieces = (load_file(tmp_path / n / "draft.safetensors") for n in ("whole", "pieces"))
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)
    assert (tmp_path / "pieces" / "curves.html").stat().st_size > 1000
    points = json.loads((tmp_path / "pieces" / "history.json").read_text())
    assert [point["step"] for point in points] == sorted({point["step"] for point in points})


def test_texts_of_several_places_are_one(corpus_file: Path) -> None:
    one, two = Corpus.load(corpus_file), Corpus.load_all([corpus_file, corpus_file])
    assert len(two) == 2 * len(one)
    assert (two.sequence(len(one) + 3) == one.sequence(3)).all()
