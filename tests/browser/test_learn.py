"""Learn in a real browser: all chapters on the shipped runs, without a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.runs import EngineRoom
from app.strings.learn import CHAPTERS, LEARN
from tests.browser.pages import MARKS, served, watched

pytestmark = MARKS
LOADED = "window.propdLearn && propdLearn.given && window.Plotly"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The app as it is while its model still loads; it never will."""
    with served(EngineRoom("never")) as where:
        yield where


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The walkthrough; the test fails on a script error, a dialog, or a request elsewhere."""
    with watched(browser, address, reduced_motion="reduce") as page:
        yield page


def visit(page: Any, address: str, place: str) -> None:
    page.goto(f"{address}#learn/{place}")
    page.wait_for_function(LOADED)


def here(page: Any) -> str:
    return str(page.evaluate("`${propdLearn.id}/${propdLearn.stepName}`"))


def test_all_chapters_can_be_walked_through_and_answered(page: Any, address: str) -> None:
    visit(page, address, "slow/read")
    for chapter, told in CHAPTERS.items():
        for step in told["steps"]:
            page.wait_for_function(f"location.hash === '#learn/{chapter}/{step}'")
            assert page.locator(".propd-learn h2").inner_text() == told["title"]
            shown = (
                page.locator(".propd-prose").inner_text()
                + page.locator(".propd-lesson").inner_text()
            )
            assert not re.search(r"\{\w+\}|undefined|NaN|\[\[", shown), (chapter, step)
            assert page.locator(".propd-stage-box").bounding_box()["height"] > 60
            assert page.locator(".propd-remember p").inner_text() == told["remember"]
            if step == "ask":
                page.locator(".propd-choices button").first.click()
                page.locator(".propd-reveal").wait_for()
                assert page.locator(".propd-choices .right").count() == 1
                assert not re.search(r"\{\w+\}", page.locator(".propd-ask").inner_text())
            if page.locator(".propd-move.next").is_enabled():
                page.locator(".propd-move.next").click()
    assert page.locator(".propd-chapters .done").count() == len(CHAPTERS)
    assert page.locator(".propd-move.next").is_disabled()


def test_a_link_leads_to_its_chapter_and_step(page: Any, address: str) -> None:
    """Reloaded, by name and by number, forward and back, from inside the page."""
    visit(page, address, "size/drag")
    page.reload()
    page.wait_for_function(LOADED)
    assert here(page) == "size/drag"
    assert page.get_by_role("tab", name="Learn").get_attribute("aria-selected") == "true"
    page.evaluate("location.hash = '#learn/3/2'")
    page.wait_for_function("propdLearn.id === 'tree' && propdLearn.stepName === 'value'")
    page.evaluate("location.hash = '#learn/%E0%A4%A/<b>'")
    page.wait_for_function("propdLearn.id === 'slow' && propdLearn.stepName === 'read'")
    page.locator(".propd-learn").focus()
    page.keyboard.press("5")
    page.wait_for_function("propdLearn.id === 'pruning'")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("propdLearn.stepName === 'ask'")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert here(page) == "attention/cut"


def test_a_step_opens_in_watch(page: Any, address: str) -> None:
    visit(page, address, "step/commit")
    link = page.locator(".propd-source a")
    target = link.get_attribute("href")
    link.click()
    page.wait_for_function("window.propdPlayer && propdPlayer.run")
    _, name, step = target.split("/")
    page.wait_for_function(f"propdPlayer.run.name === '{name}' && propdPlayer.step === {step}")


def test_the_mask_and_the_tree_point_at_each_other(page: Any, address: str) -> None:
    visit(page, address, "attention/mask")
    rows = page.locator(".propd-mask tbody tr")
    rows.last.hover()
    page.locator(".propd-mask tr.looked").wait_for()
    sees = rows.last.locator("td.sees").count()
    rings = "document.querySelectorAll('.propd-tree svg > g path').length"
    assert page.evaluate(rings) >= sees - 1
    assert page.locator(".propd-learn .propd-told").inner_text() == rows.last.get_attribute(
        "aria-label"
    )
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    assert "looked" in rows.nth(1).get_attribute("class")
    assert rows.first.locator("td.sees").count() == 2  # the text so far and itself


def test_another_k_and_a_bent_curve_change_the_tree(page: Any, address: str) -> None:
    visit(page, address, "pruning/cut")
    told = page.locator(".propd-learn .propd-told")
    before = told.inner_text()
    page.locator(".propd-slider input").focus()
    page.keyboard.press("Home")
    page.wait_for_function(
        f"document.querySelector('.propd-learn .propd-told').textContent !== {before!r}"
    )
    assert "k = 1 " in told.inner_text()
    page.evaluate("location.hash = '#learn/size/drag'")
    page.wait_for_function("propdLearn.id === 'size'")
    page.locator(".propd-chart.drag").wait_for()
    marks = "document.querySelectorAll('.propd-tree .points path').length"
    page.wait_for_function(f"{marks} > 0")
    small = page.evaluate(marks)
    box = page.locator(".propd-chart").bounding_box()
    middle = box["y"] + 0.5 * box["height"]  # of three panels below each other
    page.mouse.move(box["x"] + 0.7 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], middle + 70, steps=4)
    page.mouse.up()
    page.wait_for_function(f"{marks} > {small}")  # nodes got cheap, so the best tree grew
    page.get_by_role("button", name=LEARN["as_measured"]).click()
    page.wait_for_function(f"{marks} === {small}")


def test_words_are_explained_on_the_spot_and_in_a_list(page: Any, address: str) -> None:
    visit(page, address, "heads/lists")
    term = page.locator(".propd-term").first
    term.focus()
    page.keyboard.press("Enter")
    note = page.locator(".propd-note:visible")
    note.wait_for()
    assert term.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    note.wait_for(state="hidden")
    page.locator(".propd-glossary summary").click()
    assert page.locator(".propd-glossary dt").count() == len(LEARN["glossary"])


@pytest.mark.parametrize("place", ["heads/lists", "attention/mask", "size/drag", "limits/paper"])
def test_a_phone_has_one_column(browser: Any, address: str, place: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page.set_default_timeout(90_000)
    visit(page, address, place)
    page.locator(".propd-lesson").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    text, picture, moves = (
        page.locator(part).bounding_box()
        for part in (".propd-prose", ".propd-lesson", ".propd-moves")
    )
    assert text["y"] < picture["y"] < moves["y"]
    assert page.locator(".propd-move.next").bounding_box()["height"] >= 44
    page.close()
