"""A run with recorded costs repeats to the last estimate; only what is measured differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import propd
from propd.core import CostTable, DecodingConfig
from propd.recording import header_for, write_run
from propd.trace import MEASURED, PLACE_AND_TIME, Trace, fingerprint, load, trace_to_json
from tests.harness import World
from tests.test_other_engines_bugs_batches import KnowingHeads

COSTS = CostTable(
    draft=((1, 1.0),),
    early=((1, 4.0), (16, 5.0), (64, 9.0)),
    prune=((1, 0.5), (64, 1.0)),
    late=((1, 9.0), (16, 11.0), (64, 20.0)),
    past_row_ms=0.002,
)
DEAR = replace(COSTS, late=((1, 9.0), (16, 30.0), (64, 90.0)))
"""On this machine a tree would cost so much that smaller ones are drafted."""
PROMPT = "the fox, the dog and the fox and the dog"
CONFIG = DecodingConfig(
    max_new_tokens=40, ignore_eos=True, cost_table=COSTS, prune_when="always", prune_top_k=25
)
"""Half the words that the early head knows stay."""


class LuckyHeads(KnowingHeads):
    """Heads that know one answer, so that something is accepted, and a random early head."""

    def __init__(self, engine: propd.Engine) -> None:
        prompts, answer = [engine.encode(PROMPT)], engine.generate(PROMPT, CONFIG).token_ids
        super().__init__(World(engine.backbone, engine.heads), prompts, [answer])
        self._early = engine.heads

    def look_early(self, *given: Any) -> Any:
        """As `DraftHeads`."""
        assert self._early is not None
        return self._early.look_early(*given)


@pytest.fixture(scope="module")
def load_engine(tiny_folder: Path) -> Callable[[], propd.Engine]:
    """Loads the tiny model anew."""

    def load_it() -> propd.Engine:
        engine = propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))
        return engine.with_heads(LuckyHeads(engine))

    return load_it


@pytest.fixture(scope="module")
def engine(load_engine: Callable[[], propd.Engine]) -> propd.Engine:
    return load_engine()


def record(engine: propd.Engine, prompt: str = PROMPT, **settings: Any) -> Trace:
    """A run of the method propd, written down."""
    config = replace(CONFIG, **settings)
    assert config.method == "propd"
    events = tuple(engine.stream(prompt, config))
    return Trace(header_for(engine.describe(), prompt, config), events)


def told(trace: Trace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and events as a file has them, without places, dates and times."""
    data = trace_to_json(trace)
    header = {name: value for name, value in data["header"].items() if name not in PLACE_AND_TIME}
    leave = set(MEASURED)
    events = [{n: v for n, v in event.items() if n not in leave} for event in data["events"]]
    return header, events


def test_a_run_with_recorded_costs_replays_to_the_same_trace(
    engine: propd.Engine, load_engine: Callable[[], propd.Engine]
) -> None:
    """Trees, their sizes and estimates, what was pruned, rejected and accepted, choices and text:
    in the same engine after other requests, and in another one. Times are the run's own."""
    first = record(engine)
    list(engine.stream("something else", max_new_tokens=10, method="medusa"))
    for again in (record(engine), record(load_engine())):
        assert told(again) == told(first)
        assert fingerprint(again) == fingerprint(first)
        assert [e.milliseconds for e in again.events] != [e.milliseconds for e in first.events]
    steps = first.events[1:]
    assert len({event.drafted for event in steps}) > 3  # the trees are dynamic
    fates = Counter(node.fate for event in steps for node in event.nodes)
    assert min(fates[fate] for fate in ("pruned", "rejected", "accepted")) > 5, fates


def test_a_sampled_run_replays_too(engine: propd.Engine) -> None:
    settings: dict[str, Any] = {"temperature": 0.9, "seed": 4, "top_p": 0.9}
    assert fingerprint(record(engine, **settings)) == fingerprint(record(engine, **settings))
    other = settings | {"seed": 5}
    assert fingerprint(record(engine, **other)) != fingerprint(record(engine, **settings))


def test_a_batch_replays_too(engine: propd.Engine) -> None:
    """With rows that wait, join, leave and share the budget of nodes."""
    prompts = ["a", PROMPT, "bcd", "the dog"]

    def batch() -> Trace:
        events = engine.stream_batch(prompts, CONFIG, max_rows=2, max_new_tokens=15)
        return Trace(header_for(engine.describe(), prompts[0], CONFIG), tuple(events))

    assert fingerprint(batch()) == fingerprint(batch())


def settings_in(trace: Trace) -> dict[str, Any]:
    """The settings that a file's header tells."""
    asked = dict(trace.header.config)
    table: dict[str, Any] = {
        name: tuple(map(tuple, value)) if isinstance(value, list) else value
        for name, value in asked["cost_table"].items()
    }
    return asked | {"cost_table": CostTable(**table)}


def test_a_file_replays_to_its_own_fingerprint(engine: propd.Engine, tmp_path: Path) -> None:
    """What its header tells is enough to run it again."""
    made = record(engine, temperature=0.9, seed=7)
    config = replace(CONFIG, temperature=0.9, seed=7)
    write_run(tmp_path / "run.json", engine.describe(), PROMPT, config, made.events)
    old = load(tmp_path / "run.json")
    asked = DecodingConfig(method=old.header.method, **settings_in(old))
    events = tuple(engine.stream(old.header.prompt, asked))
    again = Trace(header_for(engine.describe(), old.header.prompt, asked), events)
    assert fingerprint(again) == fingerprint(old)


OTHER: dict[str, dict[str, Any]] = {
    "another prompt": {"prompt": "the fox, the dog and the fox and the cat"},
    "another cost table": {"cost_table": DEAR},
    "another pruning": {"prune_top_k": 1},
    "a sampled run": {"temperature": 1.0},
}


@pytest.mark.parametrize("name", OTHER)
def test_another_run_has_another_fingerprint(engine: propd.Engine, name: str) -> None:
    """Already by its events: they are put under the same header, which would tell on its own."""
    first, other = record(engine), record(engine, **OTHER[name])
    assert fingerprint(other) != fingerprint(first)
    assert fingerprint(Trace(first.header, other.events)) != fingerprint(first)


def test_another_cost_table_changes_the_trees_and_not_the_text(engine: propd.Engine) -> None:
    """So it is the trace that replays, and not the text alone."""
    cheap, dear = record(engine), record(engine, cost_table=DEAR)
    assert "".join(e.text for e in cheap.events) == "".join(e.text for e in dear.events)
    assert dear.stats.drafted < 0.8 * cheap.stats.drafted


def test_a_run_that_looks_at_the_clock_fails_the_same_test(
    engine: propd.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong: the cost model learns from measured times although a table was given."""
    monkeypatch.setattr("propd.methods.FrozenCost", lambda cost: cost)
    assert fingerprint(record(engine)) != fingerprint(record(engine))
