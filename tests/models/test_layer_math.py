"""The straight way through a layer: the same numbers as the way of many rows, also recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from propd.models.backbone import Backbone
from propd.models.layer_math import Alone, plain
from propd.models.layer_recording import recorded
from propd.models.linear import packing_available
from propd.models.placement import Placement
from tests.conftest import FAMILIES, VOCABULARY, tiny_transformer

WIDTHS = (1, 2, 3, 5, 8, 1, 17, 4)
"""Nodes of passes, one after the other; a recording may not remember a width."""


def read(backbone: Backbone, ways: Sequence[Alone]) -> list[torch.Tensor]:
    """Hidden states of a text read in pieces of these widths, layer by layer along the ways."""
    cache, found, start = backbone.new_cache(1, sum(WIDTHS)), [], 0
    for width in WIDTHS:
        hidden, place = one_piece(backbone, start, width)
        mask = backbone._math.mask(place.blocks[0].mask)
        for way, window in zip(ways, cache.windows(range(len(ways)), place), strict=True):
            hidden = way(hidden, place.turns, mask, *window.own, *window.seen[0])
        cache.commit(0, range(width))
        found.append(hidden)
        start += width
    return found


def one_piece(backbone: Backbone, start: int, width: int) -> tuple[torch.Tensor, Placement]:
    ids = [(11 * place * place + 5) % VOCABULARY for place in range(start, start + width)]
    place = backbone.place([np.tri(width, dtype=bool)], [range(width)], [start])
    return backbone.embed(ids), place


PACKS = packing_available(torch.float32, torch.device("cpu"))


@pytest.mark.parametrize(
    "pack",
    [False, pytest.param(True, marks=pytest.mark.skipif(not PACKS, reason="nothing packs here"))],
)
@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_a_recording_gives_the_same_bits_for_any_number_of_nodes(family: str, pack: bool) -> None:
    backbone = Backbone(tiny_transformer(family), pack=pack)
    assert backbone.layers[0].qkv.packed is pack  # type: ignore[union-attr]
    found = recorded(backbone._math, backbone.layers, backbone._sample())
    assert not any(isinstance(way, partial) for way in found)  # as `plain` would give
    expected = read(backbone, plain(backbone._math, backbone.layers))
    assert all(map(torch.equal, read(backbone, found), expected))
    assert expected[-1].std() > 0.1


@torch.inference_mode()
def test_each_layer_is_recorded_with_its_own_weights() -> None:
    backbone = Backbone(tiny_transformer("llama"), pack=False)
    ways = recorded(backbone._math, backbone.layers, backbone._sample())
    usual = read(backbone, ways)
    assert not torch.equal(read(backbone, ways[::-1])[0], usual[0])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("invariant", [True, False])
@torch.inference_mode()
def test_one_row_goes_the_same_way_as_many(family: str, invariant: bool) -> None:
    """A row alone and the same row in the general way: the same bits, whatever the numerics."""
    backbone = Backbone(tiny_transformer(family), invariant=invariant, pack=False)
    cache, start = backbone.new_cache(1, sum(WIDTHS)), 0
    expected = read(backbone, plain(backbone._math, backbone.layers))
    for width, wanted in zip(WIDTHS, expected, strict=True):
        hidden, place = one_piece(backbone, start, width)
        place = replace(place, ends_there=False)  # so that windows are those of many rows
        masks = [backbone._math.mask(block.mask) for block in place.blocks]
        windows = cache.windows(range(backbone.layer_count), place)
        for layer, window in zip(backbone.layers, windows, strict=True):
            hidden = backbone._run_together(layer, hidden, place, masks, window)
        assert torch.equal(hidden, wanted)
        cache.commit(0, range(width))
        start += width


@torch.inference_mode()
def test_where_nothing_can_be_recorded_the_layers_run_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TorchScript is old; a PyTorch without it must not be a PyTorch without this project."""

    def refuse(*arguments: object, **settings: object) -> None:
        raise RuntimeError("not here")

    backbone = Backbone(tiny_transformer("llama"), pack=False)
    expected = read(backbone, plain(backbone._math, backbone.layers))
    monkeypatch.setattr(torch.jit, "trace", refuse)
    ways = recorded(backbone._math, backbone.layers, backbone._sample())
    assert all(map(torch.equal, read(backbone, ways), expected))
