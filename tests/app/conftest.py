"""The app on the tiny model: real engine, real events, no download."""

from __future__ import annotations

from pathlib import Path

import pytest

import propd
from app.runs import EngineRoom


@pytest.fixture(scope="session")
def engine(tiny_folder: Path) -> propd.Engine:
    return propd.load(str(tiny_folder), heads=str(tiny_folder / "heads"))


@pytest.fixture(autouse=True)
def no_traces_of_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the app remembers of its last start is not for tests to change."""
    monkeypatch.setenv("PROPD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def room(engine: propd.Engine) -> EngineRoom:
    """A room whose engine is loaded already."""
    room = EngineRoom("tiny")
    room.engine = engine
    room.done.set()
    return room
