"""Watch: a prompt, and the run that answers it, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from app import settings
from app.languages import told
from app.options import config_of
from app.panel import panel
from app.performing import Message
from app.recorded import recorded_runs
from app.runs import EngineRoom, answer
from app.strings import page
from app.strings import watch as words
from app.studio import UNSEEN, Studio
from propd.errors import InvalidRequest, ProPDError

Controls = tuple[gr.Textbox, gr.Button, gr.Button]
TELL = "(...inputs) => {{ window.dispatchEvent(new Event('propd-{}')); return inputs; }}"


def composer() -> Controls:
    """Prompt and the two buttons, in one row where there is room."""
    with gr.Row(elem_id="composer", equal_height=True):
        prompt = gr.Textbox(
            settings.PROMPT,
            label=words.PROMPT,
            show_label=False,
            placeholder=words.PROMPT_HINT,
            lines=1,
            max_lines=5,
            scale=6,
            min_width=240,
        )
        with gr.Row(elem_id="go", scale=2):
            generate = gr.Button(words.GENERATE, variant="primary", min_width=100)
            stop = gr.Button(words.STOP, variant="secondary", interactive=False, min_width=80)
    return prompt, generate, stop


def buttons(running: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Generate and Stop, of which one can be pressed."""
    return gr.update(interactive=not running), gr.update(interactive=running)


def branch_of(room: EngineRoom, request: Any) -> tuple[str, str, list[int]]:
    """Prompt, method and beginning that the page asks a new run for, or one sentence.

    The tokens must be of the model that is loaded; whether they are tokens, the engine says.
    """
    names = ("prompt", "method", "model", "continuing")
    if not isinstance(request, dict) or not all(name in request for name in names):
        raise InvalidRequest(words.NO_BRANCH)
    prompt, method, model, continuing = (request[name] for name in names)
    if not isinstance(continuing, list) or not isinstance(method, str):
        raise InvalidRequest(words.NO_BRANCH)
    known = room.about
    if known is not None and model != known.name:
        given = str(model)[:80]
        raise InvalidRequest(words.OTHER_MODEL.format(given=given, model=known.name))
    return prompt, method, continuing


class Actions:
    """What the buttons of this place do."""

    def __init__(self, room: EngineRoom) -> None:
        self.room = room

    def generate(
        self,
        prompt: str,
        method: str,
        max_new_tokens: float,
        temperature: float,
        top_p: float,
        seed: float,
        prune_rule: str,
        prune_top_k: float,
        prune_when: str,
        guesses: str,
        tree_size: float,
    ) -> Iterator[Message]:
        """Answer a prompt: messages with the latest step events, the last one with all."""
        told = (temperature, top_p, seed, prune_rule, prune_top_k, prune_when, guesses, tree_size)
        with toasts():
            yield from answer(self.room, prompt, config_of(method, max_new_tokens, *told))

    def branch(self, request: Any, method: str, *told: Any) -> Iterator[Message]:
        """Go on from a branch: the method of its run, the other settings of the sidebar."""
        with toasts():
            prompt, method, continuing = branch_of(self.room, request)
            yield from answer(self.room, prompt, config_of(method, *told), continuing)

    def what_if(
        self,
        prompt: str,
        continuing: list[int],
        method: str = settings.METHOD,
        max_new_tokens: int = settings.NEW_TOKENS,
    ) -> Iterator[dict[str, Any]]:
        """Answer a prompt, beginning with these token ids; messages as those of /generate."""
        with toasts():
            yield from answer(self.room, prompt, config_of(method, max_new_tokens), continuing)


@contextmanager
def toasts() -> Iterator[None]:
    """An error meant for people reaches the page as a toast, without a traceback."""
    try:
        yield
    except ProPDError as error:
        sentence, title = told(str(error)), told(page.ERROR)
        raise gr.Error(sentence, duration=15, print_exception=False, title=title) from error


def wire(studio: Studio, controls: Controls, player: gr.HTML) -> None:
    """Generate, Enter, Stop, and what the player asks for."""
    prompt, generate, stop = controls
    actions = Actions(studio.room)
    inputs = studio.options.inputs

    def begin() -> tuple[dict[str, Any], dict[str, Any]]:
        return buttons(running=True)

    def end() -> tuple[dict[str, Any], dict[str, Any]]:
        return buttons(running=False)

    def begin_branch(event: gr.EventData) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        return event._data, *buttons(running=True)

    quick: dict[str, Any] = {"queue": False, **UNSEEN}
    run: dict[str, Any] = {"outputs": [player], "show_progress": "hidden", **studio.turns}
    both = [generate, stop]
    asked, ended = TELL.format("asked"), TELL.format("ended")
    # One after the other: side by side, a run that fails at once could be done before the
    # buttons know that it began, and Generate would stay locked.
    begun = gr.on([generate.click, prompt.submit], begin, outputs=both, js=asked, **quick)
    running = begun.then(actions.generate, [prompt, *inputs], api_name="generate", **run)
    request = gr.State()
    branched = player.select(begin_branch, outputs=[request, *both], **quick)
    branching = branched.then(actions.branch, [request, *inputs], api_visibility="private", **run)
    # "then" alone is not enough: Gradio 6.31 skips it after an error.
    for after in (running.then, running.failure, branching.then, branching.failure):
        after(end, outputs=both, js=ended, **quick)
    stop.click(end, outputs=both, cancels=[running, branching], js=ended, **quick)
    gr.api(actions.what_if, api_name="what_if", **studio.turns)


def build(studio: Studio) -> None:
    """The place Watch, inside its tab."""
    controls = composer()
    player = panel("player", "player.js", "watch.WATCH", traces=recorded_runs(studio.traces))
    wire(studio, controls, player)
