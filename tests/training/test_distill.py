"""Self-distillation on a tiny model: shards, their shape, and going on after a stop."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

import propd
from propd.errors import InvalidRequest
from propd.training.corpus import Corpus
from propd.training.distill import DistillPlan, distill
from propd.training.seeds import ABOUT_TEXT, PLAIN, draw_seed

TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
PLAN = DistillPlan(tokens=60, wave=8, rows=4, answer_tokens=10)


@pytest.fixture(scope="module")
def engine(tiny_folder: Path) -> propd.Engine:
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    engine.tokenizer.chat_template = TEMPLATE
    engine.backbone.max_positions = 256
    return engine


def write(engine: propd.Engine, folder: Path, plan: DistillPlan = PLAN) -> list[str]:
    told: list[str] = []
    distill(engine, folder, plan, told.append)
    return told


def test_a_shard_is_training_text(engine: propd.Engine, tmp_path: Path) -> None:
    write(engine, tmp_path)
    corpus = Corpus.load(tmp_path / "shard-0000.npz")
    assert len(corpus) > 3
    with np.load(tmp_path / "shard-0000.npz") as shard:
        assert len(shard["kinds"]) == len(shard["temperatures"]) == len(corpus)
        assert set(shard["temperatures"]) <= {0.0, np.float32(0.7)}


def test_greedy_answers_are_those_of_the_engine(engine: propd.Engine, tmp_path: Path) -> None:
    """Heads trained on anything but the model's own text guess somebody else's."""
    write(engine, tmp_path)
    corpus = Corpus.load(tmp_path / "shard-0000.npz")
    with np.load(tmp_path / "shard-0000.npz") as shard:
        greedy = [i for i, t in enumerate(shard["temperatures"]) if t == 0]
    for index in greedy[:3]:
        prompt = corpus.prompt_lengths[index]
        sequence = [int(token) for token in corpus.sequence(index)]
        with engine.open(method="autoregressive", max_new_tokens=10) as session:
            events = session.run([sequence[:prompt]])
            assert [t for event in events for t in event.token_ids] == sequence[prompt:]


def test_it_goes_on_where_it_stopped(engine: propd.Engine, tmp_path: Path) -> None:
    """An interrupted run and an uninterrupted one write the same shards."""
    bigger = DistillPlan(**{**vars(PLAN), "tokens": 200})
    write(engine, tmp_path / "stopped")
    first = (tmp_path / "stopped" / "shard-0000.npz").stat().st_mtime_ns
    write(engine, tmp_path / "stopped", bigger)
    assert (tmp_path / "stopped" / "shard-0000.npz").stat().st_mtime_ns == first
    write(engine, tmp_path / "whole", bigger)
    names = sorted(path.name for path in (tmp_path / "whole").glob("shard-*.npz"))
    assert len(names) > 1
    for name in names:
        one, other = (np.load(tmp_path / run / name) for run in ("stopped", "whole"))
        assert all(np.array_equal(one[key], other[key]) for key in one.files)


def test_shards_of_other_settings_are_refused(engine: propd.Engine, tmp_path: Path) -> None:
    write(engine, tmp_path)
    with pytest.raises(InvalidRequest, match="holds shards of other settings"):
        write(engine, tmp_path, DistillPlan(**{**vars(PLAN), "seed": 1}))


def test_seeds_cover_every_kind_and_leave_no_blank() -> None:
    source = random.Random(0)
    passage = "A first sentence with some words in it. A second {one} that goes on for a while."
    drawn = [draw_seed(source, [passage]) for _ in range(3000)]
    assert {seed.kind for seed in drawn} == {*PLAIN, *ABOUT_TEXT}
    assert len({seed.text for seed in drawn}) > 1200
    assert all("{" not in seed.text.replace(passage, "").replace("{one}", "") for seed in drawn)
    assert {draw_seed(source, []).kind for _ in range(500)} == set(PLAIN)


def test_a_folder_of_shards_is_one_corpus(engine: propd.Engine, tmp_path: Path) -> None:
    """A start that is off by one shard would train heads on the wrong tokens."""
    write(engine, tmp_path, DistillPlan(**{**vars(PLAN), "tokens": 150}))
    shards = [Corpus.load(path) for path in sorted(tmp_path.glob("shard-*.npz"))]
    whole = Corpus.load(tmp_path)
    assert len(shards) > 1
    sequences = [list(s.sequence(i)) for s in shards for i in range(len(s))]
    assert [list(whole.sequence(i)) for i in range(len(whole))] == sequences
    with pytest.raises(InvalidRequest, match="holds no shards"):
        Corpus.load(tmp_path / "..")
