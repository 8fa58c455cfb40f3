"""Medusa heads at work: shape, early looks, and the text, which must be that of plain decoding."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import propd
from propd import kernels
from propd.core import CostTable, DecodingConfig
from propd.errors import ModelUnavailable
from propd.heads.early_files import save_early
from propd.heads.files import open_heads
from propd.heads.protocol import DraftHeads
from propd.heads.published import acceptance_prior
from propd.heads.rooted import EarlyWeights
from propd.planning.drafts import RANKS
from propd.recording import write_run
from propd.trace import load
from tests.heads.small import (
    HIDDEN,
    LAYERS,
    VOCABULARY,
    backbone,
    medusa,
    model,
    save_model,
    vllm,
    write,
)

CHEAP_TREES = CostTable((), ((1, 1.0), (64, 1.2)), (), ((1, 9.0), (64, 10.8)))
PROMPTS = ("abcabc", "l", "kjihgfedcba")
REFERENCE = torch.tensor([0, 1, 2, 3, 4, 5, 6, 8, 10, 12])


def early_weights(layers: tuple[int, ...] = (3, 1)) -> dict[str, EarlyWeights]:
    """Random early heads whose weights are the same in half precision."""
    torch.manual_seed(4)
    weights = {}
    for layer in layers:
        weights[str(layer)] = head = EarlyWeights(HIDDEN, 16)
        for parameter in head.parameters():
            parameter.data.copy_((torch.randn_like(parameter) * 0.4).half())
    return weights


def add_early(folder: Path) -> dict[str, EarlyWeights]:
    weights = early_weights()
    recall = {"3": {"4": 0.5}, "1": {"4": 0.4}}
    save_early(folder, (3, 1), 16, 4, weights, REFERENCE, recall)
    return weights


def opened(folder: Path) -> DraftHeads:
    with torch.inference_mode():
        return open_heads(folder, backbone())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model, and heads for it by name."""
    root = tmp_path_factory.mktemp("world")
    made = {"model": save_model(root / "model")}
    made["v1"] = write(root / "v1", medusa(4))
    made["v2"] = write(root / "v2", medusa(3, own_outputs=False))
    made["vllm"] = write(root / "vllm", vllm(2), "model.safetensors")
    made["early"] = write(root / "early", medusa(4))
    add_early(made["early"])
    return made


SETTINGS = {"max_new_tokens": 24, "ignore_eos": True}


@pytest.fixture(scope="module")
def plain(folders: dict[str, Path]) -> list[tuple[int, ...]]:
    engine = propd.load(str(folders["model"]))
    told = [engine.generate(p, method="autoregressive", **SETTINGS) for p in PROMPTS]
    return [one.token_ids for one in told]


@pytest.mark.parametrize("name", ["v1", "v2", "vllm", "early"])
@pytest.mark.parametrize("method", ["medusa", "propd", "propd-paper"])
def test_the_text_is_that_of_plain_decoding(
    folders: dict[str, Path], plain: list[tuple[int, ...]], name: str, method: str
) -> None:
    engine = propd.load(str(folders["model"]), heads=str(folders[name]))
    told = engine.generate_batch(
        PROMPTS,
        method=method,
        cost_table=CHEAP_TREES,
        prune_when="always",
        prune_top_k=6,
        max_nodes=24,
        **SETTINGS,
    )
    assert [one.token_ids for one in told] == plain
    steps, tokens = sum(one.stats.steps for one in told), sum(map(len, plain))
    assert tokens > 1.1 * steps, "hardly a guess was accepted: the test shows nothing"
    assert (sum(one.stats.pruned for one in told) > 0) == (method != "medusa")


def test_a_text_alone_is_that_of_plain_decoding(
    folders: dict[str, Path], plain: list[tuple[int, ...]]
) -> None:
    engine = propd.load(str(folders["model"]), heads=str(folders["v1"]))
    run = engine.generate(PROMPTS[0], method="propd-paper", cost_table=CHEAP_TREES, **SETTINGS)
    assert run.token_ids == plain[0]


def test_the_shape_says_what_looks_early(folders: dict[str, Path]) -> None:
    lens, trained = opened(folders["v1"]).shape, opened(folders["early"]).shape
    assert (lens.draft_kind, lens.early_kind) == ("medusa", "logit lens")
    assert (lens.prune_layers, lens.prune_top_k) == ((2, 1, 4), 50)
    assert (trained.draft_kind, trained.early_kind) == ("medusa", "trained")
    assert (trained.prune_layers, trained.prune_top_k) == ((3, 1), 4)
    assert lens.draft_heads == trained.draft_heads == 4


ROWS, TOKENS = [0, 0, 1, 2, 2], [7, 0, 12, 3, 5]


