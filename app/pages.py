"""Plain pages that need no server: HTML with its styles, its script and its data inside."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from typing import Any

from app.languages import tables

POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
    "img-src data: blob:{more}; base-uri 'none'; form-action 'none'"
)
"""What the browser may load for such a page: what stands in it, and nothing from anywhere."""


def escaped(value: Any) -> str:
    """JSON that can end neither its script block nor, where an old reader parses it, its line."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def block(name: str, text: str, kind: str = "application/json") -> str:
    """Data that the browser does not run and the script finds by its name."""
    return f'<script type="{kind}" id="{name}">{text}</script>'


def fingerprint(script: str) -> str:
    """What a content policy calls this script."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def page(
    title: str,
    body: str,
    *,
    style: str,
    scripts: Sequence[str],
    data: Sequence[str] = (),
    lang: str = "en",
    sources: Sequence[str] = (),
    more: str = "",
) -> str:
    """A whole page. body: static markup of ours; data: blocks of `block`.

    Only these very scripts may run in it, whatever else its data might bring about. sources, more:
    of what a content policy allows, for a page with files beside it.
    """
    for script in scripts:
        if "</script" in script.lower() or "<!--" in script:
            raise ValueError("A script of the page would end before its end.")
    allowed = " ".join([*map(fingerprint, scripts), *sources])
    policy = POLICY.format(scripts=allowed, more=more)
    parts = [
        f'<!doctype html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title>\n<style>\n{style}\n</style>\n</head>",
        f"<body>\n{body}",
        *data,
        *(f"<script>{script}</script>" for script in scripts),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def without_script(frame: str) -> str:
    """What is read where no script runs, in every language. frame: the name of its table."""
    said = [
        f'<p lang="{language}">{html.escape(words["no_script"])}</p>'
        for language, words in tables(frame).items()
    ]
    return "".join(said)
