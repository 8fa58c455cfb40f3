"""ZeroGPU: work in a forked process that pickles all that goes in and out, and forgets the rest."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from inspect import isgeneratorfunction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

import propd
from app import performing, runs, settings, zero_gpu
from app.batching import Sweep, plan
from app.comparing import Comparison, question
from app.performing import perform, seconds_of
from app.runs import EngineRoom, Run, answer, attend
from app.tabs.compare import finished
from app.ui import build
from propd.core import DecodingConfig
from propd.errors import InvalidRequest, ProPDError
from propd.planning.cost_book import CostBook
from propd.planning.experience import Experience

ASKED = DecodingConfig(max_new_tokens=24)
TIMEOUT = 60
Stream = Callable[..., Iterator[Any]]


def _next(pipe: Any) -> bytes:
    assert pipe.poll(TIMEOUT), "the fork hangs"
    return bytes(pipe.recv_bytes())


def forked(task: Stream) -> Stream:
    """What `spaces.GPU` makes of a generator function on ZeroGPU, without a GPU."""
    context = multiprocessing.get_context("fork")

    def work(asked: bytes, pipe: Any, stop: Any) -> None:
        torch.set_num_threads(1)  # OpenMP's threads are not forked with it
        items = task(*pickle.loads(asked))
        for item in items:
            if stop.is_set():
                items.close()  # type: ignore[attr-defined]
                break
            pipe.send_bytes(pickle.dumps(item))
        pipe.send_bytes(b"")

    def stream(*asked: Any) -> Iterator[Any]:
        here, there = context.Pipe()
        stop = context.Event()
        process = context.Process(target=work, args=(pickle.dumps(asked), there, stop))
        process.start()
        there.close()
        item = None
        try:
            while item := _next(here):
                yield pickle.loads(item)
        finally:
            stop.set()
            while item:  # it may be waiting for someone to read what it has run ahead
                item = _next(here)
            process.join(TIMEOUT)
            assert process.exitcode == 0

    return stream


@pytest.fixture
def fresh(tiny_folder: Path) -> EngineRoom:
    """A room whose engine has measured nothing yet."""
    room = EngineRoom("tiny")
    room.engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    room.done.set()
    return room


@pytest.fixture
def on_zero_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zero_gpu, "ON", True)
    monkeypatch.setattr(runs, "perform", forked(perform))


def text_of(message: dict[str, Any]) -> str:
    return "".join(event["text"] for event in message["events"].values())


def measured_here(room: EngineRoom) -> dict[int, Any]:
    return dict(room.engine.experience().costs)


def test_a_run_in_a_fork_writes_the_same_text(fresh: EngineRoom, on_zero_gpu: None) -> None:
    messages = list(answer(fresh, "abc", ASKED))
    assert messages[-1]["phase"] == "done"
    assert text_of(messages[-1]) == fresh.engine.generate("abc", ASKED).text
    assert all(pickle.loads(pickle.dumps(message)) == message for message in messages)


def test_what_a_fork_has_learned_is_carried_out_and_into_the_next(
    fresh: EngineRoom, on_zero_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork begins with what its parent knows; without this each would measure again."""
    assert measured_here(fresh) == {}
    list(answer(fresh, "abc", ASKED))
    learned = measured_here(fresh)
    assert set(learned) == {1} and len(learned[1].early) > 2

    def measure(book: CostBook, rows: int) -> Any:
        raise ZeroDivisionError("measured again")

    monkeypatch.setattr(CostBook, "_sweep", measure)
    assert list(answer(fresh, "abc", ASKED))[-1]["phase"] == "done"
    assert measured_here(fresh) == learned