def check_look(heads: DraftHeads, layer: int, states: Tensor, logits: Tensor) -> None:
    """Ranks and probabilities of candidates against logits (I, V) and the reference words."""
    with torch.inference_mode():
        ranks, chances = heads.look_early(layer, states, ROWS, TOKENS)
    words = torch.arange(VOCABULARY) if heads.shape.early_kind == "logit lens" else REFERENCE
    for place, (row, token) in enumerate(zip(ROWS, TOKENS, strict=True)):
        crowd, score = logits[row, words], logits[row, token]
        assert ranks[place] == (crowd > score).sum()
        chance = (score - crowd.logsumexp(0)).exp().clamp(max=1.0)
        assert float(chances[place]) == pytest.approx(float(chance), abs=1e-5)


@pytest.mark.parametrize("layer", [1, 2, LAYERS // 2])
def test_the_lens_is_the_models_own_end(folders: dict[str, Path], layer: int) -> None:
    torch.manual_seed(5)
    states = torch.randn(3, HIDDEN)
    core = model()
    check_look(opened(folders["v1"]), layer, states, core.lm_head(core.model.norm(states)))


@pytest.mark.parametrize("layer", [1, 3])
def test_a_trained_early_head_takes_the_place_of_the_lens(
    tmp_path: Path, layer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "ready", lambda: False)  # whose products are not exact
    weights = add_early(write(tmp_path, medusa()))
    torch.manual_seed(5)
    states = torch.randn(3, HIDDEN)
    with torch.inference_mode():
        logits = model().lm_head(weights[str(layer)](states))
    check_look(opened(tmp_path), layer, states, logits)


def spoil(folder: Path, name: str, tensor: Tensor) -> None:
    file = folder / "early-03.safetensors"
    save_file({**load_file(file), name: tensor}, file)


@pytest.mark.parametrize(
    ("name", "tensor", "sentence"),
    [
        ("early.3.norm", torch.full((HIDDEN,), torch.inf), "not finite"),
        ("early.3.norm", torch.ones(HIDDEN + 1), "cannot be read"),
        ("early.1.norm", torch.ones(HIDDEN), "cannot be read"),
        ("reference", REFERENCE + 1, "largest token of the reference vocabulary is 13"),
        ("reference", REFERENCE[:5], "reference vocabulary is 5 and must be 10 to 13"),
    ],
)
def test_bad_early_heads_are_refused(
    name: str, tensor: Tensor, sentence: str, tmp_path: Path
) -> None:
    add_early(write(tmp_path, medusa()))
    spoil(tmp_path, name, tensor)
    with pytest.raises(ModelUnavailable, match=sentence):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("layers", [8], "cannot be read"),
        ("layers", [], "number of layers with an early head is 0"),
        ("width", 17, "cannot be read"),
        ("prune_top_k", 0, "k of early pruning is 0"),
        ("layers", 3, "cannot be read"),
    ],
)
def test_a_bad_early_config_is_refused(
    key: str, value: object, sentence: str, tmp_path: Path
) -> None:
    add_early(write(tmp_path, medusa()))
    path = tmp_path / "early.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelUnavailable, match=sentence):
        opened(tmp_path)


def test_an_early_head_behind_the_last_layer_is_refused(tmp_path: Path) -> None:
    save_early(write(tmp_path, medusa()), (8,), 16, 4, early_weights((8,)), REFERENCE, {})
    with pytest.raises(ModelUnavailable, match="layer of the early head is 8 and must be 1 to 7"):
        opened(tmp_path)


@pytest.mark.parametrize("base", ["lmsys/vicuna-7b-v1.3", "lmsys/vicuna-13b-v1.3", "unknown"])
def test_the_prior_is_as_published(base: str) -> None:
    """Cumulative chances of the best 1 to 5, and a falling rest that sums to less than 1."""
    first = {"lmsys/vicuna-13b-v1.3": (0.5939, 0.8161)}.get(base, (0.5604, 0.7799))
    table = acceptance_prior(base, 7)
    assert table[0][0] == first[0]
    assert sum(table[0][:5]) == pytest.approx(first[1], abs=1e-4)
    assert len(table) == 7
    assert table[4] == table[5] == table[6]
    for row in table:
        assert len(row) == RANKS
        assert sum(row) < 1
        assert all(after < before for before, after in pairwise(row[4:]))


def test_the_config_names_the_base_model(tmp_path: Path) -> None:
    write(tmp_path, medusa(), config={"base_model_name_or_path": "lmsys/vicuna-33b-v1.3"})
    table = opened(tmp_path).shape.acceptance_table
    assert table == acceptance_prior("lmsys/vicuna-33b-v1.3", 3)
    assert [row[0] for row in table] == [0.6046, 0.3558, 0.2246]


def test_a_run_says_what_guessed_and_what_looked_early(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """A speed with the lens must not be taken for one with a trained early head."""
    for name, early in (("v1", "logit lens"), ("early", "trained")):
        engine = propd.load(str(folders["model"]), heads=str(folders[name]))
        events = list(engine.stream("abc", method="medusa", **SETTINGS))
        path = tmp_path / "run.json"
        write_run(path, engine.describe(), "abc", DecodingConfig(method="medusa"), events)
        assert load(path).header.heads == {"draft": "medusa", "early": early}
    assert propd.load(str(folders["model"])).describe()["heads"] == {}
