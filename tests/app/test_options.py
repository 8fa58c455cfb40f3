"""What a request may ask for: nothing that comes from a browser is believed."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature
from typing import Any

import pytest

from app import patience, settings
from app.options import Options, config_of
from app.runs import EngineRoom
from app.sidebar import build as build_sidebar
from app.sidebar import fit
from app.tabs.watch import Actions, branch_of
from propd.core import DecodingConfig
from propd.errors import InvalidRequest, ProPDError
from propd.methods import METHODS
from propd.requests import check_config


def test_a_config_is_what_the_sidebar_says() -> None:
    asked = config_of("propd", 40.0, 0.7, 0.9, 3, "threshold", 20, "pays", "both", 12.0)
    assert asked == DecodingConfig(
        method="propd",
        max_new_tokens=40,
        temperature=0.7,
        top_p=0.9,
        seed=3,
        prune_rule="threshold",
        prune_top_k=20,
        prune_when="pays",
        guesses="both",
        tree_size=12,
        record_probabilities=True,
    )


def test_zeros_are_left_to_the_engine() -> None:
    asked = config_of("propd", 40, prune_top_k=0, tree_size=0)
    assert (asked.prune_top_k, asked.tree_size) == (None, None)


def test_components_values_and_the_api_go_by_the_same_order() -> None:
    """Gradio passes values by place: one out of order would set another setting."""
    names = [item.name for item in fields(Options)]
    assert list(signature(config_of).parameters) == names
    assert list(signature(Actions.generate).parameters) == ["self", "prompt", *names]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("max_new_tokens", settings.MAX_NEW_TOKENS + 1, "at most 256"),
        ("max_new_tokens", "many", "must be a number"),
        ("max_new_tokens", 1.5, "must be a whole number"),
        ("temperature", float("nan"), "must be a number"),
        ("temperature", [1], "must be a number"),
        ("temperature", -1, "must be between 0"),
        ("top_p", True, "must be a number"),
        ("seed", 2**40, "must be between 0"),
        ("tree_size", 64, "must be between 1 and 63"),
        ("prune_top_k", -3, "at least 1"),
        ("prune_rule", "<b>", "use one of topk"),
        ("guesses", None, "use one of heads"),
        ("method", "oracle", "There is no method"),
    ],
)
def test_what_is_out_of_bounds_is_one_sentence(name: str, value: Any, says: str) -> None:
    asked: dict[str, Any] = {"method": "propd", "max_new_tokens": 40, name: value}
    with pytest.raises(ProPDError, match=says):
        check_config(config_of(**asked))


@pytest.mark.parametrize("method", METHODS)
def test_settings_that_mean_nothing_to_a_method_rest(method: str) -> None:
    """And go back to their defaults, else the next run would be refused for them."""
    _, *updates = fit(method)
    names = ("prune_rule", "prune_top_k", "prune_when", "guesses", "tree_size")
    told = dict(zip(names, updates, strict=True))
    left = {name: update["value"] for name, update in told.items() if not update["interactive"]}
    assert told["prune_rule"]["interactive"] is METHODS[method].pruning
    assert told["tree_size"]["interactive"] is (METHODS[method].tree == "dynamic")
    check_config(config_of(method, 40, **left))


def test_the_sidebar_says_what_the_config_says(room: EngineRoom) -> None:
    import gradio as gr

    with gr.Blocks():
        options = build_sidebar(room)
    values = [component.value for component in options.inputs]
    assert config_of(*values) == config_of(settings.METHOD, settings.NEW_TOKENS)


REQUEST = {"prompt": "abc", "method": "propd", "model": "", "continuing": [1, 2]}


def test_a_branch_of_this_model_is_taken(room: EngineRoom) -> None:
    request = {**REQUEST, "model": room.engine.name}
    assert branch_of(room, request) == ("abc", "propd", [1, 2])


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (None, "not understood"),
        ({"prompt": "abc"}, "not understood"),
        ({**REQUEST, "continuing": "1"}, "not understood"),
        ({**REQUEST, "method": 3}, "not understood"),
        ({**REQUEST, "model": "another"}, "made by another"),
    ],
)
def test_a_branch_of_another_model_or_none_is_refused(
    room: EngineRoom, request_: Any, says: str
) -> None:
    """Token ids of one model are other words in another."""
    with pytest.raises(InvalidRequest, match=says):
        branch_of(room, request_)


def test_the_last_loading_time_is_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PROPD_CACHE", str(tmp_path / "new"))
    assert patience.last_time("tiny") is None
    patience.remember("tiny", 12.34)
    assert patience.last_time("tiny") == 12.3
    (tmp_path / "new" / patience.FILE).write_text("[broken")
    assert patience.last_time("tiny") is None
