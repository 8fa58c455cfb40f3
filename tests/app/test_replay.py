"""A run as one file: small, closed, and safe whatever a token says."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from app import settings
from app.pages import escaped, fingerprint, page
from app.replay import replay
from propd.trace import Trace, from_json, load, trace_to_json
from propd.trace import fingerprint as fingerprint_of
from tests.trace_samples import run

LIMIT = 300_000
HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> ${3} \u2028 &lt;"


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and what stands in its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: dict[str, str] = {}
        self.policy = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        self.tags.append(tag)
        if told.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(told["content"])
        self.inside = told.get("id") or "code" if tag == "script" else ""
        if tag == "script" and self.inside:
            self.scripts.setdefault(self.inside, "")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts[self.inside] += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def hostile() -> Trace:
    """A run whose prompt and tokens try to leave their block."""
    told = run()
    first, second, last = told.events
    nodes = tuple(replace(node, text=HOSTILE) for node in second.nodes)
    events = (first, replace(second, nodes=nodes), last)
    return Trace(replace(told.header, prompt=HOSTILE), events)


def test_nothing_leaves_its_block() -> None:
    text = replay(hostile())
    found = Page(text)
    assert sorted(found.scripts) == ["code", "propd-run", "propd-words"]
    assert found.tags.count("script") == 3 and "img" not in found.tags
    assert json.loads(found.scripts["propd-run"]) == trace_to_json(hostile())
    assert "\u2028" not in text


def test_only_its_own_script_may_run_and_nothing_is_fetched() -> None:
    found = Page(replay(run()))
    scripts = re.search(r"script-src ([^;]*);", found.policy)
    assert scripts and scripts[1] == fingerprint(found.scripts["code"])
    assert "default-src 'none'" in found.policy and "connect-src" not in found.policy
    addresses = set(re.findall(r"https?://[^\"'`\s<]+", replay(run())))
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_a_script_that_would_end_early_is_refused() -> None:
    with pytest.raises(ValueError, match="end before its end"):
        page("t", "", style="", scripts=["a = '</Script>'"])


def test_escaped_json_is_json() -> None:
    assert json.loads(escaped({"a": HOSTILE})) == {"a": HOSTILE}
    assert not set("<>&\u2028\u2029") & set(escaped({"a": HOSTILE, "b": "\u2029"}))


@pytest.mark.parametrize("path", sorted(settings.TRACES.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_runs_fit_into_a_mail(path: Any) -> None:
    assert len(replay(load(path)).encode()) < LIMIT


def test_the_longest_run_of_the_page_fits_too_and_loses_nothing() -> None:
    """256 tokens of the largest tree were 600 kB as plain JSON."""
    largest = max(settings.TRACES.glob("*.json"), key=lambda path: path.stat().st_size)
    trace = load(largest)
    times = -(-settings.MAX_NEW_TOKENS // trace.stats.new_tokens)
    events, tokens = [], 0
    for event in trace.events * times:
        if tokens < settings.MAX_NEW_TOKENS:
            events.append(event)
            tokens += len(event.token_ids)
    longest = Trace(trace.header, tuple(events))
    text = replay(longest)
    assert len(json.dumps(trace_to_json(longest))) > LIMIT > len(text.encode())
    packed = base64.b64decode(Page(text).scripts["propd-run"])
    assert json.loads(gzip.decompress(packed)) == trace_to_json(longest)
    assert replay(longest) == text  # no clock in it


def test_with_plotly_inside_it_is_still_closed() -> None:
    found = Page(replay(run(), plotly=True))
    scripts = re.search(r"script-src ([^;]*);", found.policy)
    assert scripts and len(scripts[1].split()) == 2
    assert found.tags.count("script") == 4


def test_the_run_in_a_replay_is_a_trace() -> None:
    told = json.loads(Page(replay(run())).scripts["propd-run"])
    assert fingerprint_of(from_json(told)) == fingerprint_of(run())
