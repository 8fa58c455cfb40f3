"""Watch: a prompt, and the run that answers it, step by step."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app import settings
from app.panel import panel, url
from app.runs import Message, answer
from app.strings import watch as words
from app.studio import ONE_AT_A_TIME, UNSEEN, Studio
from propd.errors import InvalidTrace, ProPDError
from propd.methods import METHODS
from propd.trace import load

Controls = tuple[gr.Textbox, gr.Button, gr.Button]
log = logging.getLogger(__name__)
TELL = "(...inputs) => {{ window.dispatchEvent(new Event('propd-{}')); return inputs; }}"


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
                "name": path.stem,
                "url": url(path),
                "label": f"{words.EXAMPLES.get(kind, kind)} · {method}",
                "title": header.prompt,
            }
        )
    return runs


def composer() -> Controls:
    """Prompt and the two buttons, in one row where there is room."""
    with gr.Row(elem_id="composer", equal_height=True):
        prompt = gr.Textbox(
            settings.PROMPT,
            label=words.PROMPT,
            placeholder=words.PROMPT_HINT,
            lines=2,
            max_lines=5,
            scale=6,
            min_width=240,
        )
        with gr.Column(scale=1, min_width=120, elem_id="go"):
            generate = gr.Button(words.GENERATE, variant="primary")
            stop = gr.Button(words.STOP, variant="secondary", interactive=False)
    return prompt, generate, stop


def buttons(running: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Generate and Stop, of which one can be pressed."""
    return gr.update(interactive=not running), gr.update(interactive=running)


def wire(studio: Studio, controls: Controls, player: gr.HTML) -> None:
    """Generate, Enter and Stop."""
    prompt, generate, stop = controls

    def run(prompt: str, method: str, tokens: float) -> Iterator[Message]:
        try:
            yield from answer(studio.room, prompt, method, int(tokens))
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
        inputs=[prompt, studio.options.method, studio.options.max_new_tokens],
        outputs=[player],
        show_progress="hidden",
        api_name="generate",
        **ONE_AT_A_TIME,
    )
    # "then" alone is not enough: Gradio 6.31 skips it after an error.
    for after in (running.then, running.failure):
        after(end, js=ended, **quick)
    stop.click(end, cancels=[running], js=ended, **quick)


def build(studio: Studio) -> None:
    """The place Watch, inside its tab."""
    controls = composer()
    player = panel("player", "player.js", words.WATCH, traces=recorded_runs(studio.traces))
    wire(studio, controls, player)
