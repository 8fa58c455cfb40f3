"""Products with 8 and 4 bits; those that multiply need bitsandbytes, which is optional."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import propd
from propd.models import narrow
from propd.models.narrow import NARROW, Narrow
from propd.models.need import matrix_bytes

needs_package = pytest.mark.skipif(find_spec(narrow.PACKAGE) is None, reason="no bitsandbytes")


@pytest.mark.parametrize("weights", NARROW)
def test_without_the_package_one_sentence_says_what_to_do(
    weights: str, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrow, "find_spec", lambda name: None)
    with pytest.raises(propd.InvalidRequest, match="not installed; run pip install bitsandbytes"):
        propd.load(str(tiny_folder), weights=weights)


def test_invariant_numerics_are_refused(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrow, "find_spec", lambda name: object())
    with pytest.raises(propd.InvalidRequest, match="Invariant numerics need dense weights"):
        propd.load(str(tiny_folder), weights="nf4", numerics="invariant")


@needs_package
@pytest.mark.parametrize(("kind", "error"), [("int8", 0.02), ("nf4", 0.15)])
def test_products_are_near_dense_ones_and_take_what_is_counted(kind: str, error: float) -> None:
    torch.manual_seed(0)
    weight, bias, x = torch.randn(96, 128), torch.randn(96), torch.randn(17, 128)
    product = Narrow(weight, bias, kind, torch.float32)
    expected = x @ weight.T + bias
    assert (product(x) - expected).norm() < error * expected.norm()
    assert product.nbytes == matrix_bytes(96, 128, kind, 4)


@needs_package
def test_a_row_of_int8_has_the_same_bits_in_any_company() -> None:
    torch.manual_seed(0)
    product = Narrow(torch.randn(96, 128), None, "int8", torch.float32)
    x = torch.randn(17, 128) * torch.logspace(-2, 2, 17)[:, None]
    assert torch.equal(product(x), torch.cat([product(row) for row in x.split(1)]))


@needs_package
@pytest.mark.parametrize("weights", NARROW)
def test_a_tree_writes_the_text_of_plain_decoding(tiny_folder: Path, weights: str) -> None:
    heads = str(tiny_folder / "heads")
    engine = propd.load(str(tiny_folder), heads=heads, weights=weights, dtype="float32")
    assert engine.describe()["weights"] == weights
    settings = {"max_new_tokens": 16}
    plain = engine.generate("abc", method="autoregressive", **settings)
    assert engine.generate("abc", method="medusa", **settings).token_ids == plain.token_ids
