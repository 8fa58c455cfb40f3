"""Compare in a real browser, on the tiny model: recorded and live races, batches, a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import propd
from app import settings
from app.batching import Sweep, plan
from app.comparing import Comparison, question
from app.runs import EngineRoom
from tests.browser.engines import NASTY, SlowEngine
from tests.browser.pages import MARKS, live_elements, served, watched

pytestmark = MARKS
METHODS = ("propd", "medusa", "autoregressive")


def record(work: Any, engine: propd.Engine, path: Path, **texts: Any) -> None:
    """A recorded file of work that is done now."""
    for _ in work.stream(engine):
        pass
    told = work.record()
    told["header"] |= {"machine": "2 CPU cores", "recorded": "2026-01-02"}
    if texts:
        told["texts"] |= texts
    path.write_text(json.dumps(told))


@pytest.fixture(scope="module")
def address(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running app with a recorded comparison, whose texts are said to differ, and batches."""
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    comparisons, batches, traces = (tmp_path_factory.mktemp(name) for name in ("c", "b", "t"))
    differs = {
        "identical": False,
        "position": 3,
        "token_ids": [1, 2],
        "texts": [NASTY, "${alert(1)}"],
        "reason": "near_tie",
        "gap": 0.0001,
        "noise": 0.0002,
    }
    asked = question(NASTY, METHODS, 40, 2)
    record(Comparison(asked), engine, comparisons / "1-question.json", propd=differs)
    sweep = Sweep(plan("\n".join([NASTY, "b", "c"]), [1, 3], "propd", 12))
    record(sweep, engine, batches / "1-batches.json")
    room = EngineRoom("tiny")
    room.engine = SlowEngine(engine)
    room.done.set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "COMPARISONS", comparisons)
        patch.setattr(settings, "BATCHES", batches)
        with served(room, traces) as where:
            yield where


@contextmanager
def opened(browser: Any, address: str, where: str, width: int = 1280) -> Iterator[Any]:
    """The app at a place, once there is something to see."""
    with watched(browser, address, viewport={"width": width, "height": 900}) as page:
        page.goto(address + where)
        page.wait_for_selector(".propd-compare .points path", state="attached")
        yield page
        assert live_elements(page, ".propd-compare, .propd-batches") == 0


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with opened(browser, address, "#compare") as page:
        yield page


@pytest.fixture
def phone(browser: Any, address: str) -> Iterator[Any]:
    with opened(browser, address, "#compare/1-question/token", 390) as page:
        yield page


def test_a_recorded_race_runs_at_once_and_explains_its_table(page: Any) -> None:
    page.wait_for_function("propdRace.playback.position > 0")
    assert page.locator(".propd-column h3").all_inner_texts() == ["ProPD", "Medusa"]
    page.locator(".propd-compare").get_by_role("button", name="To the end").click()
    done = page.locator(".propd-racers li.done")
    page.wait_for_function("document.querySelectorAll('.propd-racers li.done').length === 3")
    assert re.match(r"40 tokens · \d+ passes", done.first.locator(".propd-racer-told").inner_text())
    table = page.locator(".propd-results-table")
    assert table.locator('tbody th[scope="row"]').all_inner_texts() == [
        "ProPD",
        "Medusa",
        "Autoregressive",
    ]
    assert table.locator(".propd-verdict").all_inner_texts() == [
        "differs at token 4",
        "identical text",
    ]
    notes = page.locator(".propd-notes").inner_text()
    assert "A near-tie" in notes and "<img␣src=x" in notes and "${alert(1)}" in notes
    assert "Recorded 2026-01-02" in page.locator(".propd-compare .propd-status").inner_text()


def test_a_race_is_lined_up_by_clock_step_and_token(page: Any) -> None:
    page.locator(".propd-switch button", has_text="Step").click()
    page.wait_for_function("location.hash === '#compare/1-question/step'")
    page.locator(".propd-compare").focus()
    page.keyboard.press("Home")
    for key, position in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        page.wait_for_function(f"propdRace.playback.position === {position}")
    page.wait_for_function(
        "document.querySelector('.propd-racer-told').textContent.includes('1 pass')"
    )
    page.keyboard.press(" ")
    page.wait_for_function("propdRace.playback.playing && propdRace.playback.position > 2")
    page.evaluate("location.hash = '#compare/1-question/token'")
    page.wait_for_function("propdRace.alignment === 'token'")
    page.get_by_role("button", name="Show the tree of Autoregressive").click()
    page.locator(".propd-column h3", has_text="Autoregressive").wait_for()


def test_a_node_of_a_race_says_what_became_of_it(page: Any) -> None:
    page.evaluate("propdRace.playback.seek(Infinity); propdRace.playback.jump(-1)")
    # what is focused before the picture is drawn anew is gone with the old one
    page.evaluate("new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))")
    column = page.locator(".propd-column").nth(1)
    column.locator('.points path[tabindex="0"]').focus()
    column.locator(".propd-point", has_text="root").wait_for()
    page.keyboard.press("ArrowDown")
    column.locator(".propd-point", has_text=re.compile("rejected|accepted|pruned")).wait_for()


