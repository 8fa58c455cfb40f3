"""From a clean environment to the first picture and the first answer: `python -m tests.cold_start`.

Not a test: it prints a table. It needs Chromium and, as the app itself does, the package index.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser.pages import chromium
from tests.started import ROOT, App, started

PICTURE = ".propd-tree .points path"
PATIENCE = 600.0
TITLES = {
    "installing": "environment of requirements.txt alone, packages in pip's cache",
    "page": "start to served page",
    "picture": "start to first picture, a recorded run",
    "model": "start to loaded model",
    "first answer": "first live answer, from asking to its end",
    "loading": "peak memory until the model is loaded",
    "all": "peak memory, first answer included",
    "idle": "memory afterwards",
}
ABOUT = (
    "import json, platform, torch; print(json.dumps([platform.python_version(), torch.__version__, "
    "torch.get_num_threads()]))"
)


def arguments() -> argparse.Namespace:
    """What is measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.cold_start", description=__doc__)
    parser.add_argument(
        "--python", default=sys.executable, help="an environment's Python, or with --clean its base"
    )
    parser.add_argument(
        "--clean", action="store_true", help="make an environment of requirements.txt alone first"
    )
    parser.add_argument(
        "--cache", type=Path, help="a folder with the model; none: it is fetched and converted"
    )
    parser.add_argument("--threads", type=int, default=2, help="of the app (default: 2)")
    parser.add_argument("--tokens", type=int, default=48, help="of the first answer")
    return parser.parse_args()


@contextmanager
def environment(base: str, clean: bool) -> Iterator[tuple[str, float]]:
    """(its Python, seconds that installing took)."""
    if not clean:
        yield base, 0.0
        return
    with tempfile.TemporaryDirectory(prefix="propd-clean-") as folder:
        began = time.monotonic()
        subprocess.run([base, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        install = [python, "-m", "pip", "install", "-q", "-r", str(ROOT / "requirements.txt")]
        subprocess.run(install, check=True)
        yield python, time.monotonic() - began


def first_picture(app: App) -> tuple[dict[str, float], bool]:
    """Seconds from the start to the served page, to its first tree, and to the loaded model; and
    whether the tree was there before the model."""
    served = app.until(app.answers, PATIENCE)
    with chromium() as browser:
        page = browser.new_page()
        page.goto(app.address)
        page.wait_for_selector(PICTURE, state="attached", timeout=1000 * PATIENCE)
        pictured = app.since()
        status = page.locator("#model-status")
        loading = status.inner_text()
        app.until(lambda: "Loading" not in status.inner_text(), PATIENCE)
        ready = app.since()
        if "is ready" not in status.inner_text():
            raise RuntimeError(status.inner_text())
    return {"page": served, "picture": pictured, "model": ready}, "Loading" in loading


def first_answer(app: App, tokens: int) -> dict[str, float]:
    """Seconds that the first run took, as a program asks for it."""
    from gradio_client import Client

    client = Client(app.address, verbose=False)
    began = time.monotonic()
    last = client.predict("Why is the sky blue?", max_new_tokens=tokens, api_name="/generate")
    if last["phase"] != "done":
        raise RuntimeError(f"the first run ended as {last['phase']}")
    return {"first answer": time.monotonic() - began}


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """All of it, once."""
    with (
        environment(asked.python, asked.clean) as (python, installing),
        tempfile.TemporaryDirectory(prefix="propd-cache-") as empty,
    ):
        threads = str(asked.threads)
        variables = {"PROPD_CACHE": str(asked.cache or empty), "OMP_NUM_THREADS": threads}
        told = subprocess.run(
            [python, "-c", ABOUT], check=True, capture_output=True, text=True,
            env={**os.environ, **variables},
        ).stdout  # fmt: skip
        with started(python, **variables) as app:
            found, early = first_picture(app)
            loading = app.memory.peak
            found |= first_answer(app, asked.tokens)
            memory = {"loading": loading, "all": app.memory.peak, "idle": app.memory.now()}
    version, torch, used = json.loads(told)
    about = {"python": version, "torch": torch, "threads": used, "machine": platform.machine()}
    if asked.clean:
        found = {"installing": installing, **found}
    return {
        "about": {
            **about,
            "cores": os.cpu_count(),
            "model": "cached" if asked.cache else "fetched",
        },
        "picture before model": early,
        "seconds": {name: round(value, 1) for name, value in found.items()},
        "gigabytes": {name: round(value / 1e9, 2) for name, value in memory.items()},
    }


def main() -> None:
    """The command."""
    told = measure(arguments())
    print("| what | measured |\n| --- | --- |")
    for name, seconds in told["seconds"].items():
        print(f"| {TITLES[name]} | {seconds} s |")
    for name, gigabytes in told["gigabytes"].items():
        print(f"| {TITLES[name]} | {gigabytes} GB |")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
