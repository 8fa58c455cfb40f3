"""The page: what stands where, and which function answers which button."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from app import settings, strings  # isort: skip  (sets the environment that Gradio reads)

import gradio as gr
import plotly

from app.runs import EngineRoom, Message, answer
from propd.errors import InvalidTrace, ProPDError
from propd.methods import METHODS
from propd.trace import load

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
FILES = "/gradio_api/file="
# Events of the page itself: no spinner, no entry in the API.
UNSEEN: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
Controls = tuple[gr.Textbox, gr.Dropdown, gr.Slider, gr.Button, gr.Button]
log = logging.getLogger(__name__)
# The player lives in its own file; here it is only told where the server is mounted.
MOUNT = """
const base = window.gradio_config.root || "";
import(base + props.player).then((player) => player.mount(element, props, watch, base));
"""
TELL = "(...inputs) => {{ window.dispatchEvent(new Event('propd-{}')); return inputs; }}"


def theme() -> gr.themes.Base:
    """Gradio's own fonts and colours: nothing is fetched from elsewhere."""
    return gr.themes.Default(primary_hue="blue", neutral_hue="slate", radius_size="lg").set(
        button_primary_background_fill="#0072B2",
        button_primary_background_fill_hover="#005f95",
        button_primary_background_fill_dark="#0072B2",
        button_primary_background_fill_hover_dark="#1a86c4",
    )


def recorded_runs(folder: Path) -> list[dict[str, str]]:
    """The recorded runs on offer: where each is and what to call it; a broken file is skipped."""
    runs = []
    for path in sorted(folder.glob("*.json")):
        try:
            header = load(path).header
        except InvalidTrace as error:
            log.warning("%s is left out: %s", path.name, error)
            continue
        kind = path.stem.split("-")[1]
        method = METHODS[header.method].label if header.method in METHODS else header.method
        runs.append(
            {
                "url": FILES + str(path),
                "label": f"{strings.EXAMPLES.get(kind, kind)} · {method}",
                "title": header.prompt,
            }
        )
    return runs


def player(traces: Path) -> gr.HTML:
    """The player. Its template is static: token text in a template would be run as a script."""
    gr.set_static_paths([settings.PLAYER, traces, PLOTLY])
    return gr.HTML(
        value={},
        html_template='<div class="propd-host"></div>',
        js_on_load=MOUNT,
        apply_default_css=False,
        elem_id="player",
        words=strings.PLAYER,
        traces=recorded_runs(traces),
        plotly=FILES + str(PLOTLY),
        player=FILES + str(settings.PLAYER / "player.js"),
    )


def buttons(running: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Generate and Stop, of which one can be pressed."""
    return gr.update(interactive=not running), gr.update(interactive=running)


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


def composer(room: EngineRoom) -> Controls:
    """Prompt, settings and the two buttons, in one row where there is room."""
    offered = choices(room)
    names = [name for _, name in offered]
    chosen = settings.METHOD if settings.METHOD in names else names[0]
    with gr.Row(elem_id="composer", equal_height=True):
        prompt = gr.Textbox(
            settings.PROMPT,
            label=strings.PROMPT,
            placeholder=strings.PROMPT_HINT,
            lines=2,
            max_lines=5,
            scale=6,
            min_width=280,
        )
        method = gr.Dropdown(offered, value=chosen, label=strings.METHOD, scale=2, min_width=160)
        top = settings.MAX_NEW_TOKENS
        tokens = gr.Slider(
            8, top, settings.NEW_TOKENS, step=8, label=strings.MAX_TOKENS, scale=2, min_width=180
        )
        with gr.Column(scale=1, min_width=140, elem_id="go"):
            generate = gr.Button(strings.GENERATE, variant="primary")
            stop = gr.Button(strings.STOP, variant="secondary", interactive=False)
    line = gr.Markdown(about(chosen), elem_id="method-about")
    method.change(about, [method], [line], queue=False, **UNSEEN)
    return prompt, method, tokens, generate, stop


def wire(room: EngineRoom, controls: Controls, panel: gr.HTML) -> None:
    """Generate, Enter and Stop."""
    prompt, method, tokens, generate, stop = controls

    def run(prompt: str, method: str, tokens: float) -> Iterator[Message]:
        try:
            yield from answer(room, prompt, method, int(tokens))
        except ProPDError as error:
            raise gr.Error(str(error), duration=15, print_exception=False) from error

    def begin() -> tuple[dict[str, Any], dict[str, Any]]:
        return buttons(running=True)

    def end() -> tuple[dict[str, Any], dict[str, Any]]:
        return buttons(running=False)

    quick: dict[str, Any] = {"outputs": [generate, stop], "queue": False, **UNSEEN}
    asked, ended = TELL.format("asked"), TELL.format("ended")
    # One after the other: side by side, a run that fails at once could be done before the
    # buttons know that it began, and Generate would stay locked.
    begun = gr.on([generate.click, prompt.submit], begin, js=asked, **quick)
    running = begun.then(
        run,
        inputs=[prompt, method, tokens],
        outputs=[panel],
        show_progress="hidden",
        concurrency_id="model",
        concurrency_limit=1,
        api_name="generate",
    )
    # "then" alone is not enough: Gradio 6.31 skips it after an error.
    for after in (running.then, running.failure):
        after(end, js=ended, **quick)
    stop.click(end, cancels=[running], js=ended, **quick)


def build(room: EngineRoom, traces: Path = settings.TRACES) -> gr.Blocks:
    """The whole page around a room whose engine may still be loading."""

    async def watch() -> AsyncIterator[str]:
        async for line in room.watch():
            yield line

    with gr.Blocks(title=strings.TITLE, analytics_enabled=False) as demo:
        gr.Markdown(f"# {strings.TITLE}\n{strings.LEAD}", elem_id="lead")
        controls = composer(room)
        method = controls[1]
        status = gr.Markdown(room.status(), elem_id="model-status")
        wire(room, controls, player(traces))
        known = demo.load(watch, outputs=[status], concurrency_limit=None, **UNSEEN)
        known.then(partial(offer, room), [method], [method], queue=False, **UNSEEN)
    return demo


def launch(demo: gr.Blocks, **more: Any) -> None:
    """Serve the page. Port, host and root path: Gradio's GRADIO_... variables."""
    demo.queue(max_size=settings.QUEUE_SIZE).launch(
        theme=theme(),
        css_paths=[settings.PLAYER / "player.css"],
        ssr_mode=False,
        run_history=False,
        share=False,
        footer_links=["api"],
        max_file_size="5mb",
        state_session_capacity=settings.SESSIONS,
        **more,
    )
