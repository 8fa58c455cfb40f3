"""A run as one HTML file that plays it: no server, no network, the same player."""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from typing import Any

from app import settings
from app.bundle import bundle, styles
from app.languages import LANGUAGES, tables
from app.pages import block, escaped, page, without_script
from app.panel import PLOTLY
from app.strings.replay import FRAME
from propd.trace import Trace, trace_to_json

PLAIN = settings.ROOT / "app" / "plain.css"
PACKED_FROM = 150_000
"""Characters of a run from which on it is packed, so that the file stays under 300 kB."""
BODY = (
    '<main class="plain"><header><h1 data-say="title">{title}</h1><p data-say="about">{about}</p>'
    '</header>\n<h2 class="propd-unseen" data-say="run">{run}</h2><div class="propd-host"></div>'
    "<noscript>{no_script}</noscript></main>"
)


def replay(trace: Trace, *, plotly: bool = False) -> str:
    """The file as text. plotly: with plotly.js inside, whose charts answer to the pointer."""
    told = trace_to_json(trace)
    scripts = [PLOTLY.read_text(encoding="utf-8")] if plotly else []
    return page(
        f"{FRAME['title']}: {' '.join(trace.header.prompt.split())[:80]}",
        BODY.format(**{**FRAME, "no_script": without_script("replay.FRAME")}),
        style=look(),
        scripts=[*scripts, player()],
        data=[data_block("propd-words", words(), 0), data_block("propd-run", told, PACKED_FROM)],
    )


def data_block(name: str, told: dict[str, Any], packed_from: int) -> str:
    """Data of the page: JSON, or, if that has more characters than these, gzip in base64."""
    text = escaped(told)
    if len(text) <= packed_from:
        return block(name, text)
    # No time in it: the same run gives the same file.
    plain = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    packed = gzip.compress(plain.encode(), mtime=0)
    return block(name, base64.b64encode(packed).decode(), kind="application/gzip")


@cache
def words() -> dict[str, Any]:
    """What the page says, in every language: a file goes to people whose language nobody knows."""
    return {
        "names": LANGUAGES,
        "frame": tables("replay.FRAME"),
        "words": tables("replay.WORDS"),
    }


@cache
def player() -> str:
    """The player as one script."""
    return bundle(settings.PLAYER, "replay.js", call="$replay.start()")


@cache
def look() -> str:
    """The styles of the player on a plain page."""
    return styles(PLAIN, settings.PLAYER / "player.css", settings.PLAYER / "share.css")
