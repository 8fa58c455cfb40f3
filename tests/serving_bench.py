"""How many visitors are served, and how long they wait: `python -m tests.serving_bench`.

Not a test: it prints a table. Visitors ask again and again, each waiting for its answer, once with
one engine in the page's process and once with worker processes. Only the ratio says something on a
machine that does other work too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

from gradio_client import Client

from tests.proxies import SHOWN, proxied
from tests.started import App, started

PATIENCE = 600.0
PROMPTS = (
    "Why is the sky blue?",
    "Name three rivers and say where they flow.",
    "Write two sentences about the sea.",
    "How does a bicycle stay upright?",
)


@dataclass(frozen=True)
class Visit:
    """One answer, in seconds from asking."""

    waited: float
    """Until its first tokens."""
    took: float
    """Until its last."""


def visit(client: Client, prompt: str, tokens: int) -> Visit:
    """Ask once and read to the end."""
    began, first = time.monotonic(), None
    job = client.submit(prompt, max_new_tokens=tokens, api_name="/generate")
    for message in job:
        if first is None and message["events"]:
            first = time.monotonic()
    if job.exception() is not None or first is None:
        raise RuntimeError(f"a visitor was not served: {job.exception()}")
    return Visit(first - began, time.monotonic() - began)


def crowd(addresses: list[str], visitors: int, seconds: float, tokens: int) -> list[Visit]:
    """The visits of a crowd that asks for so long; each visitor is held at one replica."""
    until = time.monotonic() + seconds

    def one(number: int) -> list[Visit]:
        client = Client(addresses[number % len(addresses)], verbose=False)
        visits, count = [], number
        while time.monotonic() < until:
            visits.append(visit(client, PROMPTS[count % len(PROMPTS)], tokens))
            count += 1
        return visits

    with ThreadPoolExecutor(visitors) as pool:
        return [one for visits in pool.map(one, range(visitors)) for one in visits]


def ready(app: App) -> None:
    """Wait until every engine of the app has answered once."""
    app.until(app.answers, PATIENCE)
    client = Client(app.address, verbose=False)
    client.predict(PROMPTS[0], max_new_tokens=8, api_name="/generate")


def measure(
    name: str,
    asked: argparse.Namespace,
    replicas: int,
    *arguments: str,
    proxy: str | None = None,
) -> dict[str, Any]:
    """Start it, let the crowd in, and count."""
    variables = {"OMP_NUM_THREADS": str(asked.threads // replicas)}
    with ExitStack() as stack:
        apps = []
        for _ in range(replicas):
            apps.append(stack.enter_context(started(sys.executable, *arguments, **variables)))
            ready(apps[-1])
        time.sleep(asked.settle)  # the last worker may still load
        where = [app.address for app in apps]
        if proxy is not None:  # which holds each visitor by a cookie
            where = [stack.enter_context(proxied(proxy, where))]
        began = time.monotonic()
        visits = crowd(where, asked.visitors, asked.seconds, asked.tokens)
        took = time.monotonic() - began
        held = sum(app.memory.now() for app in apps)
    waited = sorted(visit.waited for visit in visits)
    return {
        "name": name,
        "visits": len(visits),
        "visits a minute": round(60 * len(visits) / took, 1),
        "waited, median": round(median(waited), 2),
        "waited, longest": round(waited[-1], 2),
        "answer, median": round(median(visit.took for visit in visits), 2),
        "gigabytes": round(held / 1e9, 2),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.serving_bench", description=__doc__)
    parser.add_argument("--visitors", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60, help="for which they ask, each time")
    parser.add_argument("--tokens", type=int, default=48, help="of each answer")
    parser.add_argument("--threads", type=int, default=2, help="of all engines together")
    parser.add_argument("--settle", type=float, default=20, help="seconds before they come")
    parser.add_argument(
        "--proxy", choices=list(SHOWN), action="append", default=[], help="replicas behind it, too"
    )
    asked = parser.parse_args()
    each = str(asked.threads // 2)
    rows = [
        measure("one engine in the page's process", asked, 1),
        measure("two worker processes", asked, 1, "--workers", "2", "--threads", each),
        measure("two replicas, each visitor held by one", asked, 2),
        *(measure(f"two replicas behind {proxy}", asked, 2, proxy=proxy) for proxy in asked.proxy),
    ]
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n|" + " --- |" * len(names))
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in names) + " |")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
