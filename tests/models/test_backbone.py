"""The segmented decoder equals transformers, for every family and on a tree."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from transformers import GPT2Config

from propd.errors import ModelUnavailable
from propd.models.backbone import Backbone
from propd.models.linear import Linear, packing_available
from propd.tree.topology import ancestor_mask
from tests.conftest import FAMILIES, VOCABULARY, tiny_transformer


def run_line(backbone: Backbone, ids: Sequence[int], cut: int) -> torch.Tensor:
    """Logits of a line of tokens, the layers run in two segments."""
    count = len(ids)
    cache = backbone.new_cache(1, count)
    place = backbone.place([np.tri(count, dtype=bool)], [range(count)], [0])
    hidden = backbone.run_layers(backbone.embed(ids), 0, cut, place, cache)
    hidden = backbone.run_layers(hidden, cut, backbone.layer_count, place, cache)
    return backbone.logits(backbone.final_norm(hidden))


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_equals_transformers_in_float32(family: str) -> None:
    """Guards fused weights, biases, q/k norms, rotary tables, and cutting the layers anywhere."""
    model = tiny_transformer(family)
    backbone = Backbone(model)
    ids = torch.randint(0, VOCABULARY, (17,), generator=torch.Generator().manual_seed(1)).tolist()
    expected = model(torch.tensor([ids])).logits[0]
    assert expected.std() > 0.1  # a silent model would agree with anything
    for cut in (0, 2, backbone.layer_count):
        assert (run_line(backbone, ids, cut) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("family", ["qwen2", "mistral"])
def test_biases_count(family: str) -> None:
    """A family whose biases were dropped would pass a parity test on zero biases."""
    model = tiny_transformer(family)
    has_bias = model.model.layers[0].self_attn.q_proj.bias is not None
    assert has_bias == (family == "qwen2")
    if has_bias:
        assert model.model.layers[0].self_attn.q_proj.bias.abs().max() > 0.05


PROMPTS = [[3, 14, 15, 9], [2, 7]]
TREES = [
    # tokens, parents, depths, paths
    ([26, 5, 35, 8, 9], (-1, 0, 0, 2, 1), (0, 1, 1, 2, 2), [(0, 1, 4), (0, 2, 3)]),
    ([31, 41, 4], (-1, 0, 0), (0, 1, 1), [(0, 1), (0, 2)]),
]


@torch.inference_mode()
@pytest.mark.parametrize("rows", [[0], [1], [0, 1], [1, 0, 1]])
def test_a_tree_pass_equals_its_paths(backbone: Backbone, rows: list[int]) -> None:
    """Each path of each tree, run alone as a line, gives the same logits as inside the batch.

    Guards mask, positions and cache slots at once: siblings must not see one another, nor rows of
    different past and size (left padding: wrong positions without any error).
    """
    cache = backbone.new_cache(len(rows), 16)
    for slot, row in enumerate(rows):
        count = len(PROMPTS[row])
        place = backbone.place([np.tri(count, dtype=bool)], [range(count)], [0], slot)
        layers = backbone.layer_count
        backbone.run_layers(backbone.embed(PROMPTS[row]), 0, layers, place, cache)
        cache.commit(slot, range(count))
    masks = [ancestor_mask(TREES[row][1]) for row in rows]
    place = backbone.place(masks, [TREES[row][2] for row in rows], cache.lengths)
    embedded = backbone.embed([token for row in rows for token in TREES[row][0]])
    hidden = backbone.run_layers(embedded, 0, backbone.layer_count, place, cache)
    logits = backbone.logits(backbone.final_norm(hidden))
    for slot, row in enumerate(rows):
        tokens, _, _, paths = TREES[row]
        for path in paths:
            line = PROMPTS[row] + [tokens[node] for node in path]
            alone = run_line(backbone, line, 2)[len(PROMPTS[row]) :]
            inside = logits[[place.starts[slot] + node for node in path]]
            assert (inside - alone).abs().max() < 1e-4


def test_an_unsupported_family_is_refused_in_one_sentence() -> None:
    model = torch.nn.Module()
    model.config = GPT2Config()
    with pytest.raises(ModelUnavailable, match="'gpt2' is not supported; use one of llama"):
        Backbone(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_products_equal_plain_ones(dtype: torch.dtype) -> None:
    """The private operators must compute what F.linear computes."""
    if not packing_available(dtype, torch.device("cpu")):
        pytest.skip(f"no packing for {dtype} on this processor")
    torch.manual_seed(0)
    weight, bias = torch.randn(70, 48).to(dtype), torch.randn(70).to(dtype)
    packed, plain = Linear(weight, bias), Linear(weight, bias, pack=False)
    assert packed.packed
    assert not plain.packed
    for rows in (1, 5, 33):
        x = torch.randn(2, rows, 48).to(dtype)
        tolerance = 1e-4 if dtype is torch.float32 else 0.2
        assert (packed(x) - plain(x)).abs().max() < tolerance


def test_a_sliding_window_bounds_the_context() -> None:
    """Mistral's window is never slid: texts beyond it are refused, not silently wrong."""
    assert Backbone(tiny_transformer("mistral")).max_positions == 128
