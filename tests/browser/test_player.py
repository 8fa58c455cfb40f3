"""The app in a real browser, on the tiny model: what a visitor sees, does, and could try."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import propd
from app.runs import EngineRoom
from app.ui import build, launch
from propd.trace import Header, Trace, save

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
NASTY = '<img src=x onerror=alert(1)> </script> ${alert(1)} {{value}} \U0001f600 "quoted\\'


class SlowEngine:
    """The tiny engine at the pace of a small model, so that there is something to stop."""

    def __init__(self, engine: propd.Engine) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def stream(self, prompt: str, **settings: Any) -> Iterator[Any]:
        events = self.engine.stream(prompt, ignore_eos=True, **settings)

        def paced() -> Iterator[Any]:
            for event in events:
                time.sleep(0.1)
                yield event

        return paced()


@pytest.fixture(scope="module")
def address(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running app with one recorded run."""
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    traces = tmp_path_factory.mktemp("traces")
    events = tuple(engine.stream("abc", max_new_tokens=30, ignore_eos=True))
    header = Header("tiny", "propd", NASTY, machine="2 CPU cores", recorded="2026-01-02")
    save(Trace(header, events), traces / "1-question-propd.json")
    room = EngineRoom("tiny")
    room.engine = SlowEngine(engine)
    room.done.set()
    demo = build(room, traces)
    launch(demo, prevent_thread_lock=True, quiet=True)
    yield str(demo.local_url)
    demo.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The opened app; the test fails on a script error, a dialog, or a request elsewhere."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:", "blob:"))
            else problems.append(request.url)
        ),
    )
    page.set_default_timeout(60_000)
    page.goto(address)
    page.wait_for_selector(".propd-tree .points path", state="attached")
    yield page
    page.close()
    assert problems == []


def place(page: Any) -> str:
    return str(page.locator(".propd-place").inner_text())


def generate(page: Any, prompt: str) -> None:
    page.locator("#composer textarea").fill(prompt)
    page.get_by_role("button", name="Generate").click()


def wait_for_status(page: Any, words: str) -> None:
    page.locator(".propd-status", has_text=re.compile(words)).wait_for()


def test_a_recorded_run_is_there_and_can_be_stepped_through(page: Any) -> None:
    """Before any model has loaded: text, tree, caption, decision, card and legend."""
    assert "Recorded on 2 CPU cores, 2026-01-02" in page.locator(".propd-status").inner_text()
    assert page.locator(".propd-prompt").inner_text().startswith("<img src=x")
    assert "drafted" in page.locator(".propd-caption").inner_text()
    assert page.locator(".propd-why").inner_text()
    page.get_by_role("button", name="First step").click()
    page.wait_for_function("document.querySelector('.propd-place').textContent === 'Prefill'")
    page.locator(".propd-player").focus()
    for key, index in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0)):
        page.keyboard.press(key)
        page.wait_for_function(f"propdPlayer.step === {index}")
    page.keyboard.press("End")
    page.wait_for_function("propdPlayer.step === propdPlayer.run.events.length - 1")
    last = page.locator(".propd-step").last.bounding_box()
    box = page.locator(".propd-text").bounding_box()
    assert last["y"] + last["height"] <= box["y"] + box["height"] + 1  # the text follows the step
    page.locator(".propd-step").nth(3).click()
    page.wait_for_function("propdPlayer.step === 3")


def test_a_permalink_opens_its_step_and_the_address_follows(page: Any, address: str) -> None:
    page.goto(f"{address}#watch/1-question-propd/5/drafted")
    page.reload()
    page.wait_for_function("window.propdPlayer && propdPlayer.run && propdPlayer.step === 5")
    assert page.evaluate("propdPlayer.phase") == "drafted"
    page.get_by_role("button", name="Next step").click()
    page.wait_for_function("location.hash === '#watch/1-question-propd/6/judged'")
    page.evaluate("location.hash = '#watch/1-question-propd/2'")
    page.wait_for_function("propdPlayer.step === 2")


