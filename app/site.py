"""The studio as plain files that need no server: `python -m app.site [--out FOLDER]`.

A line in `PLACES` adds a place. What a place shows here was recorded; nothing runs a model.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from app import settings
from app.bundle import bundle, name_of, styles
from app.files import FORMS
from app.languages import LANGUAGES, others, table, tables
from app.pages import block, escaped, page, without_script
from app.panel import PLOTLY
from app.recorded import recorded_runs
from app.replay import PLAIN
from app.strings import site as words
from app.tabs import compare as compare_tab
from app.tabs import lab as lab_tab
from app.tabs import learn as learn_tab
from app.tabs import runs as runs_tab
from propd.errors import InvalidRequest, ProPDError
from propd.trace import load

MARK = ".propd-site"
"""In a folder that this program made, and may therefore make anew."""
PLOTLY_FILE = "plotly.min.js"
ENDINGS = {
    "json": "json",
    "html": "html",
    "csv": "csv",
    "nodes": "nodes.csv",
    "graphml": "graphml",
}


class Files:
    """The folder that is being filled, and what of it the page may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shared: dict[str, str] = {}
        """Name to text of what the page may read."""

    def put(self, name: str, text: str) -> str:
        """Write a file; its address on the page."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return name

    def share(self, name: str, text: str) -> str:
        """A file that the page reads, as the script that site.js asks for; its address.

        Places may share the same file.
        """
        if self.shared.setdefault(name, text) != text:
            raise ValueError(f"Two files of the site are called {name}.")
        told = ", ".join(json.dumps(part, ensure_ascii=True) for part in (name, text))
        self.put(f"{name}.js", f"propdFile({told});\n")
        return name

    def take(self, path: Path) -> str:
        """Copy a file that the page reads."""
        return self.share(f"files/{path.name}", path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class StaticPanel:
    """What the page must know to mount a panel without a server."""

    module: str
    """Of app/player/, as in `panel`."""
    words: str
    """The name of their table."""
    props: Mapping[str, Any]
    """As those of `panel`; files among them come from `Files`."""
    answers: Mapping[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    """Of the server's functions that the module calls: (argument, answer), recorded now."""


def watch_place(files: Files) -> list[StaticPanel]:
    """Watch: the recorded runs."""
    traces = recorded_runs(settings.TRACES, files.take)
    return [StaticPanel("player.js", "watch.WATCH", {"traces": traces, "recorded": True})]


def learn_place(files: Files) -> list[StaticPanel]:
    """Learn: all of it."""
    traces = recorded_runs(settings.TRACES, files.take)
    return [StaticPanel("learn.js", "learn.LEARN", learn_tab.props(traces, files.take))]


def lab_place(files: Files) -> list[StaticPanel]:
    """Lab: answers of the planner, computed now for what can be moved there."""
    return [StaticPanel("lab.js", "lab.LAB", lab_tab.static_props(files.share))]


def compare_place(files: Files) -> list[StaticPanel]:
    """Compare: the recorded race and the recorded batches."""
    race, batches = compare_tab.props(files.take)
    return [
        StaticPanel("compare.js", "compare.COMPARE_WORDS", race),
        StaticPanel("batch.js", "compare.BATCH_WORDS", {**batches, "heading": True}),
    ]


def runs_place(files: Files) -> list[StaticPanel]:
    """Runs: the recorded ones in every form, and the shipped benchmark."""
    traces = recorded_runs(settings.TRACES, files.take)
    made = {}
    for one in traces:
        trace = load(settings.TRACES / f"{one['name']}.json")
        made[one["name"]] = {
            form: files.put(f"runs/{one['name']}.{ENDINGS[form]}", make(trace, None, False))
            for form, make in FORMS.items()
        }
    results = {
        path.stem: files.put(f"files/{path.name}", path.read_text(encoding="utf-8"))
        for path in sorted(settings.DOCS.glob("benchmark*.json"))
    }
    props = {**runs_tab.props(traces), "opens": False, "files": made, "results": results}
    answers = {"benchmarks": [(None, runs_tab.benchmarks(None))]}
    return [StaticPanel("runs_place.js", "runs.RUNS", props, answers)]


