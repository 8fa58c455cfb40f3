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
from app.pages import block, escaped, page
from app.panel import PLOTLY
from app.recorded import recorded_runs
from app.replay import PLAIN
from app.strings import page as titles
from app.strings import runs, watch
from app.strings import site as words
from app.tabs.runs import benchmarks
from app.tabs.runs import props as runs_props
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
        self.readable: list[str] = []

    def put(self, name: str, text: str) -> str:
        """Write a file; its address on the page."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return name

    def share(self, name: str, text: str) -> str:
        """A file that the page reads, as the script that site.js asks for; its address."""
        told = ", ".join(json.dumps(part, ensure_ascii=True) for part in (name, text))
        self.put(f"{name}.js", f"propdFile({told});\n")
        self.readable.append(name)
        return name

    def take(self, path: Path) -> str:
        """Copy a file that the page reads."""
        return self.share(f"files/{path.name}", path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class StaticPlace:
    """What the page must know to mount a place without a server."""

    module: str
    """Of app/player/, as in `panel`."""
    words: Mapping[str, Any]
    props: Mapping[str, Any]
    """As those of `panel`; files among them come from `Files`."""
    answers: Mapping[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    """Of the server's functions that the module calls: (argument, answer), recorded now."""


def watch_place(files: Files) -> StaticPlace:
    """Watch: the recorded runs."""
    traces = recorded_runs(settings.TRACES, files.take)
    return StaticPlace("player.js", watch.WATCH, {"traces": traces, "recorded": True})


def runs_place(files: Files) -> StaticPlace:
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
    return StaticPlace(
        "runs_place.js",
        runs.RUNS,
        {**runs_props(traces), "opens": False, "files": made, "results": results},
        {"benchmarks": [(None, benchmarks(None))]},
    )


PLACES: dict[str, Callable[[Files], StaticPlace]] = {
    "watch": watch_place,
    "runs": runs_place,
}
"""Name, as in `app.tabs.PLACES`, to what tells its part of the page and writes its files."""


def build(out: Path) -> list[Path]:
    """Fill the folder; the files that were written."""
    _clear(out)
    files = Files(out)
    places = {name: place(files) for name, place in PLACES.items()}
    files.put(PLOTLY_FILE, PLOTLY.read_text(encoding="utf-8"))
    files.put("README.md", words.README.format(title=titles.TITLE))
    files.put(MARK, "")
    files.put(".nojekyll", "")  # GitHub Pages would leave some files out
    data = {"places": {name: _told(name, place, files) for name, place in places.items()}}
    files.put("index.html", _index(places, {**data, "files": files.readable}))
    return sorted(path for path in out.rglob("*") if path.is_file())


def _clear(out: Path) -> None:
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise InvalidRequest(
            f"{out} is not empty and was not made by this command; give a new folder with --out."
        )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def _told(name: str, place: StaticPlace, files: Files) -> dict[str, Any]:
    """A place as the page's data has it."""
    answers = {
        function: files.share(f"files/{name}-{function}.json", json.dumps(pairs))
        for function, pairs in place.answers.items()
    }
    props = {**place.props, "words": dict(place.words), "plotly": PLOTLY_FILE}
    return {"props": props, "answers": answers}


def _index(places: Mapping[str, StaticPlace], data: dict[str, Any]) -> str:
    modules = [place.module for place in places.values()]
    mounts = ", ".join(f"{name}: {name_of(place.module)}.mount" for name, place in places.items())
    return page(
        titles.TITLE,
        _body(list(places)),
        style=styles(PLAIN, *sorted(settings.PLAYER.glob("*.css"))),
        scripts=[bundle(settings.PLAYER, *modules, "site.js", call=f"$site.start({{ {mounts} }})")],
        data=[block("propd-site", escaped(data))],
        sources=["'self'", "file:"],
    )


def _body(names: list[str]) -> str:
    """The frame that site.js and places.js know: a tab and a part of the page for each place."""
    tabs = "".join(
        f'<button type="button" role="tab" id="tab-{name}-button" data-place="{name}" '
        f'aria-controls="place-{name}">{escape(titles.PLACES[name])}</button>'
        for name in names
    )
    parts = "".join(
        f'<section role="tabpanel" id="place-{name}" aria-labelledby="tab-{name}-button" hidden>'
        f'<h2 class="propd-unseen">{escape(titles.PLACES[name])}</h2>'
        '<div class="propd-host"></div></section>\n'
        for name in names
    )
    return (
        f'<main class="plain"><header><h1>{escape(titles.TITLE)}</h1><p>{escape(titles.LEAD)}</p>'
        f'</header>\n<div id="places"><div class="plain-tabs" role="tablist">{tabs}</div></div>\n'
        f"{parts}<footer>{escape(words.ABOUT)}</footer>"
        f"<noscript><p>{escape(words.NO_SCRIPT)}</p></noscript></main>"
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
