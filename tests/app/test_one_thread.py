"""All work with the model in one thread, whoever asks: several would keep teams of OpenMP each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import propd
from app.one_thread import OneThread
from app.runs import EngineRoom, answer
from propd.core import DecodingConfig
from propd.engine import Engine


def test_functions_and_iterators_run_there_and_answer_here() -> None:
    there, met = OneThread("there"), set()

    def counted() -> Iterator[int]:
        for number in range(3):
            met.add(threading.current_thread())
            yield number

    assert there.ask(lambda: threading.current_thread().name).result() == "there"
    assert list(there.iterate(counted())) == [0, 1, 2]
    assert [thread.name for thread in met] == ["there"]


def test_what_it_raises_reaches_who_asked_and_it_goes_on() -> None:
    there = OneThread("there")

    def broken() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    items = there.iterate(broken())
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)
    assert there.ask(lambda: 2).result() == 2


def test_closing_closes_there() -> None:
    there, closed = OneThread("there"), []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    items = there.iterate(endless())
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert there.ask(lambda: list(closed)).result() == ["there"]


def test_closing_in_that_thread_itself_does_not_wait_for_itself() -> None:
    """Garbage is collected wherever it is found: there, too."""
    there = OneThread("there")
    items = there.iterate(iter_of([1, 2]))
    next(items)
    there.ask(items.close).result(timeout=10)  # type: ignore[attr-defined]
    assert there.ask(lambda: 3).result(timeout=10) == 3


def iter_of(numbers: list[int]) -> Iterator[int]:
    """A generator of these."""
    yield from numbers


def test_the_model_is_loaded_and_asked_in_one_thread(
    tiny_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Visitors' messages come from many threads of the server; half the speed was lost by that."""
    met: set[str] = set()
    stream, load = Engine.stream, propd.load

    def streamed(self: Engine, *given: Any, **named: Any) -> Any:
        for event in stream(self, *given, **named):
            met.add(threading.current_thread().name)
            yield event

    def loaded(*given: Any, **named: Any) -> Any:
        met.add(threading.current_thread().name)
        return load(str(tiny_folder), heads=str(tiny_folder / "heads"))

    monkeypatch.setattr(Engine, "stream", streamed)
    monkeypatch.setattr(propd, "load", loaded)
    room = EngineRoom("tiny")
    room.open()
    with ThreadPoolExecutor(3) as visitors:
        asked = DecodingConfig(max_new_tokens=6)
        runs = visitors.map(lambda prompt: list(answer(room, prompt, asked)), ["abc", "ab", "b"])
        assert [messages[-1]["phase"] for messages in runs] == ["done"] * 3
    assert met == {"engine"}
