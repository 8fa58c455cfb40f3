"""Runs in a real browser: open, save, share; and what strangers could try."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import propd
from app import settings
from app.runs import EngineRoom
from propd.trace import Header, Trace, from_json, save
from tests.browser.pages import MARKS, PATIENCE, live_elements, served, watched
from tests.browser.payloads import BROKEN, GOOD, TEXTS, trace_of

pytestmark = MARKS
PLACE = ".propd-runs-place"
SHOWS = "(key) => propdPlayer.run && (propdPlayer.run.key || propdPlayer.run.name) === key"


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Gradio would leave files of visitors."""
    return tmp_path_factory.mktemp("gradio")


@pytest.fixture(scope="module")
def address(
    tiny_folder: Path, temporary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A running app with one recorded run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(temporary))
        engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
        traces = tmp_path_factory.mktemp("traces")
        events = tuple(engine.stream("abc", max_new_tokens=30, ignore_eos=True))
        header = Header("tiny", "propd", "Why?", machine="2 CPU cores", recorded="2026-01-02")
        save(Trace(header, events), traces / "1-question-propd.json")
        room = EngineRoom("tiny")
        room.engine = engine
        room.done.set()
        with served(room, traces) as where:
            yield where


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The opened place."""
    with watched(browser, address, accept_downloads=True) as page:
        page.goto(f"{address}#runs")
        page.locator(f"{PLACE} .propd-saving").wait_for()
        yield page


def drop(page: Any, name: str, content: bytes | str) -> None:
    """Choose a file, as the button beside the drop zone does."""
    data = content.encode() if isinstance(content, str) else content
    file = {"name": name, "mimeType": "application/json", "buffer": data}
    page.locator(f"{PLACE} input[type=file]").set_input_files([file])


def message(page: Any) -> str:
    return str(page.locator(f"{PLACE} .propd-message span").inner_text())


def wait_for_message(page: Any, words: str) -> None:
    page.locator(f"{PLACE} .propd-message", has_text=re.compile(words)).wait_for()


def saved(page: Any, form: str) -> tuple[str, str]:
    """Name and text of the file that a button hands over."""
    with page.expect_download() as coming:
        page.locator(PLACE).get_by_role("button", name=form, exact=True).click()
    return coming.value.suggested_filename, Path(coming.value.path()).read_text(encoding="utf-8")


def test_a_recorded_run_is_told_and_saved_in_every_form(page: Any, address: str) -> None:
    assert "Question · ProPD" in page.locator(".propd-run-head").inner_text()
    assert "2 CPU cores" in page.locator(".propd-made").inner_text()
    page.locator(".propd-preview svg .points path").first.wait_for(state="attached")
    name, text = saved(page, "Trace, JSON")
    trace = from_json(text)
    assert name == "propd-1-question-propd.json" and trace.header.prompt == "Why?"
    _, steps = saved(page, "Steps, CSV")
    assert len(list(csv.reader(StringIO(steps)))) == len(trace.events) + 1
    _, nodes = saved(page, "Nodes, CSV")
    assert len(list(csv.reader(StringIO(nodes)))) > len(trace.events) + 1
    _, whole = saved(page, "Trees, GraphML")
    page.locator(".propd-saving input[type=number]").fill("2")
    name, one = saved(page, "Trees, GraphML")
    assert name.endswith("step-2.graphml") and one.count("<node") < whole.count("<node")
    _, replay = saved(page, "Replay, HTML")
    assert replay.startswith("<!doctype html>") and len(replay) < 300_000
    wait_for_message(page, "^Saved “propd-1-question-propd.html”")


def test_a_run_of_this_visit_is_kept_until_the_page_is_closed(
    page: Any, address: str, temporary: Path
) -> None:
    prompt = "a prompt that nobody else needs to know"
    page.get_by_role("tab", name="Watch").click()
    page.locator("#composer textarea").fill(prompt)
    page.get_by_role("button", name="Generate").click()
    page.locator(".propd-status", has_text="finished").wait_for()
    page.locator(".propd-share a", has_text="Save run").click()
    page.wait_for_function("propdRuns.chosen && propdRuns.chosen.startsWith('visit-')")
    page.locator(".propd-run-head", has_text="Your run").wait_for()
    assert page.locator(PLACE).get_by_role("button", name="Copy link").count() == 0
    _, text = saved(page, "Trace, JSON")
    trace = from_json(text)
    assert trace.header.prompt == prompt and trace.header.config["max_new_tokens"] == 96
    page.locator(PLACE).get_by_role("button", name="Watch", exact=True).click()
    page.wait_for_function("propdPlayer.run.key && propdPlayer.run.key.startsWith('visit-')")
    stores = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    assert prompt not in page.evaluate(stores)
    left = [path for path in temporary.rglob("*") if path.is_file()]
    assert not any(prompt.encode() in path.read_bytes() for path in left)
    page.get_by_role("tab", name="Runs").click()
    page.reload()
    page.locator(f"{PLACE} .propd-saving").wait_for()
    assert page.evaluate("propdRuns.all().map((run) => run.origin)") == ["recorded"]


def test_a_file_is_opened_watched_and_forgotten(page: Any) -> None:
    drop(page, "mine.json", GOOD)
    wait_for_message(page, "“mine.json” is open")
    assert page.locator(".propd-run-head h3").inner_text() == "mine.json"
    page.locator(PLACE).get_by_role("button", name="Watch", exact=True).click()
    page.locator(".propd-status", has_text="Opened from a file. Recorded on 2 CPU cores").wait_for()
    assert page.locator(".propd-prompt").first.inner_text() == "Hi </script>"
    page.get_by_role("tab", name="Runs").click()
    page.get_by_role("button", name="Forget this run").click()
    page.locator(".propd-run-head", has_text="Question · ProPD").wait_for()


def test_a_file_can_be_dropped(page: Any) -> None:
    script = """(text) => {
      const data = new DataTransfer();
      data.items.add(new File([text], "dropped.json", { type: "application/json" }));
      const zone = document.querySelector(".propd-drop");
      const options = { dataTransfer: data, bubbles: true, cancelable: true };
      for (const type of ["dragenter", "dragover", "drop"])
        zone.dispatchEvent(new DragEvent(type, options));
    }"""
    page.evaluate(script, GOOD)
    wait_for_message(page, "“dropped.json” is open")


@pytest.mark.parametrize("kind", BROKEN)
def test_a_bad_file_is_one_sentence_and_loses_nothing(page: Any, kind: str) -> None:
    drop(page, "first.json", GOOD)
    wait_for_message(page, "“first.json” is open")
    pane = page.locator(f"{PLACE} .propd-pane.runs")
    pane.filter(has_text="dog").wait_for()  # the last that is drawn of it
    before = pane.inner_text()
    drop(page, f"{kind}.json", BROKEN[kind])
    page.locator(f"{PLACE} .propd-message.bad").wait_for()
    said = message(page)
    assert f"“{kind}.json”" in said and said.endswith(".") and "\n" not in said
    assert pane.inner_text() == before
    assert page.evaluate("window.pwned") is None and live_elements(page, PLACE) == 0
    page.get_by_role("button", name="Close this message").click()
    assert page.locator(f"{PLACE} .propd-message").is_hidden()


def test_forty_payloads_stay_text(page: Any) -> None:
    """As prompt, token, choice, header, setting and file name: nothing lives, nothing runs."""
    assert len(set(TEXTS)) == 40
    for place, payload in enumerate(TEXTS):
        drop(page, f"{payload[:80]}.json", trace_of(payload))
        page.wait_for_function(
            "([count]) => propdRuns.all().length === count", arg=[place + 2], timeout=PATIENCE
        )
        page.wait_for_function("propdRuns.chosen.startsWith('opened-')")
        shown = page.locator(".propd-details .propd-prompt").text_content()
        assert shown == payload
    assert live_elements(page, PLACE) == 0
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("({}).polluted") is None
    for key in page.evaluate("propdRuns.all().map((run) => run.key)"):
        page.evaluate("(key) => { location.hash = `#watch/${key}/1`; }", key)
        page.wait_for_function(
            "(key) => propdPlayer.run && (propdPlayer.run.key || propdPlayer.run.name) === key",
            arg=key,
        )
        page.evaluate(
            "propdPlayer.point(1); document.querySelector('#player .propd-table').open = true"
        )
        page.wait_for_function("document.querySelectorAll('#player table tr').length > 1")
    assert live_elements(page, "#player") == 0
    assert page.evaluate("window.pwned") is None


def test_a_prompt_of_payloads_stays_text(page: Any) -> None:
    """The same on the way through the model: the prompt of a live run, and what it writes."""
    prompt = "\n".join(text for text in TEXTS if len(text) < 90 and "\x00" not in text)[:180]
    page.get_by_role("tab", name="Watch").click()
    page.locator("#composer textarea").fill(prompt)
    page.get_by_role("button", name="Generate").click()
    page.locator(".propd-status", has_text="finished").wait_for()
    assert page.locator("#player .propd-prompt").text_content() == prompt
    assert live_elements(page, "#player") == 0 and page.evaluate("window.pwned") is None


@pytest.mark.parametrize(
    "part", ["visit-0badc0de", "%3Cimg%20src=x%20onerror=alert(1)%3E", "__proto__"]
)
def test_a_link_to_nothing_says_so(page: Any, address: str, part: str) -> None:
    page.evaluate("(part) => { location.hash = `#runs/${part}`; }", part)
    wait_for_message(page, "only in the memory of the page that made it")
    page.evaluate("(part) => { location.hash = `#watch/${part}/1`; }", part)
    page.locator(".propd-status", has_text="only in the memory of the page").wait_for()


def test_the_benchmark_shows_the_numbers_of_its_file(page: Any) -> None:
    results = json.loads((settings.DOCS / "benchmark.json").read_text())["results"]
    page.get_by_role("tab", name="Benchmark").click()
    page.locator(".propd-chart .main-svg").first.wait_for()
    rows = page.locator(".propd-bench .propd-table").first.locator("tbody tr")
    assert rows.count() == len(results)
    told = {}
    for row in rows.all_inner_texts():
        name, _speed, ratio, *_ = row.split("\t")
        told[name] = ratio
    assert told == {row["name"]: f"{row['ratio']:.2f}" for row in results}
    page.wait_for_function("location.hash === '#runs/bench/benchmark'")
    assert "python -m propd bench" in page.locator(".propd-command").inner_text()
    with page.expect_download() as coming:
        page.get_by_role("link", name="Save results.json").click()
    assert json.loads(Path(coming.value.path()).read_text())["results"] == results


def test_another_benchmark_is_opened_or_refused(page: Any) -> None:
    body = json.loads((settings.DOCS / "benchmark.json").read_text())
    drop(page, "ours.json", json.dumps({**body, "machine": "<b>my</b> machine"}))
    page.locator(".propd-measured", has_text="<b>my</b> machine").wait_for()
    page.get_by_role("button", name="ours.json").wait_for()
    body["groups"][0][0] = "<img src=x onerror=window.pwned=1>"
    drop(page, "bad.json", json.dumps(body))
    wait_for_message(page, "“bad.json” was not opened. .*a name in group 0 must be")
    assert page.locator(".propd-measured").inner_text().count("<b>my</b>") == 1
    assert live_elements(page, PLACE) == 0 and page.evaluate("window.pwned") is None


@pytest.mark.parametrize("format", ["png", "svg"])
def test_every_picture_can_be_saved(page: Any, format: str) -> None:
    """The tree, which we draw ourselves, and the charts, which plotly draws."""
    page.get_by_role("tab", name="Watch").click()
    page.locator("#player .propd-timeline-chart .main-svg").first.wait_for()
    page.evaluate("propdPlayer.go(3)")
    for label in ("Tree", "The run at a glance"):
        page.locator("#player summary", has_text="Save picture").click()
        with page.expect_download() as coming:
            page.get_by_role("button", name=f"{label}: {format.upper()}").click()
        content = Path(coming.value.path()).read_bytes()
        assert coming.value.suggested_filename.endswith(f".{format}")
        if format == "png":
            assert content.startswith(b"\x89PNG") and len(content) > 2_000
        else:
            assert content.startswith(b"<svg") and b"<path" in content
            assert b"foreignObject" not in content and b"var(" not in content


def test_the_keyboard_reaches_list_views_and_menu(page: Any) -> None:
    page.get_by_role("tab", name="Runs", exact=True).last.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.view") == "bench"
    page.keyboard.press("ArrowLeft")
    page.locator(".propd-run-row").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".propd-run-row").first.get_attribute("aria-current") == "true"


def test_a_phone_shows_one_column(browser: Any, address: str) -> None:
    with watched(browser, address, viewport={"width": 390, "height": 844}) as page:
        page.goto(f"{address}#runs")
        page.locator(f"{PLACE} .propd-saving").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= 390")
        above, below = (
            page.locator(part).bounding_box() for part in (".propd-run-list", ".propd-details")
        )
        assert above["y"] < below["y"] and abs(above["x"] - below["x"]) < 5
        page.get_by_role("tab", name="Benchmark").click()
        page.locator(".propd-chart .main-svg").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= 390")
