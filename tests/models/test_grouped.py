"""Weights in groups with inputs of 8 bits: the kernel's products, its attention, whole layers."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

import propd
from propd import kernels
from propd.errors import InvalidRequest
from propd.models import loading
from propd.models.backbone import Backbone
from propd.models.four_bit import Groups, groups_of
from propd.models.grouped import Grouped, blocks_of, bytes_of, pack_finely, pack_roughly
from propd.models.loading import check_weights, load_pretrained
from tests.models.test_four_bit import random_groups, save_model
from tests.models.test_invariance import TEXT, check_a_tree_in_a_batch, read

CPU = torch.device("cpu")
needs_kernel = pytest.mark.skipif(not kernels.ready(), reason=str(kernels.why_not()))
MODEL: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
}
CONFIGS = {
    "llama": LlamaConfig(**MODEL),
    "biases": Qwen2Config(**MODEL),
    "head-norms": Qwen3Config(**{**MODEL, "head_dim": 32}),
}


def random_model(family: str = "llama") -> torch.nn.Module:
    """Its layers' weights lie on the grid."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(deepcopy(CONFIGS[family])).float().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)
            elif weight.dim() == 2 and "layers" in name:
                weight.copy_(groups_of(weight.normal_(0, 0.2)).dense())
            else:
                weight.normal_(0, 0.2)
    return model.requires_grad_(False)


def grouped_backbone(family: str = "llama") -> Backbone:
    return Backbone(random_model(family), invariant=True, weights="w4a8")


def rounded(x: Tensor) -> Tensor:
    """Inputs as the kernel sees them, in float64: 8 bits and a scale in every group of 32."""
    groups = x.float().unflatten(-1, (-1, 32))
    most = groups.abs().amax(-1, keepdim=True)
    # a tensor divided, because PyTorch makes 127 / x two operations
    codes = (groups * (torch.tensor(127.0) / most.clamp_min(1e-30))).round()
    return (codes * (most / 127)).double().flatten(-2)


# Packing.


def test_a_block_by_hand() -> None:
    """Output 3, inputs 8 to 15: eight codes in four bytes of the second 64, the first four low."""
    codes = torch.zeros(16, 32, dtype=torch.uint8)
    codes[3, 8:16] = torch.arange(1, 9)
    groups = Groups(codes, torch.full((16, 1), 0.5), torch.full((16, 1), -2.0))
    (block,) = blocks_of(groups, bits=4).flatten(0, 1)
    assert block.nonzero()[:4].flatten().tolist() == [64 + 12, 64 + 13, 64 + 14, 64 + 15]
    assert block[76:80].tolist() == [0x51, 0x62, 0x73, 0x84]
    assert block[256:288].view(torch.half).tolist() == [0.5] * 16
    assert block[288:].view(torch.half).tolist() == [-2.0] * 16
    assert len(block) == 320


def test_weights_of_8_bits_are_found_again() -> None:
    """As a file of type Q8_0 holds them: half-precision scales, codes up to 127 on either side."""
    codes = torch.randint(-127, 128, (16, 64))
    codes[:, ::32] = -127
    scale = torch.rand(16, 2).add(0.1).half().float()
    weight = (codes.unflatten(-1, (2, 32)) * scale[..., None]).flatten(-2)
    found = bytes_of(weight)
    assert torch.equal(found.codes.int() - 128, codes.int())
    assert torch.allclose(found.dense(), weight, atol=1e-5)


# Products.


@needs_kernel
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(16, 32), (48, 160), (64, 1536)], ids=str)
def test_the_product_is_that_of_the_rounded_inputs(
    bits: int, dtype: torch.dtype, shape: tuple[int, int]
) -> None:
    weight, bias = torch.randn(shape), torch.randn(shape[0])
    groups = groups_of(weight) if bits == 4 else bytes_of(weight)
    x = torch.randn(11, shape[1]).to(dtype)
    x[3] = 0  # a group without a scale
    expected = rounded(x) @ groups.dense().double().t() + bias
    wide = Grouped(groups, bias, bits=bits, wide=True)(x)
    assert wide.dtype is torch.float32
    assert (wide - expected).abs().max() < 2e-5 * expected.abs().max()
    assert torch.equal(Grouped(groups, bias, bits=bits)(x), wide.to(dtype))


@needs_kernel
@pytest.mark.parametrize("bits", [4, 8])
def test_a_row_has_the_same_bits_in_any_company(bits: int) -> None:
    """Also with another number of threads: each sum belongs to one."""
    product = Grouped(groups_of(torch.randn(80, 576)), bits=4)
    if bits == 8:
        product = Grouped(bytes_of(torch.randn(80, 576)), bits=8)
    x, threads = torch.randn(70, 576), torch.get_num_threads()
    alone = torch.cat([product(row) for row in x.split(1)])
    for rows in (2, 3, 7, 8, 9, 16, 33, 70):
        assert torch.equal(product(x[:rows]), alone[:rows])
    try:
        torch.set_num_threads(3 - min(threads, 2))
        assert torch.equal(product(x), alone)
    finally:
        torch.set_num_threads(threads)


