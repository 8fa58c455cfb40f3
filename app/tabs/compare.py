"""Compare: methods on one prompt as a race, and batches of several sizes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from app import settings, sidebar
from app.batching import Sweep, plan
from app.comparing import Comparison, question
from app.panel import panel, url
from app.performing import Message, Summed
from app.runs import EngineRoom, attend
from app.strings import compare as words
from app.strings.watch import PROMPT, PROMPT_HINT, STOP
from app.studio import UNSEEN, Studio
from app.tabs.watch import TELL, buttons, toasts
from propd.methods import METHODS

Task = Comparison | Sweep
log = logging.getLogger(__name__)


def recorded(folder: Path, address: Callable[[Path], str] = url) -> list[dict[str, str]]:
    """The recorded files on offer: where each is and what to call it; a broken one is skipped."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            header = json.loads(path.read_text(encoding="utf-8"))["header"]
            title = str(header.get("prompt", ""))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("%s is left out: %s", path.name, error)
            continue
        kind = path.stem.split("-")[-1]
        label = words.EXAMPLES.get(kind, kind)
        found.append({"name": path.stem, "url": address(path), "label": label, "title": title})
    return found


def props(address: Callable[[Path], str] = url) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the two panels are given. address: of a recorded file."""
    labels = {name: method.label for name, method in METHODS.items()}
    race = {"comparisons": recorded(settings.COMPARISONS, address), "labels": labels}
    return race, {"batches": recorded(settings.BATCHES, address)}


def go_and_stop(go: str) -> tuple[gr.Button, gr.Button]:
    """The two buttons of a composer, one above the other."""
    with gr.Column(scale=1, min_width=120, elem_classes=["propd-go"]):
        return (
            gr.Button(go, variant="primary"),
            gr.Button(STOP, variant="secondary", interactive=False),
        )


def wire(
    name: str, go: list[Any], stop: gr.Button, run: Any, inputs: list[Any], out: Any, turns: Any
) -> None:
    """What starts a run, what stops it, and that the page is told of both.

    go: the button first, then other components whose submission starts it. turns: `Studio.turns`.
    """
    quick: dict[str, Any] = {"outputs": [go[0], stop], "queue": False, **UNSEEN}
    begun = gr.on(
        [go[0].click, *(component.submit for component in go[1:])],
        lambda: buttons(running=True),
        js=TELL.format(f"{name}-asked"),
        **quick,
    )
    running = begun.then(run, inputs, [out], **UNSEEN, **turns)
    ended: dict[str, Any] = {"js": TELL.format(f"{name}-ended"), **quick}
    for after in (running.then, running.failure):  # Gradio 6.31 skips "then" after an error
        after(lambda: buttons(running=False), **ended)
    stop.click(lambda: buttons(running=False), cancels=[running], **ended)


def live(room: EngineRoom, make: Callable[[], Task]) -> Iterator[Message]:
    """The messages of work, which is made of what a visitor asks."""
    with toasts():
        yield from attend(room, make())


def finished(room: EngineRoom, make: Callable[[], Task]) -> Message:
    """The summary of work, done while the caller waits."""
    with toasts():
        *_, summary = attend(room, Summed(make()))
        return summary


def offer_methods(studio: Studio, methods: gr.CheckboxGroup) -> None:
    """Once the model is known, offer what it can run."""

    async def offered() -> dict[str, Any]:
        while not studio.room.done.is_set():
            await asyncio.sleep(0.5)
        choices = sidebar.choices(studio.room)
        if len(choices) == len(METHODS):
            return gr.skip()
        names = [name for _, name in choices]
        kept = [name for name in settings.COMPARED if name in names]
        return gr.update(choices=choices, value=kept or names)

    gr.on(None, offered, None, [methods], concurrency_limit=None, **UNSEEN)


def build_race(studio: Studio) -> None:
    """Methods one after another on one prompt."""
    with gr.Row(equal_height=True, elem_id="compare-composer"):
        prompt = gr.Textbox(
            settings.PROMPT,
            label=PROMPT,
            placeholder=PROMPT_HINT,
            lines=1,
            max_lines=5,
            scale=6,
            min_width=240,
        )
        go, stop = go_and_stop(words.COMPARE)
    with gr.Accordion(words.METHODS_AND_REPEATS, open=False):
        methods = gr.CheckboxGroup(
            sidebar.choices(studio.room),
            value=list(settings.COMPARED),
            label=words.METHODS,
            info=words.METHODS_INFO,
        )
        with gr.Row():
            repeats = gr.Slider(
                1, settings.MAX_REPEATS, 1, step=1, label=words.REPEAT, info=words.REPEAT_INFO
            )
            acceptance = gr.Radio(
                words.ACCEPTANCES,
                value="exact",
                label=words.ACCEPTANCE,
                info=words.ACCEPTANCE_INFO,
            )
    race = panel(
        "compare",
        "compare.js",
        "compare.COMPARE_WORDS",
        **props()[0],
    )

    def run(prompt: str, *asked: Any) -> Iterator[Message]:
        yield from live(studio.room, lambda: Comparison(question(prompt, *asked)))

    options = studio.options
    sampling = [options.temperature, options.top_p, options.seed]
    inputs = [prompt, methods, options.max_new_tokens, repeats, acceptance, *sampling]
    wire("compare", [go, prompt], stop, run, inputs, race, studio.turns)
    offer_methods(studio, methods)


def build_batches(studio: Studio) -> None:
    """The same prompts, so many at a time."""
    gr.Markdown(f"## {words.BATCH_TITLE}\n{words.BATCH_LEAD}", elem_id="batch-lead")
    with gr.Row(elem_id="batch-composer"):
        prompts = gr.Textbox(
            words.BATCH_PROMPTS,
            label=words.BATCH_PROMPTS_LABEL,
            info=words.BATCH_PROMPTS_INFO,
            lines=4,
            max_lines=4,
            scale=4,
            min_width=240,
        )
        sizes = gr.CheckboxGroup(
            list(settings.BATCH_SIZES),
            value=list(settings.BATCHED),
            label=words.BATCH_SIZES,
            info=words.BATCH_SIZES_INFO,
            scale=2,
            min_width=200,
        )
        go, stop = go_and_stop(words.RUN_BATCHES)
    batches = panel("batches", "batch.js", "compare.BATCH_WORDS", **props()[1])

    def run(prompts: str, sizes: Any, method: str, tokens: float) -> Iterator[Message]:
        yield from live(studio.room, lambda: Sweep(plan(prompts, sizes, method, tokens)))

    options = studio.options
    inputs = [prompts, sizes, options.method, options.max_new_tokens]
    wire("batches", [go], stop, run, inputs, batches, studio.turns)


def build_api(studio: Studio) -> None:
    """The same for programs (`gradio_client`): one answer at the end, as plain JSON."""
    room = studio.room

    def compare(
        prompt: str,
        methods: list[str] = list(settings.COMPARED),  # noqa: B006 (Gradio reads the default)
        max_new_tokens: int = settings.NEW_TOKENS,
        repeats: int = 1,
        acceptance: str = "exact",
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Run several decoding methods on one prompt, one after another, and measure them.

        For each method: its text, whether that is the text of plain decoding or where it first
        differs, tokens per second and speed-up (median, least, greatest over the repeats), tokens
        per pass, mean tree size, nodes verified per token, pruned share, milliseconds by phase.
        """
        sampling = (temperature, top_p, seed)
        asked = (prompt, methods, max_new_tokens, repeats, acceptance, *sampling)
        return finished(room, lambda: Comparison(question(*asked)))

    def batches(
        prompts: str = words.BATCH_PROMPTS,
        sizes: list[int] = list(settings.BATCHED),  # noqa: B006
        method: str = settings.METHOD,
        max_new_tokens: int = settings.NEW_TOKENS,
    ) -> dict[str, Any]:
        """Decode prompts (one a line) together, so many at a time, and measure each batch size."""
        return finished(room, lambda: Sweep(plan(prompts, sizes, method, max_new_tokens)))

    gr.api(compare, api_name="compare", **studio.turns)
    gr.api(batches, api_name="batches", **studio.turns)


def build(studio: Studio) -> None:
    """The place Compare, inside its tab."""
    gr.set_static_paths([settings.COMPARISONS, settings.BATCHES])
    build_race(studio)
    build_batches(studio)
    build_api(studio)
