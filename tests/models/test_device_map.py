"""Layers on several devices: the map, what crosses a border, and that no text changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import propd
from propd.errors import InvalidRequest, ModelUnavailable, NoRoom
from propd.models import room
from propd.models.backbone import Backbone
from propd.models.device_map import DeviceMap, one_device, read_map, share_layers
from propd.models.need import Need
from propd.models.shape import Shape
from propd.models.shards import open_in_parts
from propd.models.spread import moved
from tests.conftest import FAMILIES, tiny_transformer

CPU = torch.device("cpu")
GB = 10**9


def need(layers: int = 32, layer: int = GB, home: int = 2 * GB) -> Need:
    return Need(layer, layers, home, 0, 0, 0, rows=1, tokens=1)


def spans(found: DeviceMap) -> str:
    return str(found)


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        ({"cuda:0": 80, "cuda:1": 80, "cpu": 500}, "cuda:0=32"),
        ({"cuda:0": 24, "cuda:1": 24, "cpu": 500}, "cuda:0=15,cuda:1=17"),
        ({"cuda:0": 18, "cuda:1": 48, "cpu": 500}, "cuda:0=10,cuda:1=22"),
        ({"cuda:0": 14, "cuda:1": 14, "cpu": 500}, "cuda:0=12,cuda:1=14,cpu=6"),
        ({"cuda:0": 12, "cpu": 500}, "cuda:0=10,cpu=22"),
        ({"cpu": 500}, "cpu=32"),
    ],
)
def test_layers_go_to_the_fewest_devices_and_to_the_cpu_last(
    free: dict[str, int], expected: str
) -> None:
    found = share_layers(need(), {name: room * GB for name, room in free.items()})
    assert spans(found) == expected
    assert found.home == torch.device(next(iter(free)))


@pytest.mark.parametrize("free", [{"cpu": 33 * GB}, {"cuda:0": GB, "cpu": 500 * GB}, {"cpu": 0}])
def test_a_model_that_fits_nowhere_is_refused_with_its_size(free: dict[str, int]) -> None:
    """The second has a first device that cannot even hold what lies together."""
    with pytest.raises(NoRoom, match=r"needs 34\.0 GB and .* may be used; take narrower weights"):
        share_layers(need(), free)


@pytest.mark.parametrize("seed", range(40))
def test_every_layer_has_a_place_and_no_device_more_than_it_holds(seed: int) -> None:
    """Guards the rounding when layers are shared in proportion."""
    source = np.random.default_rng(seed)
    free = {f"cuda:{n}": int(source.integers(3, 40)) * GB for n in range(source.integers(1, 6))}
    asked = need(layers=int(source.integers(1, 60)))
    try:
        found = share_layers(asked, {**free, "cpu": 100 * GB})
    except NoRoom:
        return
    assert len(found.layers) == asked.layers
    for device in set(found.layers):
        home = asked.home if device == found.home else 0
        room = {**free, "cpu": 100 * GB}[str(device)]
        assert found.layers.count(device) * asked.placed_layer + home <= room


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("everywhere", "is none; write auto"),
        ("cuda:0=x", "is none; write auto"),
        ("tpu9=5", "is none; write auto"),
        ("cuda:0=4", "places 4 layers and the model has 5"),
        ("cuda:0=5,cuda:1=0", "at least one"),
    ],
)
def test_a_map_that_is_none_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        read_map(text, 5)


def test_the_home_is_a_gpu_where_there_is_one() -> None:
    assert read_map("cpu=2,cuda:1=3", 5).home == torch.device("cuda:1")
    assert read_map("cpu=2,cpu=3", 5).home == CPU


def test_a_device_that_is_not_here_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="names cuda:7 and there are"):
        propd.load(str(tiny_folder), device_map="cuda:7=5")
    with pytest.raises(InvalidRequest, match="Both device cpu and the device map auto"):
        propd.load(str(tiny_folder), device="cpu", device_map="auto")
    with pytest.raises(InvalidRequest, match="need a CPU and a device map was given"):
        propd.load(str(tiny_folder), weights="int4", device_map="auto")


def test_a_model_too_large_is_refused_before_its_weights_are_read(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "available_bytes", lambda device: 100_000)
    monkeypatch.setattr("propd.models.loading._load_weights", lambda *a: pytest.fail("read them"))
    told: list[str] = []
    with pytest.raises(NoRoom, match=r"needs 0\.00 GB on cpu and 0\.00 GB on cpu may be used"):
        propd.load(str(tiny_folder), device="cpu", report=told.append)
    assert told[0].startswith("memory needed: ")


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_weights_that_arrive_in_parts_are_those_of_transformers(
    family: str, tmp_path: Path
) -> None:
    """Tied words, biases, norms of queries: bit for bit, and nothing is left behind on the way."""
    tiny_transformer(family).save_pretrained(tmp_path, max_shard_size="20KB")
    whole = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    parts = open_in_parts(tmp_path, torch.float32, one_device(CPU, 5))
    ids = list(range(17))
    logits = []
    for model in (whole, parts):
        backbone = Backbone(model)
        hidden = backbone.read_all(ids, backbone.new_cache(1, len(ids)))
        logits.append(backbone.logits(backbone.final_norm(hidden)))
    assert torch.equal(*logits)
    left = [weight for layer in parts.model.layers._layers for weight in layer.parameters()]
    assert left and all(weight.is_meta for weight in left)


def test_missing_and_misshapen_weights_are_told_before_and_while_they_arrive(
    tiny_folder: Path, tmp_path: Path
) -> None:
    for file in tiny_folder.glob("*"):
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    path, name = tmp_path / "model.safetensors", "model.layers.3.mlp.up_proj.weight"
    weights = load_file(path)
    save_file({**weights, name: weights[name][:, :8].contiguous()}, path)
    with pytest.raises(ModelUnavailable, match=f"{name} does not fit"):
        propd.load(str(tmp_path), device_map="auto")
    del weights[name]
    save_file(weights, path)
    with pytest.raises(ModelUnavailable, match=f"incomplete: {name} is missing"):
        propd.load(str(tmp_path), device_map="auto")


@pytest.mark.parametrize("device_map", ["auto", "cpu=2,cpu=3", "cpu=1,cpu=1,cpu=3"])
def test_a_device_map_changes_no_text(tiny_folder: Path, device_map: str) -> None:
    """K and V in parts: rows that join and leave, pruning before and after the border."""
    heads = str(tiny_folder / "heads")
    whole = propd.load(str(tiny_folder), heads=heads, dtype="float32", weights="dense")
    parts = propd.load(str(tiny_folder), heads=heads, dtype="float32", device_map=device_map)
    prompts = ["abc", "a longer prompt", "x", "hello there", "1 2 3"]
    for method in ("autoregressive", "medusa", "propd-static", "propd"):
        config = propd.DecodingConfig(method=method, max_new_tokens=24)
        answers = [
            [run.token_ids for run in engine.generate_batch(prompts, config, max_rows=3)]
            for engine in (whole, parts)
        ]
        assert answers[0] == answers[1], method


@torch.inference_mode()
def test_a_spread_cache_holds_what_a_whole_one_does(tiny_folder: Path) -> None:
    """Its memory, its integrity check, and that a broken part is found."""
    heads = str(tiny_folder / "heads")
    engine = propd.load(str(tiny_folder), heads=heads, device_map="cpu=2,cpu=3")
    with engine.open(method="medusa", max_rows=2) as session:
        session.join("abc")
        session.join("a longer prompt")
        for _ in range(4):
            session.step()
        cache = session.decoding.cache
        session.decoding.check_integrity()
        assert [len(part.keys) for part in cache.parts] == [2, 3]
        cache.parts[1].values[0, 0, :, 1] = float("nan")
        with pytest.raises(RuntimeError, match="not finite"):
            session.decoding.check_integrity()


def run_to_meta(rows: int) -> None:
    """A pass whose last layers are on another device, one whose numbers cannot come home."""
    model = tiny_transformer("qwen3")
    for layer in model.model.layers[2:]:
        layer.to("meta")
    spans = ((CPU, 2), (torch.device("meta"), 3))
    backbone = Backbone(model, device_map=DeviceMap(CPU, spans))
    cache = backbone.new_cache(rows, 32)
    assert [part.keys.device.type for part in cache.parts] == ["cpu", "meta"]
    counts = [4, 3][:rows]
    trees = [np.tri(count, dtype=bool) for count in counts]
    place = backbone.place(trees, [range(count) for count in counts], [0] * rows)
    hidden = backbone.run_layers(backbone.embed(range(sum(counts))), 0, 2, place, cache)
    assert hidden.isfinite().all()
    backbone.run_layers(hidden, 2, 5, place, cache)


@pytest.mark.parametrize("rows", [1, 2])
@torch.inference_mode()
def test_behind_a_border_nothing_is_left_on_the_device_before_it(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors on "meta" have no numbers and refuse company from the CPU: all layers run, and only
    the way home fails. Without the move, the pass fails earlier."""
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        run_to_meta(rows)
    monkeypatch.setattr("propd.models.backbone.moved", lambda place, device: place)
    with pytest.raises(RuntimeError, match="device") as caught:
        run_to_meta(rows)
    assert "copy out of meta" not in str(caught.value)


def test_every_tensor_of_a_placement_moves(tiny_folder: Path) -> None:
    """A field that is new there must cross a border too."""
    backbone = propd.load(str(tiny_folder), device_map="auto").backbone
    trees = [np.tri(count, dtype=bool) for count in (4, 3)]
    place = moved(backbone.place(trees, [range(4), range(3)], [0, 0]), torch.device("meta"))
    held = [*vars(place).values(), *(value for b in place.blocks for value in vars(b).values())]
    tensors = [value for value in held if isinstance(value, torch.Tensor)]
    assert len(tensors) >= 6 and all(tensor.is_meta for tensor in tensors)


def test_the_need_of_a_model_is_what_its_file_holds(tiny_folder: Path) -> None:
    """To the byte in float32, where norms are as wide as the rest."""
    config = json.loads((tiny_folder / "config.json").read_text())
    stored = sum(t.nbytes for t in load_file(tiny_folder / "model.safetensors").values())
    found = Need.of(Shape.of(config), "dense", 4)
    assert found.weights + 4 * 32 == stored  # the final norm is not counted
    assert Shape.of(config).parameters * 4 == stored
