"""The settings beside the tabs: their components, and what a request may ask by them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING, Any

from app import settings
from app.strings import page as words
from propd.core import DecodingConfig
from propd.errors import InvalidRequest

if TYPE_CHECKING:  # worker processes need this module and no page
    import gradio as gr


@dataclass(frozen=True)
class Options:
    """The components, in the order in which `config_of` takes their values."""

    method: gr.Dropdown
    max_new_tokens: gr.Slider
    temperature: gr.Slider
    top_p: gr.Slider
    seed: gr.Number
    prune_rule: gr.Dropdown
    prune_top_k: gr.Slider
    prune_when: gr.Dropdown
    guesses: gr.Dropdown
    tree_size: gr.Slider

    @property
    def inputs(self) -> list[Any]:
        """All of them, for an event that takes ``*values`` and hands them to `config_of`."""
        return [getattr(self, item.name) for item in fields(self)]


def config_of(
    method: str,
    max_new_tokens: float,
    temperature: float = 0,
    top_p: float = 1,
    seed: float = 0,
    prune_rule: str = "topk",
    prune_top_k: float = 0,
    prune_when: str = settings.PRUNE_WHEN,
    guesses: str = "auto",
    tree_size: float = 0,
) -> DecodingConfig:
    """What is asked for. The limits of this page are checked here, all others by the engine.

    A slider binds a browser and no script, so nothing is believed of what comes in. At 0,
    ``prune_top_k`` is the heads' own and ``tree_size`` is chosen in every step.
    """
    asked = whole(words.MAX_TOKENS, max_new_tokens)
    limit = settings.MAX_NEW_TOKENS
    if asked > limit:
        raise InvalidRequest(words.TOO_MANY.format(given=asked, limit=limit))
    return DecodingConfig(
        method=str(method),
        max_new_tokens=asked,
        temperature=_number(words.TEMPERATURE, temperature),
        top_p=_number(words.TOP_P, top_p),
        seed=whole(words.SEED, seed or 0),
        prune_rule=prune_rule,  # type: ignore[arg-type]  # the engine checks these
        prune_top_k=whole(words.PRUNE_TOP_K, prune_top_k or 0) or None,
        prune_when=prune_when,  # type: ignore[arg-type]
        guesses=guesses,  # type: ignore[arg-type]
        tree_size=whole(words.TREE_SIZE, tree_size or 0) or None,
        record_probabilities=True,
    )


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise InvalidRequest(words.NO_NUMBER.format(name=name, given=str(value)[:40]))
    return float(value)


def whole(name: str, value: Any) -> int:
    """A whole number, or one sentence about what was given instead."""
    number = _number(name, value)
    if number != int(number):
        raise InvalidRequest(words.NO_WHOLE_NUMBER.format(name=name, given=value))
    return int(number)
