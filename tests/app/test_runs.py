"""Live runs: what the page is told, and what happens when a run ends early or badly."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import propd
from app import settings
from app.runs import EngineRoom, Run, answer
from app.strings import page
from propd.core import DecodingConfig
from propd.errors import ModelUnavailable, ProPDError
from propd.event_json import event_from_json
from propd.planning.experience import Experience
from propd.trace import SCHEMA, from_json

ASKED = DecodingConfig(max_new_tokens=40)


def everything(room: EngineRoom, prompt: str, tokens: int = 40) -> list[dict[str, Any]]:
    config = DecodingConfig(max_new_tokens=tokens)
    return [json.loads(json.dumps(m)) for m in answer(room, prompt, config)]


def test_the_last_message_holds_the_whole_run(room: EngineRoom) -> None:
    """The page may skip messages in between; the last one makes it whole again."""
    last = everything(room, "abc")[-1]
    assert last["phase"] == "done"
    events = [event_from_json(event) for event in last["events"].values()]
    assert [event.index for event in events] == list(range(len(events)))
    assert sum(len(event.token_ids) for event in events) == 40
    text = room.engine.generate("abc", method="propd", max_new_tokens=40).text
    assert "".join(event.text for event in events) == text


def test_several_events_share_a_message(room: EngineRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model makes hundreds of steps a second; the browser could not draw them all."""
    monkeypatch.setattr(settings, "MESSAGES_PER_SECOND", 0.001)
    assert [message["phase"] for message in everything(room, "abc")] == ["running", "done"]


def test_messages_stay_small(room: EngineRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that grows with the run made every later one slower to show."""
    monkeypatch.setattr(settings, "MESSAGES_PER_SECOND", 1e9)
    *running, _last = everything(room, "abc", 60)
    assert len(running) > settings.MESSAGE_EVENTS
    assert max(len(message["events"]) for message in running) == settings.MESSAGE_EVENTS


def test_a_bad_request_fails_with_the_engines_sentence(room: EngineRoom) -> None:
    messages = answer(room, "   ", ASKED)
    assert next(messages)["phase"] == "failed"
    with pytest.raises(ProPDError, match="prompt is empty"):
        next(messages)


def test_a_model_without_heads_runs_what_needs_none_and_refuses_the_rest(tiny_folder: Path) -> None:
    room = EngineRoom("tiny")
    room.engine = propd.load(str(tiny_folder))
    room.done.set()
    for method in room.methods():
        config = DecodingConfig(method=method.name, max_new_tokens=8)
        assert list(answer(room, "abc", config))[-1]["phase"] == "done"
    with pytest.raises(ProPDError, match="this model has none; use lookup"):
        list(answer(room, "abc", DecodingConfig(method="medusa")))


def test_a_run_tells_how_it_was_made(room: EngineRoom) -> None:
    """Its header is that of a trace, so that a live run can be saved as it is."""
    ids = room.engine.tokenizer("xy")["input_ids"]
    last = list(answer(room, "abc", DecodingConfig(max_new_tokens=9, top_p=0.5), ids))[-1]
    trace = from_json(
        {"schema": SCHEMA, "header": last["header"], "events": list(last["events"].values())}
    )
    assert trace.header.config["top_p"] == 0.5
    assert (trace.header.continuing, trace.header.continuing_text) == (tuple(ids), "xy")
    assert trace.header.model == room.engine.name
    told = "".join(event.text for event in trace.events)
    expected = room.engine.generate("abc", max_new_tokens=9, continuing=ids).text
    assert told == expected


class BrokenEngine:
    """Writes one event, then meets a bug; remembers that it was closed."""

    def __init__(self, engine: propd.Engine) -> None:
        self.engine = engine
        self.closed = False

    def describe(self) -> dict[str, Any]:
        return self.engine.describe()

    def text_of(self, token_ids: Any) -> str:
        return ""

    def experience(self) -> Experience:
        return Experience()

    def learn(self, experience: Experience) -> None:
        pass

    def stream(self, prompt: str, *settings: Any, **more: Any) -> Iterator[Any]:
        try:
            yield from self.engine.stream("abc", max_new_tokens=1)
            raise ZeroDivisionError(f"secret {prompt}")
        finally:
            self.closed = True


def test_a_bug_keeps_the_text_and_tells_no_secret(room: EngineRoom) -> None:
    """A toast must not repeat the prompt or a traceback; what was written stays on the page."""
    room.engine = BrokenEngine(room.engine)
    messages = answer(room, "abc", ASKED)
    assert next(messages)["phase"] == "running"
    failed = next(messages)
    assert failed["phase"] == "failed" and len(failed["events"]) == 1
    with pytest.raises(ProPDError) as caught:
        next(messages)
    assert str(caught.value) == page.UNEXPECTED


def test_closing_the_generator_closes_the_engines_stream(room: EngineRoom) -> None:
    """Stop and a closed tab close the generator; without this the model would run on, unseen."""
    engine = BrokenEngine(room.engine)
    messages = Run("abc", ASKED).stream(engine)
    next(messages)
    messages.close()  # type: ignore[attr-defined]
    assert engine.closed


def test_a_run_waits_for_the_model(engine: propd.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(model: str, weights: str, report: Any) -> propd.Engine:
        report("packing weights")
        time.sleep(0.7)
        return engine

    monkeypatch.setattr(propd, "load", load)
    room = EngineRoom("tiny")
    room.open()
    messages = everything(room, "abc", 4)
    assert (messages[0]["phase"], messages[0]["stage"]) == ("loading", "packing weights")
    assert messages[-1]["phase"] == "done"


def test_without_a_model_the_page_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(model: str, weights: str, report: Any) -> propd.Engine:
        raise ModelUnavailable("The model cannot be fetched; check the network.")

    monkeypatch.setattr(propd, "load", load)
    room = EngineRoom("tiny")
    room.open()

    async def lines() -> list[str]:
        return [line async for line in room.watch()]

    assert "cannot be fetched" in asyncio.run(lines())[-1]
    with pytest.raises(ProPDError, match="cannot be fetched"):
        list(answer(room, "abc", ASKED))
