"""Every method on a device without numbers, which stands for a GPU.

Tensors of PyTorch's `meta` device have shapes and no values. (`FakeTensorMode` would have
tensors that say "cuda"; PyTorch without CUDA cannot slice these.) A mask built on the CPU, an index
that is a list, a number read beside the door: each raises here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from propd import host
from propd.decoding import DecodingSession
from propd.methods import METHODS
from propd.models import backbone as backbone_module
from propd.models import placement
from propd.models.backbone import Backbone
from propd.models.layer_math import plain
from propd.models.placement import one_block
from propd.one_read import OneReadSession
from propd.tree.sampling import Chooser
from tests.conftest import VOCABULARY, tiny_heads, tiny_transformer
from tests.harness import World, open_session

GPU = torch.device("meta")
LOOPS = {"one read": OneReadSession, "three reads": DecodingSession}


def made_up(source: random.Random, *tensors: torch.Tensor) -> list[Any]:
    """Values of the right shape: distinct tokens in a row of guesses, chances, truths."""

    def fill(shape: tuple[int, ...], dtype: torch.dtype) -> Any:
        if len(shape) > 1:
            return [fill(shape[1:], dtype) for _ in range(shape[0])]
        count = shape[0] if shape else 1
        if dtype is torch.bool:
            row: list[Any] = [True] + [source.random() < 0.6 for _ in range(count - 1)]
        elif dtype.is_floating_point:
            row = [source.random() for _ in range(count)]
        else:
            row = source.sample(range(VOCABULARY), count) if count <= VOCABULARY else (
                [source.randrange(VOCABULARY) for _ in range(count)])  # fmt: skip
        return row if shape else row[0]

    return [fill(tuple(tensor.shape), tensor.dtype) for tensor in tensors]


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, CPU indices included: PyTorch would copy
    them while the host waits."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        kinds = {x.device.type for x in given if x.dim()}
        if len(kinds) > 1:
            raise AssertionError(f"{func} of tensors on {kinds}")
        return func(*args, **(kwargs or {}))


@contextmanager
def no_numbers(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> Iterator[World]:
    source = random.Random(0)
    monkeypatch.setattr(Chooser, "_new_number", lambda self: source.random())
    read = host.read
    for module in _modules():
        if getattr(module, "read", None) is read:
            monkeypatch.setattr(module, "read", lambda *tensors: made_up(source, *tensors))
    monkeypatch.setattr("propd.models.linear.packing_available", lambda *given: False)
    monkeypatch.setattr("propd.models.four_bit.four_bit_pays", lambda: False)
    # recorded on a CPU alone, with weights that `_move` does not see
    monkeypatch.setattr(backbone_module, "recorded", lambda math, layers, _: plain(math, layers))
    with torch.inference_mode():
        model = tiny_transformer("llama")
        backbone = Backbone(model, dtype=dtype, pack=False)
        world = World(backbone, tiny_heads(backbone))
    with torch.inference_mode(), OneDevice():
        _move(world.backbone, {})
        _move(world.heads, {})
        backbone.device = GPU
        yield world


def _move(thing: Any, done: dict[int, Any]) -> Any:
    """The same with every tensor and name of a device in it; objects change in place."""
    if id(thing) in done:
        return done[id(thing)]
    if isinstance(thing, torch.device):
        return GPU
    if isinstance(thing, torch.Tensor):
        new: Any = thing.to(GPU)
    elif isinstance(thing, (list, tuple)) and not hasattr(thing, "_fields"):
        new = type(thing)(_move(part, done) for part in thing)
    else:
        new = done[id(thing)] = thing
        fields = thing if isinstance(thing, dict) else getattr(thing, "__dict__", {})
        for name, value in list(fields.items()):
            fields[name] = _move(value, done)
    done[id(thing)] = new
    return new


def _modules() -> list[Any]:
    import sys

    return [module for name, module in list(sys.modules.items()) if name.startswith("propd.")]


def decode(session: DecodingSession, rows: int) -> int:
    """A prefill a row, and some steps."""
    for number in range(rows):
        session.join(number, [1, 2, 3, 4][: number + 2])
    steps = 0
    while session.rows and steps < 6:
        session.step()
        session.let_go()
        steps += 1
    return steps


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_stays_on_its_device(
    method: str, loop: str, temperature: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards device mixing in prefill, trees, heads, early look, pruning, sampling and commit."""
    dtype = torch.bfloat16 if rows == 3 else torch.float16
    with no_numbers(monkeypatch, dtype) as world:
        session = open_session(
            world, method, rows=rows, kind=LOOPS[loop], temperature=temperature, top_k=5,
            top_p=0.9, min_p=0.01, max_new_tokens=40,
        )  # fmt: skip
        assert decode(session, rows) > 2


@pytest.mark.parametrize("rule", ["threshold", "budget"])
def test_every_rule_of_pruning_stays_on_its_device(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_numbers(monkeypatch, torch.bfloat16) as world:
        session = open_session(
            world, "propd-static", kind=OneReadSession, prune_rule=rule, max_new_tokens=40
        )
        assert decode(session, 1) > 2


def test_a_mask_of_the_wrong_device_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof that the tests above can fail."""
    place = placement.place_forest

    def wrong(*given: Any) -> Any:
        found = place(*given)
        return replace(found, blocks=(one_block(0, torch.zeros(found.mask.shape)),))

    monkeypatch.setattr(backbone_module, "place_forest", wrong)
    with no_numbers(monkeypatch, torch.bfloat16) as world:
        session = open_session(world, "medusa", kind=OneReadSession)
        with pytest.raises((RuntimeError, AssertionError)):
            decode(session, 1)


def test_a_read_beside_the_door_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise."""
    with no_numbers(monkeypatch, torch.bfloat16) as world:
        session = open_session(world, "medusa", kind=OneReadSession)
        score = world.backbone.logits

        def wrong(hidden: torch.Tensor) -> torch.Tensor:
            assert float(hidden.sum()) is not None
            return score(hidden)

        monkeypatch.setattr(world.backbone, "logits", wrong)
        with pytest.raises(Exception, match="meta"):
            decode(session, 1)
