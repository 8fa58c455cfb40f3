"""Files of Medusa heads in the layouts of others, against the formulas of their projects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from propd.errors import ModelUnavailable
from propd.heads.files import open_heads
from propd.heads.phrase_files import save_phrases
from propd.heads.protocol import DraftHeads
from propd.planning.drafts import RANKS
from propd.planning.phrases import count_phrases
from tests.heads.small import (
    HIDDEN,
    VOCABULARY,
    Tensors,
    backbone,
    medusa,
    medusa_logits,
    model,
    random,
    vllm,
    vllm_logits,
    write,
)


def hidden() -> Tensor:
    torch.manual_seed(9)
    return torch.randn(4, HIDDEN)


def opened(folder: Path) -> DraftHeads:
    with torch.inference_mode():
        return open_heads(folder, backbone())


def check_drafts(heads: DraftHeads, logits: Tensor) -> None:
    """Tokens and probabilities of the ten best of each head, for every row."""
    chances, tokens = logits.softmax(-1).topk(RANKS, dim=-1)
    with torch.inference_mode():
        said = heads.draft(hidden(), [0, 1, 2, 3])
    assert heads.shape.draft_heads == logits.shape[1]
    for row, drafts in enumerate(said):
        assert drafts.depth == logits.shape[1]
        for depth in range(drafts.depth):
            guesses = drafts.after((0,) * depth)
            assert guesses is not None
            assert list(guesses.token_ids) == tokens[row, depth].tolist()
            assert guesses.probabilities == pytest.approx(chances[row, depth].tolist(), abs=1e-5)


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("own_outputs", [True, False])
def test_medusa_v1_and_v2(tmp_path: Path, blocks: int, own_outputs: bool) -> None:
    """The config is as wrong as the published one, which says 2 heads where 5 are."""
    tensors = medusa(5, blocks, own_outputs)
    write(tmp_path, tensors, config={"medusa_num_heads": 2, "medusa_num_layers": 9})
    check_drafts(opened(tmp_path), medusa_logits(tensors, hidden(), 5, blocks))


def test_heads_without_a_config(tmp_path: Path) -> None:
    tensors = medusa()
    check_drafts(opened(write(tmp_path, tensors)), medusa_logits(tensors, hidden(), 3, 1))


def test_phrases_beside_heads_of_others(tmp_path: Path) -> None:
    """Their file is no part of the heads, whose tensors may lie in any file."""
    tensors = medusa()
    save_phrases(tmp_path, count_phrases([([1, 2, 3], 1)]))
    heads = opened(write(tmp_path, tensors, "model.safetensors"))
    check_drafts(heads, medusa_logits(tensors, hidden(), 3, 1))
    assert heads.shape.phrases is not None and 2 in heads.shape.phrases.after([1])


def test_heads_in_half_precision(tmp_path: Path) -> None:
    """As they are published: computed in the precision of the model."""
    tensors = {name: tensor.half() for name, tensor in medusa().items()}
    write(tmp_path, tensors)
    wide = {name: tensor.float() for name, tensor in tensors.items()}
    check_drafts(opened(tmp_path), medusa_logits(wide, hidden(), 3, 1))


def test_heads_among_the_shards_of_a_model(tmp_path: Path) -> None:
    tensors = medusa()
    named = {f"medusa_head.{name}": tensor for name, tensor in tensors.items()}
    own = {"lm_head.weight": random(VOCABULARY, HIDDEN), "model.norm.weight": random(HIDDEN)}
    names = sorted(named)
    shards = (
        {**own, **{n: named[n] for n in names[::2]}},
        {n: named[n] for n in names[1::2]},
        {"model.embed_tokens.weight": random(VOCABULARY, HIDDEN)},
    )
    places = {}
    for number, shard in enumerate(shards):
        write(tmp_path, shard, f"model-{number}.safetensors")
        places |= dict.fromkeys(shard, f"model-{number}.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    check_drafts(opened(tmp_path), medusa_logits(tensors, hidden(), 3, 1))
    (tmp_path / "model-1.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"the shard model-1\.safetensors is missing"):
        opened(tmp_path)


@pytest.mark.parametrize("prefix", ["", "medusa_heads."])
@pytest.mark.parametrize("bias", [True, False])
def test_vllm(tmp_path: Path, prefix: str, bias: bool) -> None:
    tensors = vllm(bias=bias)
    named = {prefix + name: tensor for name, tensor in tensors.items()}
    write(tmp_path, named, "model.safetensors", {"architectures": ["MedusaModel"]})
    check_drafts(opened(tmp_path), vllm_logits(tensors, hidden(), 3, 2))


@pytest.mark.parametrize("name", ["lm_heads.0.weight", "lm_head.weight"])
def test_vllm_with_one_output_for_all(tmp_path: Path, name: str) -> None:
    tensors = vllm()
    shared = tensors.pop("lm_heads.0.weight")
    blocks = {n: tensor for n, tensor in tensors.items() if n.startswith("blocks.")}
    config = {"original_lm_head": True}
    write(tmp_path, {**blocks, name: shared}, "model.safetensors", config)
    expected = vllm_logits({**blocks, "lm_heads.0.weight": shared}, hidden(), 3, 2)
    check_drafts(opened(tmp_path), expected)


def test_vllm_with_a_reduced_vocabulary(tmp_path: Path) -> None:
    words = torch.tensor([12, 3, 5, 7, 0, 1, 2, 9, 10, 11, 4])
    tensors = {**vllm(words=len(words)), "token_map": words}
    config = {"truncated_vocab_size": len(words), "vocab_size": VOCABULARY}
    write(tmp_path, tensors, "model.safetensors", config)
    check_drafts(opened(tmp_path), vllm_logits(tensors, hidden(), 3, 2))


def test_a_whole_output_is_cut_to_the_reduced_vocabulary(tmp_path: Path) -> None:
    words = torch.tensor([12, 3, 5, 7, 0, 1, 2, 9, 10, 11])
    tensors = vllm()
    write(tmp_path, {**tensors, "token_map": words}, "model.safetensors")
    cut = {n: t[words] if n.startswith("lm_heads") else t for n, t in tensors.items()}
    expected = vllm_logits({**cut, "token_map": words}, hidden(), 3, 2)
    check_drafts(opened(tmp_path), expected)


def test_the_models_output_is_cut_to_the_reduced_vocabulary(tmp_path: Path) -> None:
    words = torch.tensor([12, 3, 5, 7, 0, 1, 2, 9, 10, 11])
    blocks = {n: t for n, t in vllm().items() if n.startswith("blocks.")}
    write(tmp_path, {**blocks, "token_map": words}, "model.safetensors")
    own = {"lm_heads.0.weight": model().lm_head.weight[words], "token_map": words}
    check_drafts(opened(tmp_path), vllm_logits({**blocks, **own}, hidden(), 3, 2))


def test_vllm_scales_its_logits(tmp_path: Path) -> None:
    tensors = vllm()
    write(tmp_path, tensors, "model.safetensors", {"logit_scale": 0.5})
    check_drafts(opened(tmp_path), vllm_logits(tensors, hidden(), 3, 2) * 0.5)


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    tensors = medusa()
    logits = medusa_logits(tensors, hidden(), 3, 1)
    tensors["1.0.linear.bias"] += 0.1
    with pytest.raises(AssertionError):
        check_drafts(opened(write(tmp_path, tensors)), logits)


def without(tensors: Tensors, *names: str) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name not in names}


def changed(name: str, tensor: Tensor) -> Callable[[], Tensors]:
    return lambda: {**medusa(), name: tensor}


MAP = torch.arange(VOCABULARY)
NAN = torch.full((HIDDEN,), torch.nan)
BAD: list[tuple[Callable[[], Tensors], str]] = [
    (
        lambda: without(medusa(), "1.0.linear.weight", "1.0.linear.bias", "1.1.weight"),
        "head 1 is missing before number 2",
    ),
    (
        lambda: without(medusa(3, 2), "2.0.linear.weight", "2.0.linear.bias"),
        "block 0 of head 2 is missing before number 1",
    ),
    (lambda: without(medusa(), "0.0.linear.weight"), "block 0 of head 0 has no weight"),
    (lambda: without(medusa(), "1.1.weight"), "3 heads have 2 LM heads"),
    (lambda: {"0.0.weight": random(VOCABULARY, HIDDEN)}, "no residual block"),
    (changed("0.7.weight", random(VOCABULARY, HIDDEN)), "0.7.weight does not follow"),
    (changed("norm.weight", random(HIDDEN)), "no layout has a tensor norm.weight"),
    (changed("hydra_mlp.0.1.linear.weight", random(2, 2)), "Hydra heads"),
    (
        changed("0.0.linear.weight", random(48, 48)),
        f"hidden size is 48 and must be {HIDDEN}",
    ),
    (
        changed("2.0.linear.weight", random(31, HIDDEN)),
        f"number of rows of block 0 of head 2 is 31 and must be {HIDDEN}",
    ),
    (changed("1.0.linear.bias", random(1)), "number of rows of the bias of block 0 of head 1 is 1"),
    (
        changed("0.1.weight", random(50, HIDDEN)),
        f"number of rows of LM head 0 is 50 and must be {VOCABULARY}",
    ),
    (changed("0.0.linear.bias", NAN), "not finite"),
    (
        changed("0.0.linear.weight", torch.ones(HIDDEN, HIDDEN, dtype=torch.int8)),
        "cannot be of type torch.int8",
    ),
    (changed("token_map", MAP.float()), "token_map cannot be of type torch.float32"),
    (changed("token_map", MAP[:9]), "reduced vocabulary is 9 and must be 10 to 13"),
    (changed("token_map", MAP + 1), "largest token of the reduced vocabulary is 13"),
    (changed("token_map", MAP - 1), "smallest token of the reduced vocabulary is -1"),
    (changed("token_map", MAP.clamp(max=11)), "number of different tokens .* is 12 and must be 13"),
]


@pytest.mark.parametrize(("tensors", "sentence"), BAD)
def test_what_does_not_fit_is_refused_in_one_sentence(
    tensors: Callable[[], Tensors], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailable, match=sentence) as caught:
        opened(write(tmp_path, tensors()))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_huge_head_number_is_refused_at_once(tmp_path: Path) -> None:
    tensors = {**medusa(), "99999999999.0.linear.weight": random(HIDDEN, HIDDEN)}
    with pytest.raises(ModelUnavailable, match="head 3 is missing"):
        opened(write(tmp_path, tensors))


def test_too_many_heads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="number of draft heads is 65 and must be 1 to 64"):
        opened(write(tmp_path, medusa(65, own_outputs=False)))


def test_a_folder_of_pickled_heads_says_how_to_convert_them(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "medusa_lm_head.pt").write_bytes(b"never read")
    with pytest.raises(ModelUnavailable, match=r"propd convert .*medusa_lm_head\.pt --out"):
        opened(tmp_path)


def test_a_folder_without_heads_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="holds no heads"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("[]", "config.json is no JSON object"),
        ("{", "cannot be read"),
        ('{"format": "propd-heads/1"}', "their format is 'propd-heads/1'"),
        ('{"logit_scale": "much"}', "cannot be read"),
        ('{"logit_scale": NaN}', "logit_scale is nan; it must be above 0"),
    ],
)
def test_a_bad_config_is_refused(config: str, sentence: str, tmp_path: Path) -> None:
    write(tmp_path, medusa())
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelUnavailable, match=sentence):
        opened(tmp_path)


def test_our_own_heads_of_an_early_version_are_refused_as_such(tmp_path: Path) -> None:
    write(tmp_path, {"trunk.inner.weight": random(2, 2)}, "draft.safetensors", {"draft_heads": 4})
    with pytest.raises(ModelUnavailable, match="this version reads 'propd-heads/2'"):
        opened(tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "medusa_lm_head.safetensors").write_bytes(b"no safetensors")
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        opened(tmp_path)


def test_a_model_is_no_folder_of_heads(tmp_path: Path) -> None:
    """Judged by names, before gigabytes are read."""
    save_file({"model.norm.weight": random(HIDDEN)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelUnavailable, match=r"no layout has a tensor model\.norm\.weight"):
        opened(tmp_path)
