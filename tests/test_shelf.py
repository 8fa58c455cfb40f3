"""Caches and graphs kept between requests: captured once, and never another request's text."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from propd import memory
from propd.errors import NoRoom
from propd.graphs import MOST, Eager, Graphs
from propd.one_read import OneReadSession
from propd.shelf import Kept, Shelf
from tests.harness import open_session, plain_texts, random_prompt, run, small_world, texts
from tests.test_one_read import Tape, recording

NONE = Eager()
PROMPTS = [random_prompt(random.Random(seed), small_world()) for seed in range(4)]


def opened_with(shelf: Shelf, record: Any, method: str, **settings: Any) -> OneReadSession:
    """A session of an engine with this shelf; captures are counted by ``record``."""

    def session(*given: Any, **named: Any) -> OneReadSession:
        made = OneReadSession(*given, shelf=shelf, **named)
        if not isinstance(made.graphs, Graphs):  # on a GPU a new cache has some
            made.graphs = Graphs(record)
        return made

    kind: Any = session
    found: Any = open_session(small_world(), method, kind=kind, **settings)
    return found  # type: ignore[no-any-return]


def answered(shelf: Shelf, record: Any, method: str, **settings: Any) -> list[list[int]]:
    """The texts of a request."""
    session = opened_with(shelf, record, method, **settings)
    found = texts(run(session, PROMPTS))
    session.close()
    return found


REQUESTS: list[dict[str, Any]] = [
    {"method": "propd"},
    {"method": "propd", "temperature": 0.9, "top_k": 8},
    {"method": "medusa", "max_new_tokens": 9},
    {"method": "propd", "temperature": 0.9, "top_p": 0.7},
    {"method": "autoregressive"},
    {"method": "propd-static", "prune_rule": "threshold"},
    {"method": "propd"},
]


@pytest.mark.parametrize("rows", [1, 3])
def test_requests_after_one_another_write_their_own_texts(rows: int) -> None:
    """Of other methods, laws of sampling and lengths: a graph must not bring back an old one."""
    shelf, tapes = Shelf(), list[Tape]()
    with recording(tapes) as record:
        for request in REQUESTS:
            settings = {"max_new_tokens": 16, **request}
            method = settings.pop("method")
            found = answered(shelf, record, method, rows=rows, **settings)
            assert found == plain_texts(small_world(), PROMPTS, **settings), request


def test_a_request_that_was_made_before_captures_nothing() -> None:
    shelf, tapes = Shelf(), list[Tape]()
    with recording(tapes) as record:
        first = answered(shelf, record, "medusa", max_new_tokens=16)
        captured = len(tapes)
        assert captured >= 3
        assert answered(shelf, record, "medusa", max_new_tokens=16) == first
    assert len(tapes) == captured


@pytest.mark.parametrize("other", [{"rows": 2}, {"slots": 99}, {"heads": object()}])
def test_only_a_session_that_fits_gets_a_cache(other: dict[str, Any]) -> None:
    world = small_world()
    asked: dict[str, Any] = {"rows": 1, "slots": 64, "heads": world.heads}
    kept = Kept(world.backbone.new_cache(1, 80), NONE, world.heads)
    shelf = Shelf()
    shelf.put(kept)
    assert shelf.take(**asked) is kept
    assert shelf.take(**asked) is None, "two sessions must not write to one cache"
    shelf.put(kept)
    assert shelf.take(**{**asked, **other}) is None


def test_a_cancelled_request_leaves_no_text_behind() -> None:
    shelf = Shelf()
    with recording([]) as record:
        opened = opened_with(shelf, record, "medusa")
        opened.join(0, PROMPTS[0])
        opened.step()
        opened.close()
        assert opened.cache.capacity == 0
        found = answered(shelf, record, "medusa", max_new_tokens=16)
    assert found == plain_texts(small_world(), PROMPTS, max_new_tokens=16)


def test_a_step_that_broke_leaves_nothing_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it wrote to the cache nobody knows."""
    shelf = Shelf()
    with recording([]) as record:
        opened = opened_with(shelf, record, "medusa")
        opened.join(0, PROMPTS[0])
        monkeypatch.setattr(opened, "_run_late", lambda nodes: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            opened.step()
        opened.close()
    assert shelf.take(1, 1, small_world().heads) is None


def test_graphs_are_forgotten_before_they_are_too_many() -> None:
    tapes: list[Tape] = []
    with recording(tapes) as record:
        graphs = Graphs(record)
        for key in [*range(MOST + 3)] * 3:
            (out,) = graphs(key, lambda x: (x + 1,), torch.tensor([float(key)]))
            assert out.item() == key + 1
            assert len(graphs._known) <= MOST
    assert len(tapes) > MOST


def test_what_lies_on_the_shelf_never_refuses_a_request() -> None:
    """Its memory is free for who needs it."""
    shelf, world = Shelf(), small_world()

    def full() -> None:
        if shelf._kept is not None:
            raise NoRoom("no room")

    shelf.put(Kept(world.backbone.new_cache(1, 80), NONE, None))
    shelf.checked(full)
    assert shelf.take(1, 1, None) is None

    def always() -> None:
        raise NoRoom("no room")

    with pytest.raises(NoRoom):
        shelf.checked(always)


def test_memory_that_requests_gave_back_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch keeps it from the driver, which calls it used: later requests would be refused."""
    for name, found in (
        ("mem_get_info", (5, 80)),
        ("memory_reserved", 70),
        ("memory_allocated", 40),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda device, found=found: found)
    assert memory.available_bytes(torch.device("cuda")) == 35
