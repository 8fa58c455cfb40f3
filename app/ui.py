"""The page: title, settings, a tab for each place."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from app import settings  # isort: skip  (sets the environment that Gradio reads)

import gradio as gr

from app import sidebar
from app.bundle import bundle
from app.languages import LANGUAGES, told
from app.panel import PLOTLY, panel
from app.relabel import relabel
from app.runs import EngineRoom
from app.serving import Serving
from app.strings import page as words
from app.studio import UNSEEN, Studio
from app.tabs import PLACES


def theme() -> gr.themes.Base:
    """Gradio's own fonts and colours: nothing is fetched from elsewhere."""
    return gr.themes.Default(primary_hue="blue", neutral_hue="slate", radius_size="lg").set(
        # Gradio's own grey for what is said beside things is too pale to be read (3:1 on white).
        body_text_color_subdued="#5b6472",
        block_info_text_color="#5b6472",
        input_placeholder_color="#5b6472",
        button_primary_background_fill="#0072B2",
        button_primary_background_fill_hover="#005f95",
        button_primary_background_fill_dark="#0072B2",
        button_primary_background_fill_hover_dark="#1a86c4",
    )


def build(room: EngineRoom, traces: Path = settings.TRACES) -> gr.Blocks:
    """The whole page around a room whose engine may still be loading."""

    async def watch() -> AsyncIterator[str]:
        async for line in room.watch():
            yield told(line)

    gr.set_static_paths([settings.PLAYER, traces, PLOTLY])
    with gr.Blocks(title=words.TITLE, analytics_enabled=False) as demo:
        with gr.Row(elem_id="head"):
            with gr.Column(scale=9, min_width=200):
                gr.Markdown(f"# {words.TITLE}\n{words.LEAD}", elem_id="lead")
            with gr.Column(scale=1, min_width=110):
                panel("tongue", "tongue.js", "page.MENU", names=LANGUAGES)
        status = gr.Markdown(room.status(), elem_id="model-status")
        options = sidebar.build(room)
        # Wrapped, not behind a menu: a permalink must find the button of its tab.
        with gr.Tabs(elem_id="places", overflow_behavior="wrap"):
            for name, place in PLACES.items():
                with gr.Tab(words.PLACES[name], id=name, elem_id=f"tab-{name}"):
                    place(Studio(room, options, traces))
        relabel(demo, room)
        known = demo.load(watch, outputs=[status], concurrency_limit=None, **UNSEEN)
        sidebar.follow_model(room, options, known)
    return demo


def head() -> str:
    """What runs before the page is drawn: it finds out the language (tongue.js)."""
    names = json.dumps(LANGUAGES, ensure_ascii=True)
    script = bundle(settings.PLAYER, "tongue.js", call=f"$tongue.begin({names})")
    return f"<script>{script}</script>"


def launch(demo: gr.Blocks, asked: Serving | None = None, **more: Any) -> None:
    """Serve the page. Port, host and root path: Gradio's GRADIO_... variables."""
    asked = asked or Serving()
    demo.queue(max_size=asked.queue).launch(
        theme=theme(),
        head=head(),
        css_paths=sorted(settings.PLAYER.glob("*.css")),
        ssr_mode=False,
        run_history=False,
        share=asked.share,
        footer_links=["api"],
        max_file_size="5mb",
        state_session_capacity=settings.SESSIONS,
        **more,
    )