def test_what_was_learned_comes_out_of_a_run_that_is_stopped(
    fresh: EngineRoom, on_zero_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MESSAGES_PER_SECOND", 1e9)
    messages = answer(fresh, "abc", DecodingConfig(max_new_tokens=200))
    next(messages), next(messages)
    messages.close()  # type: ignore[attr-defined]
    assert set(measured_here(fresh)) == {1}


def test_a_race_and_batches_in_a_fork(fresh: EngineRoom, on_zero_gpu: None) -> None:
    """Programs get a summary, though the page's own copy of the work has seen nothing."""
    asked = question("abc", ["propd", "medusa", "autoregressive"], 12, 1)
    race = list(attend(fresh, Comparison(asked)))
    assert race[-1]["phase"] == "done" and set(race[-1]["runs"]) == set(asked.methods)
    summary = finished(fresh, lambda: Comparison(asked))
    assert all(one["identical"] and one["tokens"] == 12 for one in summary["methods"].values())
    batches = finished(fresh, lambda: Sweep(plan("a\nb", [1, 2], "propd", 8)))
    assert [one["rows"] for one in batches["batches"]] == [1, 2]
    assert set(measured_here(fresh)) == {1, 2}


def test_a_refusal_leaves_the_fork_with_its_words(fresh: EngineRoom, on_zero_gpu: None) -> None:
    """ZeroGPU itself passes on the name of an exception and no more."""
    messages = answer(fresh, "  ", ASKED)
    assert next(messages)["phase"] == "failed"
    with pytest.raises(ProPDError, match="prompt is empty"):
        next(messages)


class Reached(Exception):
    """A live action came to the one place where work is done."""


def test_every_live_action_goes_through_it(
    room: EngineRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*asked: Any) -> Iterator[Any]:
        pickle.dumps(asked)
        raise Reached
        yield

    monkeypatch.setattr(runs, "perform", reached)
    branch = {"prompt": "abc", "method": "propd", "model": room.engine.name, "continuing": []}
    sidebar = [8, 0, 1, 0, "topk", 0, "always", "auto", 0]
    given: dict[str, list[Any]] = {
        "generate": ["abc", "propd", *sidebar],
        "branch": [branch, "propd", *sidebar],
        "what_if": ["abc", []],
        "run": ["abc", ["propd"], 8, 1, "exact", 0, 1, 0],
        "run_1": ["a\nb", [1], "propd", 8],
        "compare": ["abc"],
        "batches": [],
    }
    functions = {
        str(fn.api_name): fn.fn for fn in build(room).fns.values() if fn.concurrency_id == "model"
    }
    assert set(functions) == set(given)
    for name, function in functions.items():
        with pytest.raises(Reached):
            out = function(*given[name])  # type: ignore[misc]
            list(out)


def test_the_time_asked_for_follows_from_the_request() -> None:
    def seconds(work: Any) -> int:
        return seconds_of("room", work, Experience())

    short, long = (Run("abc", DecodingConfig(max_new_tokens=n)) for n in (8, 256))
    race = Comparison(question("abc", ["propd", "medusa"], 256, 2))
    batches = Sweep(plan("a\nb", [1, 2], "propd", 256))
    assert settings.GPU_BEGIN < seconds(short) < seconds(long) < seconds(batches) < seconds(race)
    assert isinstance(seconds(short), int)


def test_more_time_than_is_lent_is_refused_in_words(
    room: EngineRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Comparison(question("abc", ["propd", "medusa", "bpd", "lookup"], 204, 5))
    monkeypatch.setattr(zero_gpu, "ON", True)
    with pytest.raises(InvalidRequest, match=r"ask for 175 seconds of a GPU .* 120 at most"):
        list(attend(room, work))


def test_there_the_model_is_placed_before_the_page_and_not_yet_run(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a thread the weights would miss the GPU's stand-in, and a run would find no GPU."""
    placed: list[threading.Thread] = []

    def load(model: str, weights: str, report: Any) -> propd.Engine:
        placed.append(threading.current_thread())
        return engine

    def warm_up(engine: Any) -> None:
        raise ZeroDivisionError("there is no GPU yet")

    monkeypatch.setattr(zero_gpu, "ON", True)
    monkeypatch.setattr(propd, "load", load)
    monkeypatch.setattr(propd.Engine, "warm_up", warm_up)
    room = EngineRoom("tiny")
    room.open()
    assert room.done.is_set() and room.ready and not room.reason
    assert placed == [threading.current_thread()]


# --- with the package itself, where it is installed ---


def test_the_package_leaves_the_function_alone_elsewhere() -> None:
    spaces = pytest.importorskip("spaces")
    assert isgeneratorfunction(performing.perform)
    assert spaces.GPU(duration=seconds_of)(perform) is perform
    assert zero_gpu.spaces is spaces and not zero_gpu.ON


def test_without_the_package_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zero_gpu, "spaces", None)
    assert zero_gpu.lent(seconds_of)(perform) is perform


@pytest.fixture
def packages_own_fork(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """`perform` as the package wraps it on ZeroGPU; the GPU and who lends it are stand-ins."""
    zero = pytest.importorskip("spaces.zero")
    # its stand-in for CUDA cannot be imported where torch has none
    weights = ModuleType("spaces.zero.torch")
    vars(weights)["enter_mode"] = lambda: None
    monkeypatch.setitem(sys.modules, weights.__name__, weights)
    monkeypatch.setattr(zero, "torch", weights, raising=False)
    from spaces.zero import wrappers

    asked: list[dict[str, Any]] = []

    def schedule(**told: Any) -> Any:
        asked.append(told)
        return SimpleNamespace(allowToken="token", nvidiaIndex=0, nvidiaUUID="none", idle=True)

    monkeypatch.setattr(wrappers.client, "schedule", schedule)
    monkeypatch.setattr(wrappers.client, "release", lambda *told, **more: None)
    monkeypatch.setattr(wrappers, "worker_init", lambda **told: torch.set_num_threads(1))
    wrapped = wrappers.generator_function_wrapper(perform, seconds_of, None)
    monkeypatch.setattr(runs, "perform", wrapped)
    monkeypatch.setattr(zero_gpu, "ON", True)
    yield asked
    for process in multiprocessing.active_children():
        process.kill()


def test_a_run_and_a_race_through_the_packages_own_wrapper(
    fresh: EngineRoom, packages_own_fork: list[dict[str, Any]]
) -> None:
    last = list(answer(fresh, "abc", ASKED))[-1]
    assert text_of(last) == fresh.engine.generate("abc", ASKED).text
    assert set(measured_here(fresh)) == {1}
    [told] = packages_own_fork
    assert told["duration"].seconds == seconds_of(fresh.name, Run("abc", ASKED), Experience())
    summary = finished(fresh, lambda: Comparison(question("abc", ["propd", "medusa"], 8, 1)))
    assert all(one["identical"] for one in summary["methods"].values())


def test_stop_and_refusal_through_the_packages_own_wrapper(
    fresh: EngineRoom, packages_own_fork: list[dict[str, Any]]
) -> None:
    messages = answer(fresh, "abc", DecodingConfig(max_new_tokens=200))
    next(messages)
    messages.close()  # type: ignore[attr-defined]
    with pytest.raises(ProPDError, match="prompt is empty"):
        list(answer(fresh, " ", ASKED))
