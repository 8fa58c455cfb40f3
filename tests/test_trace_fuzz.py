"""A thousand spoiled traces: each is read or refused, and none does anything else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from propd.errors import InvalidTrace
from propd.terminal import render_tree
from propd.trace import Trace, fingerprint, from_json, trace_to_json
from propd.trace_graph import graphml
from propd.trace_table import nodes_csv, steps_csv
from tests.trace_samples import parsed, run

MUTATIONS = 1_000


def nested(depth: int = 400) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


VALUES: list[Callable[[random.Random], Any]] = [
    lambda _: None,
    lambda _: True,
    lambda r: r.choice([-1, 0, 1, 7, 2**31 - 1, 2**31, 2**63, 10**400, -(10**400)]),
    lambda r: r.choice([0.5, -0.5, 1e-320, 1e308, float("nan"), float("inf"), -float("inf")]),
    lambda r: r.choice(["", "NaN", "=1+1", "\x1b[2J", "\ud800", "\x00", "raxp", "x" * 2_000]),
    lambda r: r.choice([[], {}, [[]], {"": {}}, [None] * 600, {"\ud800": 1}]),
    lambda _: nested(),
]


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and object of the file with each of its keys."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield data, key
        if isinstance(value, (dict, list)):
            yield from places(value)


def spoil(data: Any, chance: random.Random) -> None:
    """Delete, replace, repeat or swap something."""
    home, key = chance.choice(list(places(data)))
    what = chance.choice(("delete", "replace", "replace", "repeat", "swap"))
    if what == "delete":
        del home[key]
    elif what == "replace":
        home[key] = chance.choice(VALUES)(chance)
    elif what == "repeat" and isinstance(home, list):
        home.insert(key, deepcopy(home[key]))
    else:
        other = chance.choice(list(home)) if isinstance(home, dict) else chance.randrange(len(home))
        home[key], home[other] = home[other], home[key]


def use(trace: Trace) -> None:
    """All that is done with a trace that was read."""
    again = from_json(json.dumps(trace_to_json(trace), allow_nan=False))
    assert fingerprint(again) == fingerprint(trace)
    shown = "\n".join(map(render_tree, trace.events))
    for text in (shown, steps_csv(trace.events), nodes_csv(trace.events), graphml(trace.events)):
        assert "\x1b" not in text and "\x00" not in text
        text.encode()


def test_a_thousand_spoiled_traces_are_read_or_refused() -> None:
    """Whoever opens a stranger's file must meet a sentence and never a traceback."""
    good, outcomes = parsed(run()), {True: 0, False: 0}
    for seed in range(MUTATIONS):
        chance, data = random.Random(seed), deepcopy(good)
        for _ in range(chance.choice((1, 1, 2, 3))):
            spoil(data, chance)
        try:
            trace = from_json(json.dumps(data) if seed % 2 else data)
        except InvalidTrace as error:
            assert "\n" not in str(error)
            outcomes[False] += 1
        else:
            use(trace)
            outcomes[True] += 1
    assert min(outcomes.values()) > MUTATIONS / 20, outcomes
