"""The Lab in a real browser: what a slider does, what a link restores, what a file may hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import propd
from app import lab
from app.runs import EngineRoom
from propd.trace import Header, Trace, save, trace_to_json
from tests.browser.pages import MARKS, served, watched

pytestmark = MARKS
NASTY = "<img src=x onerror=alert(1)> ${alert(1)} {{value}}"
ANSWERED = "window.propdLab && propdLab.answer && !propdLab.asking && !propdLab.timer"


@pytest.fixture(scope="module")
def trace(tiny_folder: Path) -> Trace:
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    events = tuple(engine.stream("abc", method="propd-static", max_new_tokens=40))
    return Trace(Header(NASTY, "medusa", "abc", machine=NASTY), events)


@pytest.fixture(scope="module")
def address(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An app whose model never came: the Lab needs none."""
    traces = tmp_path_factory.mktemp("traces")
    save(trace, traces / "1-question-medusa.json")
    room = EngineRoom("none")
    room.reason = "there is no model here."
    room.done.set()
    with served(room, traces) as where:
        yield where


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Iterator[Any]:
    """The opened app; fails on a script error, a dialog, or a request elsewhere."""
    with watched(browser, address) as page:
        yield page


def visit(page: Any, address: str, hash_: str) -> None:
    page.goto("about:blank")
    page.goto(f"{address}{hash_}")
    page.wait_for_function(ANSWERED)


def asked(page: Any) -> Any:
    return page.evaluate("[propdLab.state.preset, propdLab.state.changes]")


def test_a_slider_moves_the_tree_and_the_address(page: Any, address: str) -> None:
    visit(page, address, "#lab/a100")
    before = page.locator(".lab-numbers").inner_text()
    page.locator("#lab-rows").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("propdLab.answer.values.rows === 4")
    page.wait_for_function("location.hash === '#lab/a100/b4'")
    assert page.locator(".lab-numbers").inner_text() != before
    size = lab.plan("a100", {"rows": 4})["chosen"]["chosen"] // 4
    page.locator(".lab-why", has_text=f"A tree of {size} nodes").wait_for()
    page.wait_for_function(
        f"document.querySelectorAll('.lab-tree-box .points path').length === {size + 1}"
    )
    page.locator("#lab-slope_ms").press("End")
    page.wait_for_function("propdLab.answer.values.slope_ms === 50")
    page.get_by_role("button", name="Reset", exact=True).click()
    page.wait_for_function("location.hash === '#lab/a100'")
    page.wait_for_function("propdLab.answer.values.rows === 1")


def test_a_link_restores_every_setting(page: Any, address: str) -> None:
    changes = {"rows": 8, "floor_ms": 12.5, "accuracy": 0.72, "kept": 0.3, "prune": "always"}
    visit(page, address, "#lab/h100/b8_f12.5_a0.72_q0.3_malways")
    assert asked(page) == ["h100", changes]
    assert page.evaluate("propdLab.answer.chosen") == lab.plan("h100", changes)["chosen"]
    assert page.locator(".lab-slider.changed").count() == 4
    page.reload()
    page.wait_for_function(ANSWERED)
    assert asked(page) == ["h100", changes]
    page.evaluate("location.hash = '#lab/nowhere/b3_zz_a9'")
    page.wait_for_function(
        "propdLab.answer.preset === 'cpu-2' && propdLab.answer.values.rows === 3"
    )


def test_a_run_is_loaded_and_its_names_stay_text(page: Any, address: str, trace: Trace) -> None:
    visit(page, address, "#lab")
    data = json.dumps(trace_to_json(trace)).encode()
    file = {"name": "run.json", "mimeType": "application/json", "buffer": data}
    page.locator(".lab-file").set_input_files(file)
    page.wait_for_function("propdLab.answer.preset === 'your-run'")
    page.locator(".lab-sources summary").click()
    page.locator(".lab-source-lines", has_text="<img src=x").wait_for()
    assert page.locator(".propd-lab img").count() == 0
    page.locator(".lab-file").set_input_files({**file, "buffer": b'{"schema": "no"}'})
    page.locator(".lab-note", has_text="no trace that this program reads").wait_for()
    assert asked(page)[0] == "your-run"  # what was there stays
    visit(page, address, "#lab/your-run/b2")
    page.locator(".lab-note", has_text="somebody's own run").wait_for()
    assert page.evaluate("propdLab.answer.values.rows") == 2


def test_the_run_in_watch_can_be_taken(page: Any, address: str) -> None:
    visit(page, address, "#lab")
    page.get_by_role("tab", name="Watch").click()
    page.wait_for_function("window.propdPlayer && propdPlayer.run")
    page.get_by_role("tab", name="Lab").click()
    page.locator(".lab-presets select").select_option("watch")
    page.wait_for_function("propdLab.answer.preset === 'your-run'")
    page.locator(".lab-presets select").select_option("run.1-question-medusa")
    page.wait_for_function("propdLab.answer.preset === 'run.1-question-medusa'")
    page.wait_for_function("location.hash === '#lab/run.1-question-medusa'")


def test_a_phone_keeps_the_answer_in_sight(page: Any, address: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, address, "#lab/t4")
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    page.locator("#lab-top_k").scroll_into_view_if_needed()
    head = page.locator(".lab-head").bounding_box()
    assert 0 <= head["y"] < 844
