"""Accessibility: axe-core finds nothing serious in any place, light and dark, wide and narrow."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from typing import Any

import pytest

from app.runs import EngineRoom
from tests.browser.pages import MARKS, served, settled, watched

axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
pytestmark = MARKS
AXE = importlib.resources.files(axe).joinpath("axe.min.js").read_text(encoding="utf-8")
PLACES = ("watch", "compare", "learn/tree/paths", "lab", "runs", "runs/bench")
SERIOUS = ("serious", "critical")
WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The app with its recorded runs; its model never comes."""
    room = EngineRoom("none")
    room.reason = "there is no model here."
    room.done.set()
    with served(room) as where:
        yield where


def findings(page: Any) -> list[str]:
    """What axe-core calls serious or worse: rule, message and the first elements."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']][:4]} "
        f"{[rule['message'] for rule in one['nodes'][0]['any']][:1]}"
        for one in found
        if one["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_serious_is_found(
    browser: Any, address: str, place: str, scheme: str, width: str
) -> None:
    view = {"width": WIDTHS[width], "height": 900}
    with watched(browser, address, viewport=view, reduced_motion="reduce") as page:
        page.goto(f"{address}?__theme={scheme}#{place}")
        page.locator('[role="tabpanel"]:visible .propd-host svg').first.wait_for(state="attached")
        settled(page)
        assert findings(page) == []


def test_a_finding_would_be_found(browser: Any, address: str) -> None:
    with watched(browser, address) as page:
        page.goto(address)
        page.locator(".propd-tree .points path").first.wait_for(state="attached")
        page.evaluate("document.querySelector('.propd-scrub').removeAttribute('aria-label')")
        assert any(one.startswith("label") for one in findings(page))
