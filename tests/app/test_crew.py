"""Worker processes behind one page: who waits for whom, and what is lost when one dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import propd
from app import settings
from app.comparing import Comparison, question
from app.crew import Crew
from app.runs import answer, attend
from app.strings import serving as words
from app.tabs.compare import finished
from app.ui import build
from propd.core import DecodingConfig
from propd.errors import ProPDError
from tests.app.works import Deadly, Slow, Stuck

PATIENCE = 120
ASKED = DecodingConfig(method="lookup", max_new_tokens=20)


@pytest.fixture(scope="module")
def crew(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Two processes with the tiny model, which has no heads here."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PROPD_CACHE", str(tmp_path_factory.mktemp("cache")))
    crew = Crew(2, threads=1, model=str(tiny_folder))
    crew.open()
    assert crew.done.wait(PATIENCE)
    whole(crew)
    yield crew
    crew.close()
    patch.undo()


def whole(crew: Crew) -> None:
    """Wait until both processes are idle."""
    until = time.monotonic() + PATIENCE
    while crew._idle.qsize() < crew.places:
        assert time.monotonic() < until, f"{crew._idle.qsize()} of {crew.places}: {crew.reason}"
        time.sleep(0.05)


def told(crew: Crew, work: Any) -> list[dict[str, Any]]:
    return list(attend(crew, work))


def test_the_text_is_the_engines(crew: Crew, tiny_folder: Path) -> None:
    last = list(answer(crew, "abc", ASKED))[-1]
    alone = propd.load(str(tiny_folder)).generate("abc", ASKED)
    assert last["phase"] == "done"
    assert "".join(event["text"] for event in last["events"].values()) == alone.text


def test_the_page_knows_the_model_without_holding_it(crew: Crew) -> None:
    assert crew.engine is None and crew.about is not None
    assert crew.about.threads == 1 and not crew.about.heads
    assert "is ready: float32 on cpu, threads: 1" in crew.status()
    assert [method.name for method in crew.methods()] == ["lookup", "autoregressive"]
    groups = {(fn.concurrency_id, fn.concurrency_limit) for fn in build(crew).fns.values()}
    assert ("model", 2) in groups


def test_two_visitors_do_not_wait_for_each_other(crew: Crew) -> None:
    with ThreadPoolExecutor(2) as visitors:
        one, other = visitors.map(lambda _: told(crew, Slow()), range(2))
    assert one[0]["process"] != other[0]["process"]
    assert one[0]["at"] < other[-1]["at"] and other[0]["at"] < one[-1]["at"]


def test_a_third_waits_until_one_is_free(crew: Crew) -> None:
    with ThreadPoolExecutor(3) as visitors:
        all_told = list(visitors.map(lambda _: told(crew, Slow(30)), range(3)))
    waited = [messages for messages in all_told if messages[0]["phase"] == "loading"]
    assert len(waited) == 1 and all(messages[-1]["phase"] == "running" for messages in all_told)


def test_a_process_that_dies_takes_only_its_own_run(crew: Crew) -> None:
    with ThreadPoolExecutor(2) as visitors:
        other = visitors.submit(told, crew, Slow(60))
        messages = attend(crew, Deadly())
        dead = next(messages)["process"]
        with pytest.raises(ProPDError, match="this run with it") as caught:
            list(messages)
        assert len(other.result(PATIENCE)) == 60
    assert str(caught.value) == words.LOST
    whole(crew)  # another has taken its place
    processes = {worker.process.pid for worker in crew.workers if worker.process}
    assert len(processes) == 2 and dead not in processes
    assert list(answer(crew, "abc", ASKED))[-1]["phase"] == "done"


def test_what_one_process_measured_the_next_one_knows(crew: Crew) -> None:
    """Measured again beside others at work, costs would be those of a crowded machine."""
    assert set(crew.known.costs) == {1}
    before = crew.known.costs[1]
    with pytest.raises(ProPDError):
        told(crew, Deadly())
    whole(crew)
    assert crew.known.costs[1] == before


def test_stop_frees_the_process_at_its_next_message(crew: Crew) -> None:
    processes = {worker.process.pid for worker in crew.workers if worker.process}
    messages = attend(crew, Slow(10_000))
    next(messages)
    began = time.monotonic()
    messages.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 5
    assert crew._idle.qsize() == 2
    assert {worker.process.pid for worker in crew.workers if worker.process} == processes
    assert len(told(crew, Slow(3))) == 3


def test_a_process_that_does_not_stop_is_replaced(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "STOP_SECONDS", 0.5)
    messages = attend(crew, Stuck())
    stuck = next(messages)["process"]
    next(messages)
    messages.close()  # type: ignore[attr-defined]
    whole(crew)
    assert stuck not in {worker.process.pid for worker in crew.workers if worker.process}


def test_a_refusal_keeps_its_sentence_and_the_process(crew: Crew) -> None:
    messages = answer(crew, "  ", ASKED)
    assert next(messages)["phase"] == "failed"
    with pytest.raises(ProPDError, match="prompt is empty"):
        next(messages)
    assert crew._idle.qsize() == 2


def test_programs_get_the_summary(crew: Crew) -> None:
    """It is made in the process: the page's copy of the work has seen nothing."""
    asked = question("abc", ["lookup", "autoregressive"], 8, 1)
    summary = finished(crew, lambda: Comparison(asked))
    assert set(summary["methods"]) == {"lookup", "autoregressive"}
    assert all(one["tokens"] == 8 for one in summary["methods"].values())


def test_without_a_model_the_page_says_why(tmp_path: Path) -> None:
    crew = Crew(1, threads=1, model=str(tmp_path))
    crew.open()
    try:
        assert crew.done.wait(PATIENCE)
        assert "No live runs" in crew.status() and str(tmp_path) in crew.status()
        with pytest.raises(ProPDError, match="No live runs"):
            told(crew, Slow())
    finally:
        crew.close()
