"""A panel: a `gr.HTML` that a module of app/player/ draws into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import plotly

from app import settings
from app.languages import others, table

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
FILES = "/gradio_api/file="
TEMPLATE = '<div class="propd-host"></div>'
"""Static: Gradio runs a template as a script, so token text in one would be executed."""
MOUNT = """
const base = window.gradio_config.root || "";
const language = document.documentElement.lang.split("-")[0];
const given = { ...props, ...props.languages[language] };
Object.defineProperty(given, "value", { get: () => props.value }); // the one that changes
import(base + props.module)
  .then((module) => module.mount(element, given, watch, base, { server, trigger, upload }));
"""
"""The code lives in the module; here it is only told where the server is mounted."""


def url(path: Path) -> str:
    """Where the browser finds a file of `gr.set_static_paths`, without the server's root."""
    return FILES + str(path)


def panel(
    elem_id: str,
    module: str,
    words: str,
    *,
    server: Sequence[Callable[..., Any]] = (),
    **props: Any,
) -> gr.HTML:
    """A place for a module of app/player/ that exports `mount(element, props, watch, base, tools)`.

    words: the name of their table, such as ``watch.WATCH``. Its `props` hold them in the language
    of the page, the address of plotly.js and whatever is given here; it draws into
    ``element.querySelector(".propd-host")`` and gets later values by ``watch("value", ...)``.
    server: functions that the module calls as ``tools.server.name(...)``; anyone on the network
    can call them too, so they must check what they are given.
    """
    return gr.HTML(
        value={},
        html_template=TEMPLATE,
        js_on_load=MOUNT,
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=["propd-panel"],
        server_functions=list(server) or None,
        words=dict(table(words)),
        languages=others(words, props),
        plotly=url(PLOTLY),
        module=url(settings.PLAYER / module),
        **props,
    )