@needs_kernel
def test_what_does_not_fit_is_refused_and_not_read() -> None:
    product = Grouped(random_groups(16, 64))
    for x in (torch.zeros(2, 32), torch.zeros(2, 40), torch.zeros(2, 64, dtype=torch.float64)):
        with pytest.raises(RuntimeError):
            product(x)
    with pytest.raises(RuntimeError, match="another order"):
        torch.ops.propd.blocked_product(torch.zeros(1, 64), product.blocks[..., :300], None, True)


@needs_kernel
def test_products_for_guesses() -> None:
    weight, x = torch.randn(48, 64), torch.randn(3, 64)
    exact = F.linear(x, weight)
    for pack, error in ((pack_roughly, 0.1), (pack_finely, 0.02)):
        found = pack(weight)
        assert isinstance(found, Grouped)
        assert (found(x) - exact).norm() < error * exact.norm()
        odd = pack(torch.randn(47, 64))  # of no shape for the kernel
        assert not isinstance(odd, Grouped) and odd(x).shape == (3, 47)


# Attention.


@needs_kernel
@pytest.mark.parametrize("size", [16, 32, 64, 80, 96, 128])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 40), (3, 9, 100), (2, 20, 17)], ids=str)
def test_attention_is_softmax_attention(size: int, shape: tuple[int, int, int]) -> None:
    rows, nodes, end = shape
    queries = torch.randn(rows, nodes, 6, size)
    keys, values = torch.randn(2, rows, 2, end + 3, size).half()[:, :, :, :end]
    mask = torch.where(torch.rand(rows, 1, nodes, end) < 0.6, 0.0, -torch.inf)
    mask[..., 0] = 0
    expected = F.scaled_dot_product_attention(
        queries.transpose(1, 2).double(), keys.double(), values.double(), mask.double(),
        enable_gqa=True,
    ).transpose(1, 2).flatten(2)  # fmt: skip
    line = queries.flatten(0, 1)
    found = torch.ops.propd.attention(line, mask, keys, values, None, None)
    assert (found - expected.flatten(0, 1)).abs().max() < 5e-6


@needs_kernel
def test_rows_of_a_batch_attend_as_they_do_alone() -> None:
    """Two rows of 1 and 3 nodes behind pasts of 30 and 4; what lies behind a row is not read."""
    counts, pasts = torch.tensor([1, 3]), torch.tensor([30, 4])
    ends, queries = counts + pasts, torch.randn(4, 4, 32)
    keys, values = torch.randn(2, 2, 2, 31, 32).half()
    keys[1, :, 7:] = values[1, :, 7:] = torch.nan
    mask = torch.zeros(2, 1, 3, 31)
    mask[1, 0, 1, 4] = -torch.inf
    found = torch.ops.propd.attention(queries, mask, keys, values, counts, ends)
    first = torch.ops.propd.attention(
        queries[:1], mask[:1, :, :1].contiguous(), keys[:1], values[:1], None, None
    )
    second = torch.ops.propd.attention(
        queries[1:], mask[1:, :, :, :7].contiguous(), keys[1:, :, :7], values[1:, :, :7], None, None
    )
    assert torch.equal(found, torch.cat([first, second]))
    with pytest.raises(RuntimeError, match="3 queries are not those of the rows"):
        torch.ops.propd.attention(queries[:3], mask, keys, values, counts, ends)


@needs_kernel
def test_what_a_node_may_not_see_leaves_no_trace() -> None:
    """Hidden slots between those that are seen shift every later one to other lanes; a large K or
    V there changes nothing."""
    queries = torch.randn(3, 2, 32)
    keys, values = torch.randn(2, 1, 40, 2, 32)
    keys, values = keys.transpose(1, 2).half(), values.transpose(1, 2).half()
    attend, nothing = torch.ops.propd.attention, (None, None)
    expected = attend(queries, torch.zeros(1, 1, 3, 40), keys, values, *nothing)
    at = torch.arange(40) * 2 + (torch.arange(40) > 17)
    mask = torch.full((1, 1, 3, 90), -torch.inf).index_fill(-1, at, 0.0)
    far = torch.full((1, 2, 90, 32), 1e4).half()
    spread = (far.clone().index_copy(2, at, x) for x in (keys, values))
    assert torch.equal(attend(queries, mask, *spread, *nothing), expected)


# Layers.


