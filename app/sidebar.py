"""The settings beside the tabs, one set for every place."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from app import settings
from app.languages import told
from app.options import Options
from app.runs import EngineRoom
from app.strings import page as words
from app.studio import UNSEEN
from propd.methods import METHODS
from propd.requests import MAX_TREE

Update = dict[str, Any]


def choices(room: EngineRoom) -> list[tuple[str, str]]:
    """The methods on offer, as the dropdown takes them."""
    return [(told(method.label), method.name) for method in room.methods()]


def offer(room: EngineRoom, chosen: str) -> Update:
    """The dropdown of a model that is known now: what needs heads goes if it has none."""
    offered = choices(room)
    if len(offered) == len(METHODS):
        return gr.skip()
    names = [name for _, name in offered]
    return gr.update(choices=offered, value=chosen if chosen in names else names[0])


def about(method: str) -> str:
    """The chosen method in a line."""
    chosen = METHODS.get(method)
    return f"**{told(chosen.label)}** {told(chosen.description)}" if chosen else ""


def fit(method: str) -> tuple[str, Update, Update, Update, Update, Update]:
    """A method was chosen: its line, and the settings that mean something to it.

    The others go back to their defaults, so that nobody's request is refused for what they set for
    another method.
    """
    chosen = METHODS.get(method, METHODS[settings.METHOD])
    prunes, dynamic = chosen.pruning, chosen.tree == "dynamic"

    def only_if(means: bool, default: Any, info: str, why: str) -> Update:
        if means:
            return gr.update(interactive=True, info=told(info))
        return gr.update(interactive=False, value=default, info=told(why))

    return (
        about(method),
        only_if(prunes, "topk", words.PRUNE_RULE_INFO, words.NOT_PRUNING),
        only_if(prunes, 0, words.PRUNE_TOP_K_INFO, words.NOT_PRUNING),
        only_if(prunes, settings.PRUNE_WHEN, words.PRUNE_WHEN_INFO, words.NOT_PRUNING),
        only_if(dynamic, "auto", words.GUESSES_INFO, words.NOT_DYNAMIC),
        only_if(dynamic, 0, words.TREE_SIZE_INFO, words.NOT_DYNAMIC),
    )


def _sampling() -> dict[str, Any]:
    return {
        "temperature": gr.Slider(
            0, 2, 0, step=0.1, label=words.TEMPERATURE, info=words.TEMPERATURE_INFO
        ),
        "top_p": gr.Slider(0.05, 1, 1, step=0.05, label=words.TOP_P, info=words.TOP_P_INFO),
        "seed": gr.Number(0, label=words.SEED, precision=0, minimum=0, maximum=2**31 - 1),
    }


def _trees() -> dict[str, Any]:
    return {
        "prune_rule": gr.Dropdown(
            words.PRUNE_RULES, value="topk", label=words.PRUNE_RULE, info=words.PRUNE_RULE_INFO
        ),
        # 0 and not empty: for scripts a value without a default would have to be given.
        "prune_top_k": gr.Slider(
            0, 200, 0, step=1, label=words.PRUNE_TOP_K, info=words.PRUNE_TOP_K_INFO
        ),
        "prune_when": gr.Dropdown(
            words.PRUNE_WHENS,
            value=settings.PRUNE_WHEN,
            label=words.PRUNE_WHEN,
            info=words.PRUNE_WHEN_INFO,
        ),
        "guesses": gr.Dropdown(
            words.GUESSES_BY, value="auto", label=words.GUESSES, info=words.GUESSES_INFO
        ),
        "tree_size": gr.Slider(
            0, MAX_TREE, 0, step=1, label=words.TREE_SIZE, info=words.TREE_SIZE_INFO
        ),
    }


def build(room: EngineRoom) -> Options:
    """Basic settings open, the rest folded; on a phone the page closes the sidebar (places.js)."""
    offered = choices(room)
    names = [name for _, name in offered]
    chosen = settings.METHOD if settings.METHOD in names else names[0]
    with gr.Sidebar(width=264, elem_id="settings"):
        gr.Markdown(f"## {words.SETTINGS}")
        method = gr.Dropdown(offered, value=chosen, label=words.METHOD)
        line = gr.Markdown(about(chosen), elem_id="method-about")
        top = settings.MAX_NEW_TOKENS
        tokens = gr.Slider(8, top, settings.NEW_TOKENS, step=8, label=words.MAX_TOKENS)
        with gr.Accordion(words.MORE, open=False, elem_id="more-settings"):
            gr.Markdown(words.MORE_TEXT)
            sampling = _sampling()
            gr.Markdown(words.MORE_TREES)
            trees = _trees()
    method.change(fit, [method], [line, *trees.values()], queue=False, **UNSEEN)
    return Options(method=method, max_new_tokens=tokens, **sampling, **trees)


def follow_model(room: EngineRoom, options: Options, known: Any) -> None:
    """Once the model is known (an event), offer what it can run."""
    known.then(partial(offer, room), [options.method], [options.method], queue=False, **UNSEEN)
