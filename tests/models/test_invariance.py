"""Invariant numerics: a token's bits depend neither on the tree nor on the batch around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from propd.errors import InvalidRequest
from propd.models.backbone import Backbone
from propd.models.linear import Linear, least_rows, packing_available
from propd.models.loading import resolve_numerics
from propd.tree.topology import ancestor_mask
from tests.conftest import FAMILIES, VOCABULARY, tiny_transformer

CPU = torch.device("cpu")
PACKED = packing_available(torch.bfloat16, CPU)
TEXT = [(7 * place * place + 3) % VOCABULARY for place in range(120)]


def tiny(family: str, invariant: bool) -> Backbone:
    return Backbone(tiny_transformer(family).bfloat16(), invariant=invariant)


@torch.inference_mode()
def read(backbone: Backbone, ids: Sequence[int], chunk: int) -> torch.Tensor:
    """(T, V) logits of a text that is read in chunks of this size."""
    cache, logits = backbone.new_cache(1, len(ids)), []
    for start in range(0, len(ids), chunk):
        part = ids[start : start + chunk]
        mask = np.tri(len(part), dtype=bool)
        place = backbone.place([mask], [range(len(part))], [start])
        hidden = backbone.run_layers(backbone.embed(part), 0, backbone.layer_count, place, cache)
        logits.append(backbone.logits(backbone.final_norm(hidden)))
        cache.commit(0, range(len(part)))
    return torch.cat(logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_chunk_has_the_bits_of_its_tokens_one_by_one(family: str) -> None:
    """So a prompt may be read in any pieces, for every method alike."""
    backbone = tiny(family, invariant=True)
    plain = read(backbone, TEXT, 1)
    assert plain.float().std() > 0.1
    for chunk in (2, 7, 64, len(TEXT)):
        assert torch.equal(read(backbone, TEXT, chunk), plain)


def test_fast_numerics_do_depend_on_the_chunk() -> None:
    """Otherwise the test above would show nothing."""
    backbone = tiny("llama", invariant=False)
    assert not torch.equal(read(backbone, TEXT, len(TEXT)), read(backbone, TEXT, 1))


def test_a_tree_in_a_batch_has_the_bits_of_plain_decoding() -> None:
    check_a_tree_in_a_batch(tiny("llama", invariant=True))


@torch.inference_mode()
def check_a_tree_in_a_batch(backbone: Backbone) -> None:
    """Ancestors at other slots, siblings between them, a longer row beside: all change sums."""
    pasts, parents, depths = [70, 9], (-1, 0, 0, 1, 2, 2), (0, 1, 1, 2, 2, 2)
    tokens = [11, 5, 23, 8, 42, 60]
    cache = backbone.new_cache(2, 100)
    for row, past in enumerate(pasts):
        place = backbone.place([np.tri(past, dtype=bool)], [range(past)], [0], row)
        backbone.run_layers(backbone.embed(TEXT[:past]), 0, backbone.layer_count, place, cache)
        cache.commit(row, range(past))
    place = backbone.place([ancestor_mask(parents)] * 2, [depths] * 2, pasts)
    hidden = backbone.run_layers(backbone.embed(tokens * 2), 0, 5, place, cache)
    logits = backbone.logits(backbone.final_norm(hidden))
    for row, past in enumerate(pasts):
        for path in ((0, 1, 3), (0, 2, 4), (0, 2, 5)):
            line = TEXT[:past] + [tokens[node] for node in path]
            inside = logits[[row * len(tokens) + node for node in path]]
            assert torch.equal(inside, read(backbone, line, 1)[past:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", [(40, 32), (64, 1536), (33, 1153)])
def test_a_row_has_the_same_product_in_any_company(
    dtype: torch.dtype, shape: tuple[int, int]
) -> None:
    """The inner dimension 1,536 is the one that oneDNN was seen to split for a single row."""
    torch.manual_seed(1)
    weight, bias = torch.randn(shape).to(dtype), torch.randn(shape[0]).to(dtype)
    layer = Linear(weight, bias, invariant=True)
    x = torch.randn(600, shape[1]).to(dtype)
    alone = torch.cat([layer(row) for row in x.split(1)])
    for rows in (2, 3, 9, 16, 50, 256, 600):
        assert torch.equal(layer(x[:rows]), alone[:rows])


@pytest.mark.parametrize("least", [1, 2, 8, None])
def test_the_probe_finds_from_how_many_rows_on_a_product_is_stable(
    least: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A product that sums in another order below so many rows; None: in each number of rows."""

    def product(layer: Linear, x: torch.Tensor) -> torch.Tensor:
        cut = 1 + len(x) % 50 if least is None else 64 if len(x) >= least else 32
        products = (x[:, None].float() * layer.weight.float()).unbind(-1)
        zero = torch.zeros_like(products[0])
        return (sum(products[:cut], zero) + sum(products[cut:], zero)).to(x.dtype)

    monkeypatch.setattr(Linear, "_product", product)
    assert least_rows.__wrapped__((24, 64), False, torch.bfloat16, False) == least


def test_a_product_that_is_never_stable_is_computed_row_by_row() -> None:
    layer = Linear(torch.randn(5, 7))
    layer.least_rows = None
    x = torch.randn(4, 7)
    assert torch.equal(layer(x), torch.cat([layer(row) for row in x.split(1)]))


def test_silu_of_every_half_precision_number_is_the_same_everywhere() -> None:
    """Vectors and what is left over at the end of them take different code: compare all numbers."""
    numbers = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    numbers = numbers.view(torch.bfloat16)
    numbers = numbers[numbers.isfinite()]
    one_by_one = torch.cat([F.silu(number) for number in numbers.split(1)])
    assert torch.equal(F.silu(numbers), one_by_one)


@pytest.mark.parametrize(
    ("numerics", "dtype", "device", "expected"),
    [
        ("auto", torch.bfloat16, CPU, PACKED),
        ("auto", torch.float32, CPU, False),
        ("auto", torch.bfloat16, torch.device("cuda"), False),
        ("fast", torch.bfloat16, CPU, False),
        ("invariant", torch.float32, CPU, True),
    ],
)
def test_numerics(numerics: str, dtype: torch.dtype, device: torch.device, expected: bool) -> None:
    assert resolve_numerics(numerics, dtype, device) is expected


def test_numerics_that_cannot_be_are_refused_in_one_sentence() -> None:
    with pytest.raises(InvalidRequest, match="'exact': give auto, fast, invariant"):
        resolve_numerics("exact", torch.bfloat16, CPU)
    with pytest.raises(InvalidRequest, match="device is cuda; give numerics fast or device cpu"):
        resolve_numerics("invariant", torch.bfloat16, torch.device("cuda"))
