"""Learn: every chapter is whole, every word is explained, every table says how it was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import settings
from app.runs import EngineRoom
from app.strings.learn import CHAPTERS, LEARN
from app.strings.learn_glossary import GLOSSARY
from app.tabs.learn import batches, benchmark, tables
from app.ui import build
from propd.planning.cost_file import load_costs
from propd.trace import load

TERM = re.compile(r"\[\[([^\]|]+)(?:\|[^\]]+)?\]\]")
DESIGN = (
    "root", "node", "depth", "rank", "draft head", "early head", "drafted", "pruned", "rejected",
    "accepted", "bonus", "acceptance length", "tokens per pass", "verification cost",
    "expected acceptance length", "method",
)  # fmt: skip
"""Words that the whole program uses; a visitor must be able to look them up."""


def sentences(name: str) -> Iterator[str]:
    for step in CHAPTERS[name]["steps"].values():
        yield from step["text"]


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chapter_has_its_parts(name: str) -> None:
    """One thing to do, one sentence to remember, the place in the paper."""
    chapter = CHAPTERS[name]
    assert chapter["title"] and len(chapter["short"]) <= 10
    assert {"{", "[["}.isdisjoint(chapter["title"] + chapter["short"])
    assert "ask" in chapter["steps"] and len(chapter["steps"]) >= 3
    assert all(step["title"] and step["text"] for step in chapter["steps"].values())
    assert chapter["ask"]["question"].endswith("?") and chapter["ask"]["reveal"]
    assert chapter["remember"].endswith(".") and ". " not in chapter["remember"]
    assert chapter["paper"] and not re.search(r"[Ss]ections? \d", chapter["paper"])


@pytest.mark.parametrize("name", CHAPTERS)
def test_glossary_words_are_linked_where_they_first_stand(name: str) -> None:
    terms = [term for text in sentences(name) for term in TERM.findall(text)]
    assert terms and set(terms) <= set(GLOSSARY)
    assert len(terms) == len(set(terms))
    others = (CHAPTERS[name]["remember"], CHAPTERS[name]["paper"], *CHAPTERS[name]["ask"].values())
    assert not any(TERM.search(str(text)) for text in others)


def test_the_words_of_the_program_are_in_the_glossary() -> None:
    assert set(DESIGN) <= set(GLOSSARY)
    used = {term for name in CHAPTERS for text in sentences(name) for term in TERM.findall(text)}
    assert len(used) > 15


def test_nothing_the_walkthrough_says_is_markup() -> None:
    assert not re.search(r"</?[a-z]+[ >]", json.dumps(LEARN))


def test_tables_say_how_they_were_measured() -> None:
    shipped = tables(settings.LEARN)
    assert set(shipped) == {"recall", "costs-1", "costs-1-w4a8", "costs-4", "costs-16"}
    for name in shipped:
        about = json.loads((settings.LEARN / f"{name}.json").read_text())["about"]
        assert {"model", "dtype", "device", "threads", "recorded", "versions"} <= set(about)
        if name.startswith("costs"):
            load_costs(settings.LEARN / f"{name}.json")
            assert about["pass_bytes"] > 0 and name.split("-")[1] == str(about["rows"])


def test_recorded_batches_can_be_read_and_are_small() -> None:
    shipped = batches(settings.LEARN)
    assert list(shipped) == ["1", "4", "16"]
    for rows in shipped:
        trace = load(settings.LEARN / f"batch-{rows}.json")
        assert {event.row for event in trace.events} == set(range(int(rows)))
    assert sum(path.stat().st_size for path in settings.LEARN.glob("*.json")) < 500_000


def test_the_benchmark_is_read_from_its_file(tmp_path: Path) -> None:
    told = benchmark(settings.DOCS)
    assert told is not None
    plain = told["rows"][0]
    assert plain["ratio"] == 1.0 and plain["per_pass"] == 1.0
    assert benchmark(tmp_path) is None


def test_the_place_needs_no_model(room: EngineRoom) -> None:
    """It is built while the model loads, and asks the server for files alone."""
    room.engine = None
    config = build(room).get_config_file()
    (panel,) = [c["props"] for c in config["components"] if c["props"].get("elem_id") == "learn"]
    assert panel["html_template"] == '<div class="propd-host"></div>'
    assert not panel.get("server_functions")
    assert panel["props"]["words"]["chapters"].keys() == CHAPTERS.keys()
