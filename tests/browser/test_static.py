"""Pages without a server: the static site and replays, from disk and from a plain file server."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import settings
from app.replay import replay
from app.site import PLACES, build
from propd.trace import from_json, load
from tests.browser.pages import MARKS, live_elements, until, watched
from tests.browser.payloads import TEXTS, trace_of

pytestmark = MARKS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "static"
    build(out)
    return out


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """What `python -m http.server` does."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{files.server_address[1]}/"
        files.shutdown()


@pytest.fixture(params=["file", "http"])
def page(request: pytest.FixtureRequest, browser: Any, folder: Path) -> Iterator[Any]:
    """The site, from disk and from a server; `page.start` is its address."""
    on_disk = request.param == "file"
    start = f"{folder.as_uri()}/" if on_disk else request.getfixturevalue("server")
    with watched(browser, start, accept_downloads=True) as page:
        page.start = start
        page.goto(f"{start}index.html")
        page.wait_for_selector("#place-watch .points path", state="attached")
        yield page


def test_recorded_runs_play(page: Any) -> None:
    page.get_by_role("button", name="First step").click()
    page.locator(".propd-speed").first.select_option("4")
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "propdPlayer.step >= 2")
    page.get_by_role("button", name="Code · ProPD").click()
    until(page, "propdPlayer.run.name === '2-code-propd'")
    page.locator("#place-watch .propd-timeline-chart .main-svg").first.wait_for()
    assert page.locator(".propd-what-if").count() == 0  # there is no model to ask


def test_every_place_opens_and_links_work(page: Any) -> None:
    for name in PLACES:
        page.locator(f"#tab-{name}-button").click()
        page.locator(f"#place-{name} .propd-host > *").first.wait_for()
        assert page.evaluate("location.hash").startswith(f"#{name}")
    page.goto(f"{page.start}index.html#watch/3-story-propd/7/verify")
    page.reload()
    until(page, "window.propdPlayer && propdPlayer.run && propdPlayer.step === 7")
    assert page.evaluate("[propdPlayer.run.name, propdPlayer.phase]") == ["3-story-propd", "verify"]
    page.go_back()
    until(page, "document.querySelector('#tab-watch-button[aria-selected=false]')")


def test_runs_are_told_and_lie_ready_to_be_saved(page: Any) -> None:
    page.locator("#tab-runs-button").click()
    page.locator(".propd-run-row").nth(1).click()
    page.locator(".propd-run-head", has_text="Code · ProPD").wait_for()
    assert page.locator(".propd-drop").count() == 0
    link = page.get_by_role("link", name="Trace, JSON")
    assert link.get_attribute("href") == "runs/2-code-propd.json"
    page.locator(".propd-preview .points path").first.wait_for(state="attached")
    page.get_by_role("button", name="Watch", exact=True).click()
    until(page, "propdPlayer.run.name === '2-code-propd'")


def test_the_benchmark_is_drawn(page: Any) -> None:
    page.goto(f"{page.start}index.html#runs/bench")
    page.reload()
    page.locator(".propd-chart .main-svg").first.wait_for()
    results = json.loads((settings.DOCS / "benchmark.json").read_text())["results"]
    assert page.locator(".propd-bench .propd-table").first.locator("tbody tr").count() == len(
        results
    )


def test_a_replay_of_the_site_plays_from_where_it_lies(page: Any) -> None:
    page.goto(f"{page.start}runs/4-question-medusa.html")
    page.locator(".points path").first.wait_for(state="attached")
    page.get_by_role("button", name="Next step").click()
    page.locator(".propd-timeline-chart svg").wait_for()
    page.locator(".propd-caption", has_text="63 drafted").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system(browser: Any, folder: Path, scheme: str) -> None:
    with watched(browser, folder.as_uri(), color_scheme=scheme) as page:
        page.goto(f"{folder.as_uri()}/index.html")
        page.wait_for_selector(".points path", state="attached")
        assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")


def test_a_phone_scrolls_down_only(browser: Any, folder: Path) -> None:
    with watched(browser, folder.as_uri(), viewport={"width": 390, "height": 844}) as page:
        for place in ("watch", "runs", "runs/bench"):
            page.goto(f"{folder.as_uri()}/index.html#{place}")
            page.reload()
            page.wait_for_timeout(600)
            assert page.evaluate("document.documentElement.scrollWidth <= 390"), place


# --- replays --------------------------------------------------------------------------------------


@pytest.fixture
def replayed(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """A page that opens the replay of a run: `open(text of a trace, plotly)`."""
    file = tmp_path / "replay.html"
    with watched(browser, file.as_uri()) as page:

        def show(trace: Any, plotly: bool = False) -> Any:
            file.write_text(replay(trace, plotly=plotly), encoding="utf-8")
            page.goto(file.as_uri())
            page.wait_for_selector(".points path", state="attached")
            return page

        yield show


@pytest.mark.parametrize("plotly", [False, True])
def test_a_replay_shows_the_whole_player(replayed: Any, plotly: bool) -> None:
    trace = load(settings.TRACES / "1-question-propd.json")
    page = replayed(trace, plotly)
    page.evaluate("propdPlayer.go(5)")
    drawn = ".main-svg" if plotly else ".propd-picture"
    page.locator(f".propd-size {drawn}").first.wait_for()
    page.locator(f".propd-timeline-chart {drawn}").first.wait_for()
    text = "".join(event.text for event in trace.events)
    assert page.locator(".propd-text").text_content() == text
    page.locator(".propd-player").focus()
    page.keyboard.press("End")
    until(page, "propdPlayer.step === propdPlayer.run.events.length - 1")
    page.locator(".propd-table summary").click()
    page.locator(".propd-table tbody tr").first.wait_for()
    with page.expect_download() as coming:
        page.locator("summary", has_text="Save picture").click()
        page.get_by_role("button", name="Tree: SVG").click()
    assert Path(coming.value.path()).read_bytes().startswith(b"<svg")


def test_forty_payloads_in_a_replay_stay_text(replayed: Any) -> None:
    for payload in TEXTS:
        page = replayed(from_json(trace_of(payload)))
        assert page.locator(".propd-prompt").text_content() == payload
        page.evaluate("propdPlayer.go(1); propdPlayer.point(1)")
        page.locator(".propd-card code").wait_for()
        assert live_elements(page, ".plain") == 0
        assert page.evaluate("window.pwned") is None
        assert page.locator("script").count() == 3
