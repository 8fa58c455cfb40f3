"""Permalinks: the hash of the page and back again."""

from __future__ import annotations

import json
from typing import Any

from app.strings import page
from app.tabs import PLACES
from tests.player.node import needs_node, run_script


def run(script: str) -> Any:
    """What an expression gives that sees the functions of places.js."""
    return run_script(f"return {script};", {"* as P": "places.js"}, {})


@needs_node
def test_a_place_and_its_parts_survive_the_address() -> None:
    parts = ["a/b", "<b> #1", "🦊", 7]
    there = run(f"P.readHash(P.writeHash('watch', {json.dumps(parts)}))")
    assert there == {"place": "watch", "parts": ["a/b", "<b> #1", "🦊", "7"]}
    assert run("P.writeHash('learn', [3, null, undefined, ''])") == "#learn/3"


@needs_node
def test_a_broken_address_is_no_error() -> None:
    """Anybody can write anything behind the #."""
    assert run("P.readHash('#watch/%E0%A4%A/2')") == {"place": "watch", "parts": ["%E0%A4%A", "2"]}
    assert run("P.readHash('')") == {"place": "", "parts": []}


def test_every_place_has_a_name_that_an_address_can_hold() -> None:
    assert list(PLACES) == [name for name in page.PLACES if name in PLACES]
    assert all(name.isalpha() and name.islower() for name in PLACES)
