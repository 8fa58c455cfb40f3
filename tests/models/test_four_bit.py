"""Weights in groups of 4 bits: found again in dense weights, multiplied, chosen when they pay."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

import propd
from propd import kernels
from propd.benchmark.lossless import _logits
from propd.errors import InvalidRequest
from propd.models import loading
from propd.models.four_bit import FourBit, Groups, four_bit_available, groups_of, lies_on_grid
from propd.models.loading import check_weights, load_pretrained
from tests.conftest import SHAPE

CPU = torch.device("cpu")
needs_operator = pytest.mark.skipif(
    not four_bit_available(), reason="this build of PyTorch has no products of 4 bits"
)


def random_groups(outputs: int, inputs: int) -> Groups:
    """Groups whose smallest code is 0 and largest 15, as a quantiser leaves them."""
    generator = torch.Generator().manual_seed(outputs + inputs)
    codes = torch.randint(0, 16, (outputs, inputs), generator=generator, dtype=torch.uint8)
    codes[:, ::32], codes[:, 1::32] = 0, 15
    shape = (outputs, inputs // 32)
    scale = torch.rand(shape, generator=generator).add(0.1).half().float() / 50
    low = torch.randn(shape, generator=generator).half().float() / 8
    return Groups(codes, scale.half().float(), low.half().float())


def test_the_groups_of_a_file_are_found_again_in_its_dense_weights() -> None:
    made = random_groups(16, 96)
    found = groups_of(made.dense())
    assert torch.equal(found.codes, made.codes)
    assert found.error(made.dense()) < 1e-6
    assert found.scale.sub(made.scale).abs().max() < 1e-5


def test_a_group_by_hand() -> None:
    """low -1, scale 1/4: the codes 0, 15 and 4 are the weights -1, 2.75 and 0."""
    weight = torch.zeros(1, 32)
    weight[0, 0], weight[0, 1] = -1.0, 2.75
    found = groups_of(weight)
    assert (float(found.low), float(found.scale)) == (-1.0, 0.25)
    assert found.codes[0, :3].tolist() == [0, 15, 4]
    assert torch.equal(found.dense(), weight)


def test_a_group_of_equal_weights_is_exact() -> None:
    weight = torch.full((16, 32), 0.5)
    assert groups_of(weight).error(weight) == 0


def test_other_weights_are_off_the_grid() -> None:
    weight = torch.randn(16, 64)
    assert groups_of(weight).error(weight) > 1e-3


@needs_operator
def test_the_product_is_that_of_the_dense_weights() -> None:
    """Up to the rounding of inputs, scales and results to bfloat16."""
    groups, bias = random_groups(48, 160), torch.randn(48)
    x = torch.randn(5, 160).bfloat16()
    expected = x.float() @ groups.dense().t() + bias
    found = FourBit(groups, bias)(x)
    assert found.dtype is torch.bfloat16
    assert (found.float() - expected).norm() < 0.01 * expected.norm()


@needs_operator
def test_a_row_has_the_same_bits_in_any_company() -> None:
    product = FourBit(random_groups(64, 1536))
    x = torch.randn(70, 1536).bfloat16()
    alone = torch.cat([product(row) for row in x.split(1)])
    for rows in (2, 3, 4, 5, 9, 16, 33, 70):
        assert torch.equal(product(x[:rows]), alone[:rows])


def save_model(tiny_folder: Path, folder: Path, *, on_grid: bool, **sizes: int) -> str:
    """A tiny model of shapes that fit, with the tokenizer and the heads of the usual one.

    Its heads have 8 numbers unless the sizes say otherwise, so that the kernel of
    `propd.models.grouped` does not take it."""
    shutil.copytree(tiny_folder, folder, dirs_exist_ok=True)
    torch.manual_seed(0)
    shape = {**SHAPE, "vocab_size": 257, "intermediate_size": 64, **sizes}
    model = AutoModelForCausalLM.from_config(LlamaConfig(**shape, eos_token_id=256)).float()
    for name, weight in model.named_parameters():
        if weight.dim() == 2:
            made = on_grid and "layers" in name
            weight.data = (
                random_groups(*weight.shape).dense() if made else weight.data.normal_(0, 0.2)
            )
    model.save_pretrained(folder)
    assert lies_on_grid(model) is on_grid
    return str(folder)


@needs_operator
@pytest.mark.parametrize(("pays", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_them_where_the_model_came_from_them_and_they_pay(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pays: bool,
    dtype: torch.dtype,
) -> None:
    monkeypatch.setattr(loading, "four_bit_pays", lambda: pays)
    monkeypatch.setattr(kernels, "ready", lambda: False)
    folder = save_model(tiny_folder, tmp_path, on_grid=True)
    loaded = load_pretrained(folder, device="cpu")
    assert (loaded.weights == "int4", loaded.invariant, loaded.dtype) == (pays, pays, dtype)
    for asked in ({"weights": "dense"}, {"dtype": "float32"}, {"numerics": "fast"}):
        other = load_pretrained(folder, device="cpu", **asked)
        assert (other.weights, other.dtype) == ("dense", torch.float32)


@needs_operator
def test_auto_leaves_other_weights_dense(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "four_bit_pays", lambda: True)
    loaded = load_pretrained(save_model(tiny_folder, tmp_path, on_grid=False), device="cpu")
    assert (loaded.weights, loaded.dtype) == ("dense", torch.float32)


@needs_operator
@pytest.mark.parametrize("on_grid", [True, False])
def test_every_method_writes_what_plain_decoding_writes(
    tiny_folder: Path, tmp_path: Path, on_grid: bool
) -> None:
    """On weights that are off the grid as well: the nearest groups are a model too."""
    folder = save_model(tiny_folder, tmp_path, on_grid=on_grid)
    engine = propd.load(folder, heads=str(tmp_path / "heads"), weights="int4")
    assert engine.describe()["weights"] == "int4"
    assert not isinstance(engine.backbone._stepping_alone[0], partial)  # but a recording
    plain = engine.generate("a fox", method="autoregressive", max_new_tokens=40)
    for method in propd.METHODS:
        found = engine.generate("a fox", method=method, max_new_tokens=40)
        assert found.token_ids == plain.token_ids, method


@needs_operator
@pytest.mark.parametrize("matrix_unit", [True, False])
def test_a_prompt_is_read_in_what_is_fast_here(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matrix_unit: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: matrix_unit)
    folder = save_model(tiny_folder, tmp_path, on_grid=True)
    engine = propd.load(folder, heads=str(tmp_path / "heads"), weights="int4")
    expected = torch.bfloat16 if matrix_unit else torch.float32
    assert engine.backbone.reading[0].down.weight.dtype is expected  # type: ignore[union-attr]
    seen: list[torch.dtype] = []
    attend = torch.nn.functional.scaled_dot_product_attention

    def watch(queries: torch.Tensor, *rest: torch.Tensor, **further: torch.Tensor) -> torch.Tensor:
        seen.append(queries.dtype)
        return attend(queries, *rest, **further)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watch)
    engine.backbone.read([1, 2, 3], engine.backbone.new_cache(1, 3))
    assert set(seen) == {torch.float32}
    plain = engine.generate("a fox", method="autoregressive", max_new_tokens=30)
    assert engine.generate("a fox", method="propd", max_new_tokens=30).token_ids == plain.token_ids


@needs_operator
@pytest.mark.parametrize("native", [True, False])
def test_the_lm_head_multiplies_in_what_the_processor_knows(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    """Many processors with AVX-512 have no instructions for bfloat16."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native, raising=False)
    folder = save_model(tiny_folder, tmp_path, on_grid=False)
    engine = propd.load(folder, heads=str(tmp_path / "heads"), weights="int4")
    assert engine.dtype == "bfloat16"
    expected = torch.bfloat16 if native else torch.float32
    assert engine.backbone.lm_head.weight.dtype is expected
    plain = engine.generate("a fox", method="autoregressive", max_new_tokens=30)
    runs = engine.generate_batch(["a fox", "two"], method="propd", max_new_tokens=30)
    assert runs[0].token_ids == plain.token_ids


