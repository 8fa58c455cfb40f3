"""The page in another language: every place, live runs, errors, and pages without a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import propd
from app.languages import FIRST, table
from app.runs import EngineRoom
from app.site import build
from propd.core import DecodingConfig
from propd.trace import Header, Trace, save
from tests.browser.engines import SlowEngine
from tests.browser.pages import MARKS, served, settled, watched

pytestmark = MARKS
PLACES = ["watch", "compare", "learn", "lab", "runs", "runs/bench"]
TABLES = ["watch.WATCH", "compare.COMPARE_WORDS", "compare.BATCH_WORDS", "learn.LEARN", "lab.LAB"]
HOLE = re.compile(r"\{[^{}]*\}|\[\[[^\]]*\]\]")
READ = """() => {
  const said = [document.body.innerText];
  for (const element of document.querySelectorAll("[aria-label], [title], [placeholder]"))
    for (const name of ["aria-label", "title", "placeholder"])
      if (element.checkVisibility()) said.push(element.getAttribute(name) || "");
  return said.join("\\n");
}"""
"""All that is seen, and all that is read aloud."""


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from leaves(one)


def english() -> set[str]:
    """Pieces of our English sentences, of two words at least: what lies between their holes."""
    tables = [table(name) for name in [*TABLES, "runs.RUNS", "page.PLACES"]]
    constants = [
        v for n, v in vars(__import__("app.strings.page", fromlist=["x"])).items() if n.isupper()
    ]
    pieces = (part.strip() for text in leaves([*tables, *constants]) for part in HOLE.split(text))
    return {part for part in pieces if re.search(r"[A-Za-z]{2,} [a-z]{2,}", part) and len(part) > 9}


@pytest.fixture(scope="module")
def address(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
    traces = tmp_path_factory.mktemp("traces")
    config = DecodingConfig(
        max_new_tokens=40, ignore_eos=True, tree_size=12, prune_when="always", prune_top_k=20
    )
    header = Header(engine.name, "propd", "abc", machine="2 cores", recorded="2026-01-02")
    save(Trace(header, tuple(engine.stream("abc", config))), traces / "1-question-propd.json")
    room = EngineRoom("tiny")
    room.engine = SlowEngine(engine)
    room.done.set()
    with served(room, traces) as where:
        yield where


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with watched(browser, address, reduced_motion="reduce") as page:
        yield page


def opened(page: Any, address: str, place: str = "watch", query: str = "?lang=zh") -> None:
    page.goto(f"{address}{query}#{place}")
    name = place.split("/")[0]
    page.locator(f'#tab-{name}-button[aria-selected="true"]').wait_for()
    page.wait_for_selector("html:not([data-waiting])")
    page.locator('[role="tabpanel"]:visible .propd-host > *').first.wait_for()


@pytest.mark.parametrize("place", PLACES)
def test_no_english_is_left_in_a_place(page: Any, address: str, place: str) -> None:
    opened(page, address, place)
    settled(page)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true;")
    page.get_by_role("button", name="更多设置").click()
    said = page.evaluate(READ)
    assert len(re.findall("[\u4e00-\u9fff]", said)) > 200
    assert [piece for piece in english() if piece in said] == []
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"


def test_every_chapter_is_told_in_chinese(page: Any, address: str) -> None:
    opened(page, address, "learn")
    page.wait_for_function("window.propdLearn && propdLearn.given")
    left: dict[str, list[str]] = {}
    pieces = english()
    for chapter, told in table("learn.CHAPTERS", "zh").items():
        for step in told["steps"]:
            page.evaluate(f"location.hash = '#learn/{chapter}/{step}'")
            page.wait_for_function(
                f"propdLearn.id === '{chapter}' && propdLearn.stepName === '{step}'"
            )
            choices = page.locator(".propd-choices button:visible:enabled")
            if step == "ask" and choices.count():  # a tiny run does not show everything
                choices.first.click()
            said = page.locator(".propd-learn").inner_text()
            assert not re.search(r"\{\w+\}|undefined|\[\[", said), (chapter, step)
            found = [piece for piece in pieces if piece in said]
            left |= {f"{chapter}/{step}": found} if found else {}
    assert left == {}


def test_a_live_run_an_error_and_a_method_are_told_in_chinese(page: Any, address: str) -> None:
    opened(page, address)
    page.locator("#composer textarea").fill("abc")
    page.get_by_role("button", name="生成").click()
    page.locator(".propd-status", has_text="已完成").wait_for()
    page.locator("#composer textarea").fill("  ")
    page.get_by_role("button", name="生成").click()
    page.locator(".toast-body", has_text="提示词是空的").wait_for()
    page.get_by_label("方法").first.click()
    page.get_by_role("option", name="提示词查找").click()
    page.locator("#method-about", has_text="不用草稿头").wait_for()
    page.locator("#model-status", has_text="已就绪").wait_for()


def test_a_refused_file_is_told_in_chinese(page: Any, address: str) -> None:
    """A function of the server: it learns the language from the page that asks."""
    opened(page, address, "runs")
    file = {"name": "x.json", "mimeType": "application/json", "buffer": b"{"}
    page.locator("#runs-panel input[type=file]").set_input_files([file])
    page.locator(".propd-message", has_text="文件不是 JSON").wait_for()


def test_the_choice_keeps_the_run_on_the_screen_and_the_place(page: Any, address: str) -> None:
    """A run of this visit has no file: the tab hands it over, once, and it is not left behind."""
    opened(page, address, query="")
    page.locator("#composer textarea").fill("abc")
    page.get_by_role("button", name="Generate").click()
    page.locator(".propd-status", has_text="finished").wait_for()
    text = page.locator(".propd-text").text_content()
    page.evaluate("propdPlayer.go(3)")
    page.get_by_label("Language").select_option("zh")
    page.wait_for_url("**/?lang=zh#watch/visit-*/3/commit")
    page.wait_for_function("window.propdPlayer && propdPlayer.run && propdPlayer.step === 3")
    assert page.locator(".propd-text").text_content() == text
    assert page.evaluate("sessionStorage.getItem('propd-runs')") is None
    page.get_by_label("语言").select_option("en")
    page.wait_for_url("**/?lang=en#watch/visit-*/3/commit")
    page.get_by_role("button", name="Generate").wait_for()


@pytest.mark.parametrize(
    ("locale", "says"), [("zh-CN", "生成"), ("zh-TW", "Generate"), ("nl", "Generate")]
)
def test_the_browser_is_asked_first(browser: Any, address: str, locale: str, says: str) -> None:
    with watched(browser, address, locale=locale) as page:
        page.goto(address)
        page.get_by_role("button", name=says, exact=True).wait_for()
        assert ("lang=zh" in page.url) == (says == "生成")


def test_replays_and_the_static_site_speak_it_too(
    browser: Any, address: str, tmp_path: Path
) -> None:
    build(tmp_path / "site")
    with watched(browser, tmp_path.as_uri(), locale="zh-CN") as page:
        page.goto(f"{(tmp_path / 'site').as_uri()}/index.html")
        page.locator("#tab-learn-button", has_text=table("page.PLACES", "zh")["learn"]).wait_for()
        page.wait_for_selector("#place-watch .points path", state="attached")
        for place in PLACES[:5]:
            page.locator(f"#tab-{place}-button").click()
            page.locator(f"#place-{place} .propd-host > *").first.wait_for()
            said = page.evaluate(READ)
            assert [piece for piece in english() if piece in said] == [], place
        page.get_by_label("语言").select_option(FIRST)
        # the page loads anew, so nothing may be evaluated in the one that goes
        page.locator("#tab-learn-button", has_text=re.compile("^Learn$")).wait_for()
        assert page.url.endswith("?lang=en#runs") or "lang=en" in page.url