def test_the_page_says_who_guessed_and_what_a_method_is(page: Any) -> None:
    """The legend names the text's mark where a run has it; the card of such a node says so."""
    mixed = "propdPlayer.run.events.findIndex((e) => (e.nodes.source || '').includes('t'))"
    page.wait_for_function(f"{mixed} > 0")  # the run may still be on its way
    step = page.evaluate(mixed)
    node = page.evaluate(f"propdPlayer.run.events[{step}].nodes.source.indexOf('t')")
    page.evaluate(f"propdPlayer.go({step}); propdPlayer.point({node})")
    page.locator(".propd-by", has_text="Guessed by the text").wait_for()
    page.locator('.propd-legend [data-source="t"]').wait_for()
    page.locator(".propd-guesses", has_text="by the text").wait_for()
    page.evaluate(
        "propdPlayer.run.events.forEach((e) => { delete e.nodes.source; }); propdPlayer.render()"
    )
    page.locator('.propd-legend [data-source="t"]').wait_for(state="hidden")
    page.locator(".propd-guesses").wait_for(state="hidden")
    page.get_by_label("Method").click()
    page.get_by_role("option", name="Prompt lookup").click()
    page.locator("#method-about", has_text="No heads").wait_for()


def test_playback_plays_and_pauses(page: Any) -> None:
    page.get_by_role("button", name="First step").click()
    page.locator(".propd-speed").select_option("4")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("propdPlayer.step >= 2")
    page.get_by_role("button", name="Pause").click()
    step = page.evaluate("propdPlayer.step")
    page.wait_for_timeout(900)
    assert page.evaluate("propdPlayer.step") == step


def test_the_keyboard_reaches_every_node(page: Any) -> None:
    """Hover is not for everyone: focus shows the same card."""
    page.get_by_role("button", name="Next step").click()
    page.locator('.propd-tree .points path[tabindex="0"]').focus()
    first = page.locator(".propd-card code").inner_text()
    assert first == page.evaluate("document.querySelector('.propd-card code').textContent")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("propdPlayer.pointed === 1")
    page.locator(".propd-table summary").click()
    rows = page.locator(".propd-table tbody tr")
    rows.first.wait_for()
    count = page.evaluate("propdPlayer.run.events[propdPlayer.step].nodes.fate.length")
    assert rows.count() in (count, count + 1)


def test_hover_shows_the_card_of_a_node(page: Any) -> None:
    page.locator(".propd-tree .points path").first.hover(force=True)
    page.wait_for_function("propdPlayer.pointed === 0")
    assert "root" in page.locator(".propd-card-head").inner_text()


def test_a_live_run_is_followed_left_and_joined_again(page: Any) -> None:
    generate(page, NASTY)
    wait_for_status(page, "^Live$")
    page.wait_for_function("propdPlayer.live && propdPlayer.live.events.length > 4")
    assert page.evaluate("propdPlayer.follow")
    page.get_by_role("button", name="Previous step").click()
    assert not page.evaluate("propdPlayer.follow")
    page.get_by_role("button", name="Jump to live").click()
    page.wait_for_function("propdPlayer.follow")
    page.get_by_role("button", name="Stop").click()
    wait_for_status(page, "stopped")
    text = page.locator(".propd-text").text_content()
    assert text and page.locator(".propd-text img, .propd-prompt img").count() == 0
    page.wait_for_timeout(500)
    assert page.locator(".propd-text").text_content() == text
    page.get_by_role("button", name="Generate").wait_for()
    assert page.get_by_role("button", name="Generate").is_enabled()


def test_a_live_run_is_whole_in_the_end(page: Any) -> None:
    """Messages may be skipped on the way; the text must not have holes."""
    generate(page, "abc")
    wait_for_status(page, "finished")
    told = "propdPlayer.live.events.map((event) => event.text).join('')"
    assert page.locator(".propd-text").text_content() == page.evaluate(told)
    tokens = page.evaluate("propdPlayer.live.events.flatMap((e) => e.token_ids).length")
    assert tokens == 96


@pytest.mark.parametrize(("prompt", "says"), [("  ", "prompt is empty"), ("x" * 100_000, "reads")])
def test_a_refused_prompt_is_a_toast_and_loses_nothing(page: Any, prompt: str, says: str) -> None:
    """Generate stayed locked after an error: Gradio skips `then` when an event fails."""
    before = page.locator(".propd-text").text_content()
    generate(page, prompt)
    page.locator(".toast-body", has_text=says).wait_for()
    assert page.locator(".propd-text").text_content() == before
    page.wait_for_selector("#go button.primary:not([disabled])")
    assert "Recorded" in page.locator(".propd-status").inner_text()


def test_a_phone_shows_one_column_and_a_tree_from_the_top(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address)
    page.wait_for_selector(".propd-tree .points path", state="attached")
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    text, tree, card = (
        page.locator(part).bounding_box()
        for part in (".propd-text", ".propd-tree-box", ".propd-card")
    )
    assert text["y"] < tree["y"] < card["y"]
    assert abs(tree["x"] - card["x"]) < 30
    page.close()
