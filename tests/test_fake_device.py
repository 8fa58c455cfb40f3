"""Every method on a GPU that is not there: tensors without numbers, which know their device.

`FakeTensorMode` runs the shapes and devices of every operation and none of its arithmetic. A mask
built on the CPU, an index that is a list, a number read beside the door: each raises here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from transformers import AutoModelForCausalLM, LlamaConfig

from propd import host
from propd.decoding import DecodingSession
from propd.methods import METHODS
from propd.models import backbone as backbone_module
from propd.models import placement
from propd.models.backbone import Backbone
from propd.one_read import OneReadSession
from propd.tree.sampling import Chooser
from tests.harness import World, open_session, random_heads

VOCABULARY = 12
GPU = torch.device("cuda", 0)
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


class OneDevice(FakeTensorMode):
    """Indices may lie on the CPU, says PyTorch, and copies them while the host waits: not here."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in args:
            if isinstance(tensor, FakeTensor):
                tensor.constant = None  # what is known of a list may not be computed with
        if func.overloadpacket in (torch.ops.aten.index, torch.ops.aten.index_put_):
            for index in args[1]:
                assert index is None or index.device == args[0].device, "an index of the host"
        if func.overloadpacket in (torch.ops.aten.uniform_, torch.ops.aten.normal_):
            return args[0]  # a GPU that is not there draws no numbers
        return super().__torch_dispatch__(func, types, args, kwargs)


@contextmanager
def fake_gpu(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> Iterator[World]:
    source = random.Random(0)
    monkeypatch.setattr(Chooser, "_new_number", lambda self: source.random())
    read = host.read
    for module in _modules():
        if getattr(module, "read", None) is read:
            monkeypatch.setattr(module, "read", lambda *tensors: made_up(source, *tensors))
    shape = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=3,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=256,
        tie_word_embeddings=False,
    )  # fmt: skip
    with torch.inference_mode(), OneDevice(allow_non_fake_inputs=True):
        # made where it shall be: a module of such tensors cannot be moved
        monkeypatch.setattr(torch.nn.Module, "to", lambda module, *given, **named: module)
        torch.set_default_dtype(dtype)
        try:
            with GPU:
                model = AutoModelForCausalLM.from_config(shape, dtype=dtype)
                backbone = Backbone(model.eval().requires_grad_(False))
                world = World(backbone, random_heads(backbone))
        finally:
            torch.set_default_dtype(torch.float32)
        assert backbone.device == GPU
        assert backbone.dtype is dtype
        yield world


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
    with fake_gpu(monkeypatch, dtype) as world:
        session = open_session(
            world, method, rows=rows, kind=LOOPS[loop], temperature=temperature, top_k=5,
            top_p=0.9, min_p=0.01, max_new_tokens=40,
        )  # fmt: skip
        assert decode(session, rows) > 2


@pytest.mark.parametrize("rule", ["threshold", "budget"])
def test_every_rule_of_pruning_stays_on_its_device(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_gpu(monkeypatch, torch.bfloat16) as world:
        session = open_session(
            world, "propd-static", kind=OneReadSession, prune_rule=rule, max_new_tokens=40
        )
        assert decode(session, 1) > 2


def test_a_mask_of_the_wrong_device_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof that the tests above can fail."""
    place = placement.place_forest

    def wrong(*given: Any) -> Any:
        found = place(*given)
        object.__setattr__(found, "mask", torch.zeros(found.mask.shape))
        return found

    monkeypatch.setattr(backbone_module, "place_forest", wrong)
    with fake_gpu(monkeypatch, torch.bfloat16) as world:
        session = open_session(world, "medusa", kind=OneReadSession)
        with pytest.raises((RuntimeError, AssertionError)):
            decode(session, 1)


def test_a_read_beside_the_door_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise."""
    with fake_gpu(monkeypatch, torch.bfloat16) as world:
        session = open_session(world, "medusa", kind=OneReadSession)
        score = world.backbone.logits

        def wrong(hidden: torch.Tensor) -> torch.Tensor:
            assert float(hidden.sum()) is not None
            return score(hidden)

        monkeypatch.setattr(world.backbone, "logits", wrong)
        with pytest.raises(Exception, match=r"(?i)data.?dependent|fake|item"):
            decode(session, 1)