@needs_kernel
@pytest.mark.parametrize(("layers", "error"), [(1, 0.02), (5, 0.08)])
@pytest.mark.parametrize("family", CONFIGS)
@torch.inference_mode()
def test_layers_equal_transformers_with_rounded_inputs(
    family: str, layers: int, error: float
) -> None:
    """But for K and V in half precision, and codes so near the middle that this turns them; a wrong
    norm, turn, head or gate would leave nothing alike."""
    model = random_model(family)
    del model.model.layers[layers:]  # type: ignore[union-attr, operator]
    model.config.num_hidden_layers = layers  # type: ignore[union-attr]
    backbone = Backbone(model, invariant=True, weights="w4a8")
    model.lm_head.weight.copy_(bytes_of(model.lm_head.weight).dense())  # type: ignore[union-attr]
    exact = model(torch.tensor([TEXT[:60]])).logits[0]
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda _, inputs: (rounded(inputs[0]).float(),))
    expected = model(torch.tensor([TEXT[:60]])).logits[0]
    found = read(backbone, TEXT[:60], 60)
    assert (found - expected).norm() < error * expected.norm()
    assert 0.01 < (expected - exact).norm() / exact.norm() < 0.1  # the rounding is there


@needs_kernel
@pytest.mark.parametrize("family", CONFIGS)
def test_a_chunk_has_the_bits_of_its_tokens_one_by_one(family: str) -> None:
    backbone = grouped_backbone(family)
    plainly = read(backbone, TEXT, 1)
    assert plainly.std() > 0.1
    for chunk in (2, 7, 64, len(TEXT)):
        assert torch.equal(read(backbone, TEXT, chunk), plainly)


@needs_kernel
@torch.inference_mode()
def test_a_tree_in_a_batch_has_the_bits_of_plain_decoding() -> None:
    check_a_tree_in_a_batch(grouped_backbone())


@needs_kernel
@torch.inference_mode()
def test_a_prompt_is_read_with_the_bits_of_steps() -> None:
    """So an answer's beginning may be read with its prompt, and nobody keeps a dense copy."""
    backbone = grouped_backbone()
    read_so, stepped = backbone.new_cache(1, 80), backbone.new_cache(1, 80)
    last = backbone.read(TEXT[:80], read_so)
    assert torch.equal(last, backbone.read(TEXT[:80], stepped, as_prompt=False))
    assert torch.equal(read_so.keys, stepped.keys)


# Loading.


def check_every_method(engine: propd.Engine) -> propd.Generation:
    """All write what plain decoding writes, which is returned; a row of a batch does, too."""
    expected = engine.generate("a fox", method="autoregressive", max_new_tokens=40)
    for method in propd.METHODS:
        found = engine.generate("a fox", method=method, max_new_tokens=40)
        assert found.token_ids == expected.token_ids, method
    batch = engine.generate_batch(["two", "a fox", "abc"], method="propd", max_new_tokens=40)
    assert batch[1].token_ids == expected.token_ids
    return expected


def folder_of(tiny_folder: Path, folder: Path, *, on_grid: bool = True) -> str:
    return save_model(tiny_folder, folder, on_grid=on_grid, head_dim=16)


@needs_kernel
@pytest.mark.parametrize("on_grid", [True, False])
def test_every_method_writes_what_plain_decoding_writes(
    tiny_folder: Path, tmp_path: Path, on_grid: bool
) -> None:
    folder = folder_of(tiny_folder, tmp_path, on_grid=on_grid)
    engine = propd.load(folder, heads=str(tmp_path / "heads"), weights="w4a8")
    assert (engine.describe()["weights"], engine.dtype) == ("w4a8", "float32")
    assert engine.describe()["numerics"] == "invariant"
    expected = check_every_method(engine)
    rest = engine.generate("a fox", max_new_tokens=31, continuing=expected.token_ids[:9])
    assert rest.token_ids == expected.token_ids[9:]


@needs_kernel
def test_auto_takes_them_where_there_is_a_kernel(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "four_bit_pays", lambda: True)
    folder = folder_of(tiny_folder, tmp_path)
    assert load_pretrained(folder, device="cpu").weights == "w4a8"
    assert load_pretrained(folder, device="cpu", dtype="float32").weights == "dense"
    monkeypatch.setattr(kernels, "ready", lambda: False)
    assert load_pretrained(folder, device="cpu").weights == "int4"
    monkeypatch.setattr(loading, "four_bit_pays", lambda: False)
    assert load_pretrained(folder, device="cpu").weights == "dense"


@needs_kernel
def test_heads_of_another_size_are_refused_in_one_sentence(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = save_model(tiny_folder, tmp_path, on_grid=True)  # heads of 8
    with pytest.raises(InvalidRequest, match="this model has heads of 8; give weights int4"):
        load_pretrained(folder, device="cpu", weights="w4a8")
    assert load_pretrained(folder, device="cpu").weights in ("int4", "dense")


def test_a_machine_without_the_kernel_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "why_not", lambda: "no C++ compiler; install g++")
    with pytest.raises(InvalidRequest, match=r"not here: no C\+\+ compiler; install g\+\+; give"):
        check_weights("w4a8", "auto", "auto", CPU)
