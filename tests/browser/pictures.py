"""Pictures of all places for the documentation: `python -m tests.browser.pictures [--out FOLDER]`.

Light, dark and on a phone, in English; of Watch also in Chinese (with a font that has its signs,
such as Debian's fonts-noto-cjk). Recorded runs only, so a model is not needed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from app import settings
from app.runs import EngineRoom
from tests.browser.pages import chromium, served, settled

PLACES = {
    "watch": "watch/1-question-propd/3",
    "compare": "compare/1-question/token",
    "learn": "learn/tree/grow",
    "lab": "lab",
    "runs": "runs",
    "benchmark": "runs/bench",
}
LOOKS = {"light": (1280, "light"), "dark": (1280, "dark"), "phone": (390, "light")}


def taken(browser: Any, address: str, place: str, look: str, language: str = "en") -> bytes:
    """A picture of what one sees of a place without scrolling."""
    width, scheme = LOOKS[look]
    size = {"width": width, "height": 844 if look == "phone" else 960}
    context = browser.new_context(viewport=size, device_scale_factor=1.25, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{address}?__theme={scheme}&lang={language}#{PLACES[place]}")
    page.locator('[role="tabpanel"]:visible .propd-host svg').first.wait_for(timeout=60_000)
    page.add_style_tag(content="#model-status { display: none }")  # it speaks of these
    settled(page)
    picture: bytes = page.screenshot()
    context.close()
    return picture


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.pictures")
    parser.add_argument("--out", type=Path, default=settings.DOCS / "images")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    room = EngineRoom("none")
    room.reason = "pictures are taken of recorded runs."
    room.done.set()
    with served(room) as address, chromium() as browser:
        for place in PLACES:
            for look in LOOKS:
                (out / f"{place}-{look}.png").write_bytes(taken(browser, address, place, look))
                print(f"{place}-{look}.png", flush=True)
        (out / "watch-zh.png").write_bytes(taken(browser, address, "watch", "light", "zh"))


if __name__ == "__main__":
    main()