PLACES: dict[str, Callable[[Files], list[StaticPanel]]] = {
    "watch": watch_place,
    "compare": compare_place,
    "learn": learn_place,
    "lab": lab_place,
    "runs": runs_place,
}
"""Name, as in `app.tabs.PLACES`, to what tells the panels of its part and writes their files."""


def build(out: Path) -> list[Path]:
    """Fill the folder; the files that were written."""
    _clear(out)
    files = Files(out)
    places = {name: place(files) for name, place in PLACES.items()}
    files.put(PLOTLY_FILE, PLOTLY.read_text(encoding="utf-8"))
    files.put("README.md", words.README.format(title=words.FRAME["title"]))
    files.put(".nojekyll", "")  # GitHub Pages would leave some files out
    data = {
        "names": LANGUAGES,
        "frame": tables("site.FRAME"),
        "places": {
            name: [_told(name, panel, files) for panel in panels] for name, panels in places.items()
        },
    }
    files.put("index.html", _index(places, {**data, "files": list(files.shared)}))
    return sorted(path for path in out.rglob("*") if path.is_file())


def _clear(out: Path) -> None:
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise InvalidRequest(words.NOT_OURS.format(out=out))
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARK).touch()  # first of all: what breaks off can be made anew


def _told(name: str, panel: StaticPanel, files: Files) -> dict[str, Any]:
    """A panel as the page's data has it."""
    answers = {
        function: files.share(f"files/{name}-{function}.json", json.dumps(pairs))
        for function, pairs in panel.answers.items()
    }
    props = {**panel.props, "words": dict(table(panel.words)), "plotly": PLOTLY_FILE}
    spoken = others(panel.words, panel.props)
    return {"module": panel.module, "props": props, "languages": spoken, "answers": answers}


def _index(places: Mapping[str, list[StaticPanel]], data: dict[str, Any]) -> str:
    modules = list(dict.fromkeys(panel.module for panels in places.values() for panel in panels))
    mounts = ", ".join(f"{json.dumps(module)}: {name_of(module)}.mount" for module in modules)
    return page(
        words.FRAME["title"],
        _body(list(places)),
        style=styles(PLAIN, *sorted(settings.PLAYER.glob("*.css"))),
        scripts=[bundle(settings.PLAYER, *modules, "site.js", call=f"$site.start({{ {mounts} }})")],
        data=[block("propd-site", escaped(data))],
        sources=["'self'", "file:"],
    )


def _body(names: list[str]) -> str:
    """The frame that site.js and places.js know: a tab and a part of the page for each place."""
    say = {name: escape(text) for name, text in words.FRAME.items()}
    tabs = "".join(
        f'<button type="button" role="tab" id="tab-{name}-button" data-place="{name}" '
        f'aria-controls="place-{name}" data-say="{name}">{say[name]}</button>'
        for name in names
    )
    parts = "".join(
        f'<section role="tabpanel" id="place-{name}" aria-labelledby="tab-{name}-button" hidden>'
        f'<h2 class="propd-unseen" data-say="{name}">{say[name]}</h2></section>\n'
        for name in names
    )
    return (
        f'<main class="plain"><header><h1 data-say="title">{say["title"]}</h1>'
        f'<p data-say="lead">{say["lead"]}</p></header>\n'
        f'<div id="places"><div class="plain-tabs" role="tablist">{tabs}</div></div>\n'
        f'{parts}<footer data-say="about">{say["about"]}</footer>'
        f"<noscript>{without_script('site.FRAME')}</noscript></main>"
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m app.site", description=words.COMMAND)
    parser.add_argument("--out", type=Path, default=settings.ROOT / "build" / "static")
    out = parser.parse_args().out
    try:
        written = build(out)
    except ProPDError as error:
        print(error, file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in written)
    print(f"{len(written)} files, {size / 1e6:.1f} MB, in {out}; open {out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
