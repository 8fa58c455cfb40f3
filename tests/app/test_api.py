"""The app for scripts: every action of the page has a name that `gradio_client` can call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

import propd
from app.runs import EngineRoom
from app.ui import build, launch


@pytest.fixture(scope="module")
def client(engine: propd.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    room = EngineRoom("tiny")
    room.engine = engine
    room.done.set()
    demo = build(room, Path(tmp_path_factory.mktemp("traces")))
    launch(demo, prevent_thread_lock=True, quiet=True)
    yield Client(str(demo.local_url), verbose=False)
    demo.close()


def text_of(message: dict[str, Any]) -> str:
    return "".join(event["text"] for event in message["events"].values())


def test_generate_by_name(client: Client, engine: propd.Engine) -> None:
    """Settings that are not given are those that the page opens with."""
    last = client.predict("abc", max_new_tokens=20, api_name="/generate")
    assert last["phase"] == "done"
    assert text_of(last) == engine.generate("abc", max_new_tokens=20).text
    drawn = client.predict(
        "abc", method="medusa", max_new_tokens=20, temperature=1.0, seed=5, api_name="/generate"
    )
    assert drawn["header"]["config"]["seed"] == 5 and drawn["header"]["method"] == "medusa"


def test_what_if_by_name(client: Client, engine: propd.Engine) -> None:
    ids = engine.tokenizer("xy")["input_ids"]
    last = client.predict("abc", ids, "propd", 12, api_name="/what_if")
    assert text_of(last) == engine.generate("abc", max_new_tokens=12, continuing=ids).text


def test_a_refusal_is_the_same_sentence_for_scripts(client: Client) -> None:
    with pytest.raises(AppError, match="prompt is empty"):
        client.predict("  ", api_name="/generate")
    with pytest.raises(AppError, match="token is a whole number"):
        client.predict("abc", [10**6], api_name="/what_if")
    with pytest.raises(AppError, match="drafts the same tree in every step"):
        client.predict("abc", method="medusa", tree_size=4, api_name="/generate")