@needs_operator
def test_shapes_that_do_not_fit_are_refused_in_one_sentence(tiny_folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="here has 48 and 32; give weights dense"):
        load_pretrained(str(tiny_folder), device="cpu", weights="int4")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (("int3", "auto", "auto", CPU), "Unknown weights 'int3': give auto, dense, w4a8, int4"),
        (("int4", "auto", "auto", torch.device("cuda")), "need a CPU and the device is cuda"),
        (("int4", "float32", "auto", CPU), "float32 with numerics auto was asked for"),
        (("w4a8", "bfloat16", "auto", CPU), "w4a8 are multiplied in float32 with invariant"),
        (("int4", "auto", "fast", CPU), "auto with numerics fast was asked for"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_sentence(
    settings: tuple[str, str, str, torch.device], sentence: str
) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        check_weights(*settings)


def test_a_build_without_the_operator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "four_bit_available", lambda: False)
    with pytest.raises(
        InvalidRequest, match="does not have for this processor; give weights dense"
    ):
        check_weights("int4", "auto", "auto", CPU)


@needs_operator
def test_an_answer_goes_on_as_it_did_and_the_judge_knows(tiny_folder: Path, tmp_path: Path) -> None:
    """A prompt is not read as a step computes, so the beginning of an answer must not be read, and
    the judge of losslessness must look at what plain decoding looked at."""
    folder = save_model(tiny_folder, tmp_path, on_grid=False)
    engine = propd.load(folder, heads=str(tmp_path / "heads"), weights="int4")
    whole = engine.generate("abc", max_new_tokens=24)
    ids, answer = engine.encode("abc"), list(whole.token_ids)
    for cut in (1, 9, 23):
        rest = engine.generate("abc", max_new_tokens=24 - cut, continuing=answer[:cut])
        assert rest.token_ids == whole.token_ids[cut:]
    with engine.open(method="autoregressive", max_new_tokens=24, longest_prompt=20) as session:
        events = session.run([ids])
        for _ in range(10):
            next(events)  # type: ignore[call-overload]
        cache, length = session.decoding.cache, session.decoding.cache.lengths[0]
        kept = cache.keys[:, 0, :, :length].clone()
    backbone, again = engine.backbone, engine.backbone.new_cache(1, 64)
    backbone.read(ids, again)
    backbone.read(answer[: length - len(ids)], again, as_prompt=False)
    assert torch.equal(again.keys[:, 0, :, :length], kept)
    by_token = _logits(engine, ids, answer[:9], 1)
    assert int(by_token.argmax()) == answer[9]
    assert torch.equal(by_token, _logits(engine, ids, answer[:9], 9))
    assert not torch.equal(by_token, _logits(engine, ids + answer[:9], [], 9))
