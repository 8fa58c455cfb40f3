"""The page as it is sent: nothing a visitor writes runs in it, and nothing leaves the machine."""

from __future__ import annotations

import copy
import re
from inspect import isgeneratorfunction
from pathlib import Path
from typing import Any

import pytest

import propd
from app import settings
from app.bundle import bundle
from app.recorded import recorded_runs
from app.runs import EngineRoom
from app.sidebar import about, choices, offer
from app.strings.learn import LEARN
from app.strings.replay import UNSAID
from app.strings.replay import WORDS as REPLAY
from app.strings.runs import RUNS
from app.strings.watch import WATCH
from app.ui import build
from propd.methods import METHODS
from propd.trace import Header, Trace, save


def scripts() -> str:
    return "".join(path.read_text() for path in sorted(settings.PLAYER.rglob("*.js")))


def modules(learn: bool) -> str:
    """The scripts of the walkthrough, or all others."""
    paths = sorted(settings.PLAYER.rglob("*.js"))
    own = [path for path in paths if (path.stem == "learn" or "learn" in path.parts) == learn]
    return "".join(path.read_text() for path in own)


def styles() -> str:
    return "".join(path.read_text() for path in sorted(settings.PLAYER.glob("*.css")))


def test_the_template_is_static(room: EngineRoom) -> None:
    """Gradio runs a template as a script: the token ${1+1} in one would be evaluated."""
    config = build(room).get_config_file()
    panels = [c["props"] for c in config["components"] if c["props"].get("html_template")]
    assert {panel["elem_id"] for panel in panels} >= {"player", "compare", "batches"}
    for panel in panels:
        assert panel["html_template"] == '<div class="propd-host"></div>'
        assert panel["value"] == {}


def test_token_text_is_never_markup() -> None:
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in scripts()


def test_the_player_asks_no_other_host() -> None:
    urls = re.findall(r"https?://[^\"'`\s]+", scripts() + styles())
    assert set(urls) <= {"http://www.w3.org/2000/svg"}
    assert "showSendToCloud: false" in scripts()


def said(text: str) -> set[str]:
    return set(re.findall(r"\bwords\.(?!js\b)(\w+)", text))


@pytest.mark.parametrize(("module", "words"), [("player.js", WATCH), ("replay.js", REPLAY)])
def test_every_sentence_a_page_says_exists(module: str, words: dict[str, Any]) -> None:
    """A missing one would show as "undefined"; a module brings those that it imports."""
    assert said(bundle(settings.PLAYER, module, call="0")) <= set(words) | UNSAID


RUNS_MODULES = ("runs_place", "run_view", "bench", "bench_figures", "opening", "files", "pictures")


def test_every_sentence_of_runs_exists() -> None:
    """It shares modules with Watch, whose sentences it does not need."""
    text = "".join((settings.PLAYER / f"{name}.js").read_text() for name in RUNS_MODULES)
    assert said(text) <= set(RUNS) and "bench_lead" in said(text)


def test_every_sentence_of_learn_exists() -> None:
    found = said(modules(learn=True))
    assert len(found) > 50
    assert found <= set(LEARN)


def test_a_model_runs_for_one_visitor_at_a_time(room: EngineRoom) -> None:
    """Two runs at once would share the processor, and each measure the other."""
    functions = list(build(room).fns.values())
    groups = {fn.api_name: (fn.concurrency_id, fn.concurrency_limit) for fn in functions}
    for name in ("generate", "what_if", "compare", "batches"):
        assert groups[name] == ("model", 1)
    streams = [fn for fn in functions if fn.fn is not None and isgeneratorfunction(fn.fn)]
    assert all(fn.concurrency_id == "model" for fn in streams)


def test_the_known_methods_come_first_and_none_is_missing(room: EngineRoom) -> None:
    names = [name for _, name in choices(room)]
    assert names[:6] == ["propd", "propd-paper", "medusa", "bpd", "lookup", "autoregressive"]
    assert sorted(names) == sorted(METHODS)
    assert all(METHODS[name].description in about(name) for name in names)


def test_a_model_without_heads_is_offered_what_it_can_run(
    room: EngineRoom,
) -> None:
    """The page may have opened with all methods, before anything was known of the model."""
    assert "choices" not in offer(room, "medusa")
    room.engine = copy.copy(room.engine)
    room.engine.heads = None
    names = [name for _, name in choices(room)]
    assert names == ["lookup", "autoregressive"]
    assert offer(room, "propd")["value"] == "lookup"
    assert offer(room, "autoregressive")["value"] == "autoregressive"


def test_recorded_runs_are_offered_and_broken_files_left_out(
    engine: propd.Engine, tmp_path: Path
) -> None:
    events = tuple(engine.stream("abc", method="medusa", max_new_tokens=4))
    save(Trace(Header("tiny", "medusa", "abc <b>"), events), tmp_path / "1-story-medusa.json")
    (tmp_path / "2-code-propd.json").write_text("{}")
    runs = recorded_runs(tmp_path)
    assert [(run["label"], run["title"]) for run in runs] == [("Story · Medusa", "abc <b>")]


def test_shipped_runs_can_be_read_and_are_small() -> None:
    files = list(settings.TRACES.glob("*.json"))
    assert len(recorded_runs(settings.TRACES)) == len(files)
    assert sum(path.stat().st_size for path in files) < 1_000_000
