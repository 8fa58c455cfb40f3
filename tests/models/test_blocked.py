"""Dense weights by our kernel: products, attention in float32, whole layers, and who gets them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import propd
from propd import kernels
from propd.models.backbone import Backbone
from propd.models.blocked import DTYPES, Blocked, blocks_pay
from propd.models.kernel_layers import fits_kernel, kernel_pays
from propd.models.loading import load_pretrained, resolve_numerics
from propd.models.shape import Shape
from tests.models.test_four_bit import save_model
from tests.models.test_grouped import CONFIGS, check_every_method, needs_kernel, random_model
from tests.models.test_invariance import CPU, TEXT, check_a_tree_in_a_batch, read


def blocked_backbone(family: str = "llama", dtype: torch.dtype = torch.float32) -> Backbone:
    backbone = Backbone(random_model(family), dtype=dtype, invariant=True)
    assert backbone._by_kernel is not None
    return backbone


def test_blocks_by_hand() -> None:
    """Output 17, input 2: the second block, the third 16 numbers, the second of them."""
    weight = torch.zeros(32, 32)
    weight[17, 2] = 5.0
    blocks = Blocked.of(weight).blocks
    assert blocks.shape == (2, 32, 16)
    assert blocks[1, 2, 1] == 5.0 and blocks.sum() == 5.0


@needs_kernel
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(16, 32), (48, 160), (64, 1536)], ids=str)
def test_the_product(dtype: torch.dtype, shape: tuple[int, int]) -> None:
    """Of bfloat16 weights too the inputs and the sums are float32."""
    weight, bias, x = torch.randn(shape).to(dtype), torch.randn(shape[0]), torch.randn(11, shape[1])
    expected = x.double() @ weight.double().t() + bias
    found = Blocked.of(weight, bias)(x)
    assert found.dtype is torch.float32
    assert (found - expected).abs().max() < 2e-6 * expected.abs().max() * shape[1] ** 0.5
    narrow = x.bfloat16()
    wide = Blocked.of(weight, bias, wide=True)(narrow)
    assert wide.dtype is torch.float32
    assert torch.equal(Blocked.of(weight, bias)(narrow), wide.bfloat16())


@needs_kernel
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_has_the_same_bits_in_any_company(dtype: torch.dtype) -> None:
    """Also with another number of threads: each sum belongs to one."""
    product = Blocked.of(torch.randn(80, 576).to(dtype))
    x, threads = torch.randn(70, 576), torch.get_num_threads()
    alone = torch.cat([product(row) for row in x.split(1)])
    for rows in (2, 3, 5, 6, 7, 8, 9, 13, 16, 33, 70):
        assert torch.equal(product(x[:rows]), alone[:rows])
    try:
        torch.set_num_threads(3 - min(threads, 2))
        assert torch.equal(product(x), alone)
    finally:
        torch.set_num_threads(threads)


@needs_kernel
def test_what_does_not_fit_is_refused_and_not_read() -> None:
    product, run = Blocked.of(torch.randn(16, 64)), torch.ops.propd.blocked_product
    for x in (torch.zeros(2, 32), torch.zeros(2, 40), torch.zeros(2, 64, dtype=torch.float64)):
        with pytest.raises(RuntimeError):
            product(x)
    with pytest.raises(RuntimeError, match="another order"):
        run(torch.zeros(1, 64), product.blocks[..., :8], None, True)
    with pytest.raises(RuntimeError, match="no weights are of type"):
        run(torch.zeros(1, 64), product.blocks.double(), None, True)
    with pytest.raises(RuntimeError, match="bias of another size"):
        run(torch.zeros(1, 64), product.blocks, torch.zeros(17), True)


@needs_kernel
@pytest.mark.parametrize("size", [16, 32, 64, 80, 96, 128])
def test_attention_over_keys_in_float32(size: int) -> None:
    queries = torch.randn(9, 6, size)
    keys, values = torch.randn(2, 1, 2, 103, size)[..., :100, :]
    mask = torch.where(torch.rand(1, 1, 9, 100) < 0.6, 0.0, -torch.inf)
    mask[..., 0] = 0
    expected = F.scaled_dot_product_attention(
        queries.transpose(0, 1)[None].double(), keys.double(), values.double(), mask.double(),
        enable_gqa=True,
    ).transpose(1, 2).flatten(2)  # fmt: skip
    found = torch.ops.propd.attention(queries, mask, keys, values, None, None)
    assert (found - expected[0]).abs().max() < 5e-6


@needs_kernel
@pytest.mark.parametrize("family", CONFIGS)
@torch.inference_mode()
def test_layers_equal_transformers(family: str) -> None:
    expected = random_model(family)(torch.tensor([TEXT[:60]])).logits[0]  # type: ignore[operator]
    found = read(blocked_backbone(family), TEXT[:60], 60)
    assert (found - expected).norm() < 1e-5 * expected.norm()


@needs_kernel
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", CONFIGS)
def test_a_chunk_has_the_bits_of_its_tokens_one_by_one(family: str, dtype: torch.dtype) -> None:
    if not blocks_pay(dtype):
        pytest.skip("this processor multiplies bfloat16 itself")
    backbone = blocked_backbone(family, dtype)
    plainly = read(backbone, TEXT, 1)
    assert plainly.std() > 0.1
    for chunk in (2, 7, 64, len(TEXT)):
        assert torch.equal(read(backbone, TEXT, chunk), plainly)


@needs_kernel
@torch.inference_mode()
def test_a_tree_in_a_batch_has_the_bits_of_plain_decoding() -> None:
    check_a_tree_in_a_batch(blocked_backbone())


@needs_kernel
def test_every_method_writes_what_plain_decoding_writes(tiny_folder: Path, tmp_path: Path) -> None:
    folder = save_model(tiny_folder, tmp_path, on_grid=True, head_dim=16)
    engine = propd.load(folder, heads=str(tmp_path / "heads"), weights="dense")
    assert (engine.describe()["weights"], engine.dtype) == ("dense", "float32")
    assert engine.backbone._by_kernel is not None
    check_every_method(engine)


@needs_kernel
def test_who_gets_them(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Float32 on a CPU, unless fast numerics are asked for or the shapes do not fit."""
    folder = save_model(tiny_folder, tmp_path / "fits", on_grid=False, head_dim=16)
    assert load_pretrained(folder, device="cpu").invariant
    assert not load_pretrained(folder, device="cpu", numerics="fast").invariant
    odd = save_model(tiny_folder, tmp_path / "odd", on_grid=False)  # heads of 8
    assert not load_pretrained(odd, device="cpu").invariant
    monkeypatch.setattr(kernels, "ready", lambda: False)
    assert not load_pretrained(folder, device="cpu").invariant
    model = random_model()
    without = Backbone(model, invariant=True)
    assert without._by_kernel is None and without.sum_dtype is torch.float64