def compare(page: Any, prompt: str) -> None:
    page.locator("#compare-composer textarea").fill(prompt)
    page.get_by_role("button", name="Compare", exact=True).click()


def status(page: Any, words: str) -> None:
    page.locator(".propd-compare .propd-status", has_text=re.compile(words)).wait_for()


def test_a_live_comparison_streams_and_stop_keeps_what_came(
    page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SlowEngine, "pause", 0.2)
    compare(page, NASTY)
    status(page, "Medusa is running")
    page.wait_for_function("propdRace.run.live && propdRace.run.runs.medusa.events.length > 3")
    page.locator("#compare-composer").get_by_role("button", name="Stop").click()
    status(page, "Stopped")
    kept = "[...document.querySelectorAll('.propd-column .propd-text')].map((e) => e.textContent)"
    before = page.evaluate(kept)
    assert all(before)
    page.wait_for_timeout(400)
    assert page.evaluate(kept) == before
    assert page.evaluate("propdRace.run.runs.propd.state") == "done"
    assert page.evaluate("propdRace.run.runs.autoregressive.state") != "done"
    assert page.locator(".propd-racer-told").last.inner_text() == "not begun"
    page.get_by_role("button", name="Compare", exact=True).wait_for()


def test_a_live_comparison_is_whole_in_the_end_and_replays(page: Any) -> None:
    page.evaluate(
        "window.replays = 0; const replay = propdRace.replay.bind(propdRace);"
        "propdRace.replay = () => { window.replays += 1; replay(); }; null"
    )
    compare(page, "abc")
    status(page, "^Measured on this machine$")
    runs = page.evaluate(
        "Object.values(propdRace.run.runs).map((r) => r.events.flatMap((e) => e.token_ids))"
    )
    assert len(runs) == 4 and all(tokens == runs[0] for tokens in runs) and len(runs[0]) == 96
    assert page.locator(".propd-verdict.same").count() == 3
    assert page.evaluate("window.replays") == 1
    assert "threads" in page.locator(".propd-compare .propd-setup").inner_text()


def test_a_refused_comparison_is_a_toast_and_loses_nothing(page: Any) -> None:
    compare(page, "  ")
    page.locator(".toast-body", has_text="prompt is empty").wait_for()
    page.wait_for_selector("#compare-composer button.primary:not([disabled])")
    assert "Recorded" in page.locator(".propd-compare .propd-status").inner_text()


def test_batches_show_a_tree_for_every_row(page: Any) -> None:
    page.evaluate("location.hash = '#compare/batches/3'")
    page.wait_for_function("propdBatches.rows === 3")
    page.locator(".propd-batches").get_by_role("button", name="Play").click()
    page.wait_for_function("propdBatches.playback.position >= 1")
    page.keyboard.press("Home")
    cells = page.locator(".propd-cell")
    assert cells.count() == 3
    assert all(cell.locator(".points path").count() for cell in cells.all())
    cells.last.locator('.points path[tabindex="0"]').focus()
    page.locator(".propd-batches .propd-point", has_text="root").wait_for()
    page.locator(".propd-batches summary", has_text="plots as a table").click()
    assert page.locator('.propd-batches tbody th[scope="row"]').all_inner_texts() == ["1", "3"]
    page.locator(".propd-batches summary", has_text="texts of the rows").click()
    first = page.locator(".propd-row-texts li").first
    assert first.locator(".propd-prompt").inner_text().startswith("<img src=x")


def test_live_batches_run_size_by_size(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlowEngine, "pause", 0.2)
    page.locator("#batch-composer").get_by_role("button", name="Decode").click()
    line = page.locator(".propd-batches .propd-status")
    line.filter(has_text="rows are running").wait_for()
    page.wait_for_function("propdBatches.run.live && propdBatches.passes().length > 1")
    page.locator("#batch-composer").get_by_role("button", name="Stop").click()
    line.filter(has_text="Stopped").wait_for()
    assert page.evaluate("propdBatches.passes().length") > 1


def test_a_phone_shows_one_below_another(phone: Any) -> None:
    phone.wait_for_function("propdRace.alignment === 'token'")
    assert phone.evaluate("document.documentElement.scrollWidth <= 390")
    lanes, first, second, table = (
        phone.locator(part).bounding_box()
        for part in (
            ".propd-racers",
            ".propd-column >> nth=0",
            ".propd-column >> nth=1",
            ".propd-results-table",
        )
    )
    assert lanes["y"] < first["y"] < second["y"] < table["y"]
    assert abs(first["x"] - second["x"]) < 2 and table["x"] + table["width"] <= 390
