"""The language of the page, plurals and places in a list."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.languages import LANGUAGES, table
from tests.player.node import needs_node, run_script

pytestmark = needs_node
NAMES = json.dumps(LANGUAGES)


def run(script: str, **values: Any) -> Any:
    modules = {"* as T": "tongue.js", "* as W": "words.js", "* as S": "store.js"}
    return run_script(script, modules, {"unused": 0, **values})


@pytest.mark.parametrize(
    ("search", "preferred", "language"),
    [
        ("", ["en-GB"], "en"),
        ("", ["zh-CN", "en"], "zh"),
        ("", ["nl", "zh", "en"], "zh"),
        ("", ["zh-TW", "en"], "en"),  # our Chinese is the simplified one
        ("", ["nl"], "en"),
        ("", [], "en"),
        ("?lang=zh&__theme=dark", ["en"], "zh"),
        ("?lang=en", ["zh-CN"], "en"),
        ("?lang=xx", ["zh-CN"], "zh"),
        ("?lang=__proto__", ["en"], "en"),
        ("?lang=toString", ["en"], "en"),
    ],
)
def test_the_address_decides_then_the_browser(
    search: str, preferred: list[str], language: str
) -> None:
    script = f"return T.choose(search, preferred, {NAMES});"
    assert run(script, search=search, preferred=preferred) == language


def test_another_language_keeps_place_and_query() -> None:
    address = "https://host/app/?__theme=dark&lang=en#watch/1-question-propd/5/draft"
    assert run("return T.addressIn('zh', address);", address=address) == (
        "https://host/app/?__theme=dark&lang=zh#watch/1-question-propd/5/draft"
    )


def test_words_follow_their_number() -> None:
    script = "return ['1', 0, 2, 1].map((n) => W.say('{n} {n:pass|passes}, {x}', { n }));"
    assert run(script) == ["1 pass, {x}", "0 passes, {x}", "2 passes, {x}", "1 pass, {x}"]
    assert run("return W.say('{n:a|b}');") == "{n:a|b}"


def test_places_in_a_list_are_counted_as_the_language_does() -> None:
    script = "return [1, 2, 3, 4, 11, 12, 13, 21, 102].map((n) => W.ordinal(n, words));"
    english = ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd"]
    assert run(script, words=table("step.STEP")) == english
    assert run(script, words=table("step.STEP", "zh"))[:2] == ["第 1", "第 2"]


def test_runs_are_handed_over_once_and_as_many_as_fit() -> None:
    script = """
      const kept = new Map();
      const storage = { getItem: (n) => kept.get(n) ?? null, removeItem: (n) => kept.delete(n),
        setItem: (n, text) => { if (text.length > 160) throw "full"; kept.set(n, text); } };
      S.keep({ key: "visit-1", live: true, state: "done", events: [1], text: "x".repeat(100) });
      S.keep({ key: "visit-2", live: true, state: "running", events: [2] });
      S.handOver(storage);
      for (const { key } of S.kept()) S.forget(key);
      S.takeOver(storage);
      return [S.kept(), kept.size];
    """
    runs, left = run(script)
    assert [(one["key"], one["state"]) for one in runs] == [("visit-2", "stopped")]
    assert left == 0