def test_shapes() -> None:
    config = {
        "num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 96, "vocab_size": 7,
        "num_attention_heads": 4, "max_position_embeddings": 8,
    }  # fmt: skip
    assert fits_kernel(Shape.of(config))
    for odd in ({"intermediate_size": 80}, {"head_dim": 8}, {"hidden_size": 72}):
        assert not fits_kernel(Shape.of({**config, **odd})), odd
    assert not kernel_pays(Shape.of(config), torch.float16)
    assert resolve_numerics("auto", torch.float32, CPU, by_kernel=True)
    assert not resolve_numerics("fast", torch.float32, CPU, by_kernel=True)


@pytest.mark.skipif(
    kernels.instructions() != "AVX-512 VNNI" or not kernels.ready(),
    reason="one set of instructions",
)
def test_both_sets_of_instructions_tell_the_same_bits(tmp_path: Path) -> None:
    code = (
        "import torch; from propd import kernels\n"
        "from propd.models.blocked import Blocked\n"
        "from propd.models.grouped import Grouped, bytes_of, groups_of\n"
        "assert kernels.ready(); torch.manual_seed(0)\n"
        "weight, x, mask = torch.randn(64, 160), torch.randn(9, 160), torch.zeros(1, 1, 9, 50)\n"
        "keys, values = torch.randn(2, 1, 2, 50, 80)\n"
        "mask[..., 3::2] = -torch.inf\n"
        "made = [Blocked.of(weight)(x), Grouped(groups_of(weight))(x),\n"
        "        Grouped(bytes_of(weight), bits=8)(x), *[torch.ops.propd.attention(\n"
        "            torch.randn(9, 4, 80), mask, k, v, None, None)\n"
        "        for k, v in ((keys, values), (keys.half(), values.half()))]]\n"
        "print(kernels.instructions(), [hash(y.numpy().tobytes()) for y in made])"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, kernels.SWITCH: switch, "PYTHONHASHSEED": "0"},
        ).stdout
        for switch in ("", "avx2")
    ]  # fmt: skip
    assert told[0].startswith("AVX-512") and told[1].startswith("AVX2")
    assert told[0].split("[")[1] == told[1].split("[")[1]
