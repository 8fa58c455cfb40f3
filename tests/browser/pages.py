"""Chromium for the tests: a page that fails its test on any sign of a script that is not ours."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.runs import EngineRoom
from app.ui import build, launch

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 60_000
LIVE = (
    "img, iframe, object, embed, script:not([src]), svg script, a[href^='javascript'], "
    "[onerror], [onload]"
)
"""Elements that no page of ours has inside its player; a payload that got through would."""


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """A browser."""
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
        yield browser
        browser.close()


@contextmanager
def served(room: EngineRoom, *traces: Path) -> Iterator[str]:
    """The address of a running app."""
    demo = build(room, *traces)
    launch(demo, prevent_thread_lock=True, quiet=True)
    try:
        yield str(demo.local_url)
    finally:
        demo.close()


@contextmanager
def watched(browser: Any, *allowed: str, **options: Any) -> Iterator[Any]:
    """A page; leaving it fails on a script error, a dialog, or a request that is not `allowed`."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((*allowed, "data:", "blob:"))
            else problems.append(request.url)
        ),
    )
    page.on(
        "console",
        lambda said: problems.append(said.text) if "Content Security Policy" in said.text else None,
    )
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()
    assert problems == []


def live_elements(page: Any, inside: str) -> int:
    """How many elements a payload has brought to life."""
    return int(page.locator(inside).locator(LIVE).count())


def until(page: Any, expression: str) -> None:
    """Wait until this holds; playwright's own way would need eval, which a strict page forbids."""
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"{expression} does not come true"
        page.wait_for_timeout(50)


def settled(page: Any) -> None:
    """Wait until nothing has been added or removed for half a second: charts come one by one.

    Gradio keeps a connection open, so the network is never idle.
    """
    page.evaluate(
        """() => new Promise((done) => {
          let timer;
          const seen = new MutationObserver(() => again());
          const over = () => { seen.disconnect(); done(); };
          const again = () => { clearTimeout(timer); timer = setTimeout(over, 500); };
          seen.observe(document.body, { childList: true, subtree: true });
          again();
        })"""
    )
