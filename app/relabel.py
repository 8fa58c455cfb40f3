"""Gradio's own labels in the language of the page: sent once, when it has opened.

Components are made before anybody is there to read them, so they are made in English. Of the
panels nothing is sent: they have every language with them (`app/panel.py`).
"""

from __future__ import annotations

import re
from typing import Any

import gradio as gr

from app.languages import FIRST, LANGUAGES, spoken, translated
from app.studio import UNSEEN
from propd.methods import METHODS

TEXTS = ("label", "info", "placeholder")
SPOKEN_VALUES = (gr.Markdown, gr.Button)
"""Components whose value is a sentence of ours, and not a visitor's."""
TOLD_ANEW = ("model-status",)
"""Markdown that is filled in by its own event."""
SHOW = "() => document.documentElement.removeAttribute('data-waiting')"
"""The page hid what was still in English (tongue.js)."""
NAMED = re.compile(r"\*\*(.+)\*\* (.+)")
"""A method and what it is (sidebar.py)."""
LINE = re.compile(r"^(#+ |)(.*)$", re.MULTILINE)


def in_language(value: str, language: str) -> str:
    """A sentence, or lines of Markdown that are one each."""
    named = NAMED.fullmatch(value)
    if named and translated(value, language) == value:
        return f"**{translated(named[1], language)}** {translated(named[2], language)}"
    return LINE.sub(lambda line: line[1] + translated(line[2], language), value)


def changes(block: Any, language: str, offered: set[str]) -> dict[str, Any]:
    """What of a component reads otherwise in this language. offered: methods of the model."""
    found: dict[str, Any] = {}
    names = [*TEXTS, "value"] if isinstance(block, SPOKEN_VALUES) else list(TEXTS)
    for name in names:
        english = getattr(block, name, None)
        if isinstance(english, str) and in_language(english, language) != english:
            found[name] = in_language(english, language)
    choices = getattr(block, "choices", None) or []
    if any(translated(str(label), language) != label for label, _ in choices):
        kept = [(label, name) for label, name in choices if name not in METHODS or name in offered]
        found["choices"] = [(translated(str(label), language), name) for label, name in kept]
    return found


def relabel(demo: gr.Blocks, room: Any) -> Any:
    """The event that does it; `demo` must be whole, and still open."""
    languages = [name for name in LANGUAGES if name != FIRST]
    everything = {method.name for method in room.methods()} | set(METHODS)
    blocks = [
        block
        for block in demo.blocks.values()
        if getattr(block, "elem_id", None) not in TOLD_ANEW
        and any(changes(block, language, everything) for language in languages)
    ]

    def speak() -> list[Any]:
        language = spoken()
        offered = {method.name for method in room.methods()}
        return [gr.update(**changes(block, language, offered)) for block in blocks]

    opened = demo.load(speak, None, blocks, queue=False, **UNSEEN)
    opened.then(None, js=SHOW)
    return opened
