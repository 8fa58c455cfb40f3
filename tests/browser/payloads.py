"""What strangers write into prompts, tokens and files, and the files that they spoil."""

from __future__ import annotations

import json
from typing import Any

from tests.trace_samples import broken, parsed, run

TEXTS = [
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=2</script>",
    "<img src=x onerror=window.pwned=3>",
    "<svg/onload=window.pwned=4>",
    "<svg><script>window.pwned=5</script></svg>",
    '"><iframe srcdoc="<script>parent.pwned=6</script>">',
    "<a href=javascript:window.pwned=7>click</a>",
    "javascript:window.pwned=8",
    "<details open ontoggle=window.pwned=9>",
    "<style>*{display:none}</style>",
    "<base href=//example.invalid/>",
    "<meta http-equiv=refresh content='0;url=//example.invalid'>",
    "<math><mi xlink:href=javascript:window.pwned=13>",
    "<b>bold</b><br><sup>plotly</sup><a href='http://example.invalid'>x</a>",
    "<!--<script>",
    "]]><script>window.pwned=16</script>",
    "${window.pwned=17}",
    "{{window.pwned=18}}",
    "{{constructor.constructor('window.pwned=19')()}}",
    "#{window.pwned=20} <%= window.pwned=20 %>",
    "`${window.pwned=21}`",
    "\\u0024{window.pwned=22}\\",
    "%{customdata} %{x} <extra>%{y}</extra>",
    "{step} {name} {prompt} {0}",
    "'; window.pwned=25; '",
    '"quoted" \\"escaped\\" \\',
    "\u2028window.pwned=27\u2029",
    "\u202eright to left\u202c \u2066isolate\u2069",
    "\u200b\u200d\ufeff\u00ad",
    "e\u0301\u0301\u0301\u0301 Z\u0351\u036b\u0343\u036a",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🦊",
    "\x00\x01\x1b[31m\x7f",
    "\r\n\t\v\f",
    "__proto__",
    "constructor.prototype.polluted",
    "=cmd|' /C calc'!A0",
    "../../../../etc/passwd%00.json",
    "&lt;img src=x onerror=window.pwned=38&gt;",
    "<" * 500,
    "W" * 1000,
]
"""Forty of them, each at most as long as the text of a token may be."""


def trace_of(payload: str) -> str:
    """A whole and valid run that says this wherever a file may say something."""
    data = parsed(run())
    data["header"] = {
        name: payload if isinstance(value, str) else value for name, value in data["header"].items()
    } | {"versions": {payload: payload}, "config": {payload: [payload, {payload: payload}]}}
    for event in data["events"]:
        for nodes in filter(None, (event["nodes"], event.get("bonus"))):
            for name in ("text", "choice_text"):
                if name in nodes:
                    nodes[name] = [payload] * len(nodes["fate"])
        event["pieces"] = [payload] * len(event["token_ids"])
        event["text"] = "".join(event["pieces"])
    return json.dumps(data)


def spoiled(place: str, value: Any) -> str:
    """The same run with one value that cannot be."""
    return json.dumps(broken((place, value)))


GOOD = json.dumps(parsed(run()))
BROKEN = {
    "not JSON": b"{",
    "nothing": b"",
    "a picture": b"\x89PNG\r\n\x1a\n\xff\xfe",
    "NaN": GOOD.replace("0.5", "NaN", 1).encode(),
    "infinite": GOOD.replace("0.5", "1e999", 1).encode(),
    "half a character": spoiled("header.prompt", "\ud800").encode(),
    "wrong type": spoiled("events.1.nodes.text", {"length": 4}).encode(),
    "negative index": spoiled("events.1.accepted", [-5]).encode(),
    "index far out": spoiled("events.1.nodes.parent", [-1, 0, 10**9, 1]).encode(),
    "circle": spoiled("events.1.nodes.parent", [-1, 2, 1, 1]).encode(),
    "own parent": spoiled("events.1.nodes.parent", [-1, 1, 0, 1]).encode(),
    "long prompt": spoiled("header.prompt", "x" * 100_001).encode(),
    "long token": spoiled("events.1.nodes.text", ["x" * 1001] * 4).encode(),
    "deep": b'{"schema": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "schema of tomorrow": GOOD.replace("propd-trace/1", "propd-trace/2").encode(),
    "markup as schema": GOOD.replace(
        "propd-trace/1", "<img src=x onerror=window.pwned=99>"
    ).encode(),
    "prototype": b'{"__proto__": {"schema": "propd-trace/1"}}',
    "too large": b" " * 5_000_001,
}
