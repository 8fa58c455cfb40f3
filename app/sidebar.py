"""The settings beside the tabs, one set for every place."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from app import settings
from app.runs import EngineRoom
from app.strings import page as words
from app.studio import UNSEEN, Options
from propd.methods import METHODS


def choices(room: EngineRoom) -> list[tuple[str, str]]:
    """The methods on offer, as the dropdown takes them."""
    return [(method.label, method.name) for method in room.methods()]


def offer(room: EngineRoom, chosen: str) -> dict[str, Any]:
    """The dropdown of a model that is known now: what needs heads goes if it has none."""
    offered = choices(room)
    if len(offered) == len(METHODS):
        return gr.skip()
    names = [name for _, name in offered]
    return gr.update(choices=offered, value=chosen if chosen in names else names[0])


def about(method: str) -> str:
    """The chosen method in a line."""
    chosen = METHODS.get(method)
    return f"**{chosen.label}** {chosen.description}" if chosen else ""


def build(room: EngineRoom) -> Options:
    """The basic settings open; on a phone the page itself closes the sidebar (places.js)."""
    offered = choices(room)
    names = [name for _, name in offered]
    chosen = settings.METHOD if settings.METHOD in names else names[0]
    with gr.Sidebar(width=264, elem_id="settings"):
        gr.Markdown(f"## {words.SETTINGS}")
        method = gr.Dropdown(offered, value=chosen, label=words.METHOD)
        line = gr.Markdown(about(chosen), elem_id="method-about")
        top = settings.MAX_NEW_TOKENS
        tokens = gr.Slider(8, top, settings.NEW_TOKENS, step=8, label=words.MAX_TOKENS)
    method.change(about, [method], [line], queue=False, **UNSEEN)
    return Options(method, tokens)


def follow_model(room: EngineRoom, options: Options, known: Any) -> None:
    """Once the model is known (an event), offer what it can run."""
    known.then(partial(offer, room), [options.method], [options.method], queue=False, **UNSEEN)
