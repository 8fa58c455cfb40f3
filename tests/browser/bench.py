"""The promises of the page, measured in real Chromium: `python -m tests.browser.bench`.

Not a test: it fails nothing and prints a table. It needs the default model and a quiet machine.
"""

from __future__ import annotations

import json
import statistics
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
from playwright.sync_api import Browser, Page

import propd
from app import settings
from app.runs import EngineRoom
from propd.core import DecodingConfig
from tests.browser.pages import chromium, served

NODES, STEPS, SCRUBBED = 32, 500, 200
NODES_OF_A_VISITOR, TOKENS_OF_A_VISITOR, STREAMED = 6, 128, 7
PROMPT = "Tell a long story about a fox who learned to read."
MARKS = ".propd-tree .points path"
WATCH_FIRST = f"""new MutationObserver((_, seen) => {{
  if (!document.querySelector({MARKS!r})) return;
  window.firstPicture = performance.now();
  seen.disconnect();
}}).observe(document, {{ childList: true, subtree: true }});"""
BIG_STEP = """(nodes) => {
  const columns = { fate: "r", token_id: [1], parent: [-1], depth: [0], rank: [0], value: [1],
    draft_probability: [null], text: [" root"], choice_id: [2], choice_text: [" a"] };
  for (let i = 1; i < nodes; i++) {
    const parent = Math.floor((i - 1) / 3);
    columns.fate += i === 1 ? "a" : "xp"[i % 2 && parent > 0 ? 1 : 0];
    const depth = columns.depth[parent] + 1;
    for (const [name, value] of Object.entries({ token_id: i, parent, depth, rank: i % 3,
      value: 1 / i, draft_probability: 0.3, text: " token" + i, choice_id: 3,
      choice_text: " other" })) columns[name].push(value);
  }
  const step = propdPlayer.run.events.findIndex((event) => event.bonus && event.index > 0);
  const event = propdPlayer.run.events[step];
  const bonus = { ...event.bonus, parent: [1], depth: [2] };
  return { ...event, nodes: columns, bonus, accepted: [1], prune_layer: 4, prune_top_k: 50 };
}"""
DRAW = f"""async (nodes) => {{
  const event = ({BIG_STEP})(nodes), player = propdPlayer, taken = [];
  player.go(event.index);
  for (let k = 0; k < 200; k++) {{
    await new Promise(requestAnimationFrame);
    player.run.events[event.index] = {{ ...event, nodes: {{ ...event.nodes }} }};
    const began = performance.now();
    player.draw();
    player.parts.root.getBoundingClientRect(); // and its layout
    taken.push(performance.now() - began);
  }}
  return taken;
}}"""
SCRUB = """async (steps) => {
  const player = propdPlayer, taken = [], seen = new Set();
  const events = Array.from({ length: steps }, (_, index) =>
    ({ ...player.run.events[1 + (index % (player.run.events.length - 1))], index }));
  player.show({ ...player.run, name: undefined, events }, 0);
  await new Promise(requestAnimationFrame);
  for (let step = 0; step < steps; step++) {
    player.parts.scrub.value = step;
    player.parts.scrub.dispatchEvent(new Event("input"));
    await new Promise(requestAnimationFrame);
    const began = performance.now();
    player.draw();
    player.parts.root.getBoundingClientRect();
    taken.push(performance.now() - began);
    seen.add(player.parts.scrub.getAttribute("aria-valuetext"));
  }
  return [taken, steps - seen.size];
}"""


class LongEngine:
    """The engine at the size of tree that is asked about, and without an end of the text."""

    def __init__(self, engine: propd.Engine) -> None:
        self.engine = engine
        self.nodes = NODES
        self.seconds = 0.0
        """Of the last run, from its prefill to its last step."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def stream(self, prompt: str, config: DecodingConfig, **more: Any) -> Iterator[Any]:
        config = replace(config, ignore_eos=True, tree_size=self.nodes)
        began = None
        for event in self.engine.stream(prompt, config, **more):
            began = event.elapsed_s if began is None else began
            self.seconds = event.elapsed_s - began
            yield event
            if event.index == STEPS:
                return


def first_pictures(browser: Browser, address: str, times: int = 7) -> list[float]:
    """Seconds from opening the page, with nothing cached, to the first tree of a recorded run."""
    seconds = []
    for _ in range(times):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.add_init_script(WATCH_FIRST)
        page.goto(address)
        page.wait_for_function("window.firstPicture", timeout=120_000)
        seconds.append(page.evaluate("window.firstPicture") / 1000)
        context.close()
    return seconds


def messages(address: str, tokens: int) -> Iterator[str]:
    """What the app sends, line by line, while it answers a request that no browser shows."""
    config = httpx.get(f"{address}config").json()
    function = next(d["id"] for d in config["dependencies"] if d["api_name"] == "generate")
    values = [PROMPT, "propd", tokens, 0, 1, 0, "topk", 0, "always", "auto", 0]
    session = uuid.uuid4().hex
    httpx.post(
        f"{address}gradio_api/queue/join",
        json={"data": values, "fn_index": function, "session_hash": session},
    ).raise_for_status()
    url = f"{address}gradio_api/queue/data?session_hash={session}"
    with httpx.stream("GET", url, timeout=600) as stream:
        for line in stream.iter_lines():
            if '"process_completed"' in line:
                return
            if '"process_generating"' in line:
                yield line


def payloads(address: str) -> tuple[float, int]:
    """Bytes a step on the wire while a run streams, mean and worst message by its new steps."""
    lines = [*messages(address, 96)]
    sizes = [len(line) for line in lines]
    steps = sum(line.count('"kind"') for line in lines)
    return sum(sizes[1:]) / max(1, steps - 1), max(sizes[1:])


def streaming(page: Page, engine: LongEngine, address: str) -> dict[str, list[float]]:
    """Seconds of one run: by itself, sent by the app, and sent to a page that draws it."""
    engine.nodes = NODES_OF_A_VISITOR
    config = DecodingConfig(max_new_tokens=TOKENS_OF_A_VISITOR, prune_when="always")
    page.get_by_label("Max tokens").first.fill(str(TOKENS_OF_A_VISITOR))
    page.locator("#composer textarea").fill(PROMPT)

    def drawn() -> None:
        before = page.evaluate("propdPlayer.runs.count")
        page.get_by_role("button", name="Generate").click()
        done = "(n) => propdPlayer.runs.count > n && propdPlayer.runs.newest.state === 'done'"
        page.wait_for_function(done, arg=before, timeout=600_000)

    ways = {
        "alone": lambda: [*engine.stream(PROMPT, config)],
        "sent": lambda: [*messages(address, TOKENS_OF_A_VISITOR)],
        "drawn": drawn,
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(STREAMED + 1):
        for name, run in ways.items():
            run()
            took[name] += [engine.seconds] if turn else []
    engine.nodes = NODES
    return took


def heap(page: Page) -> float:
    """Megabytes of JavaScript objects that are in use."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def long_run(page: Page) -> dict[str, float]:
    """A run of 500 steps, followed, then scrubbed through twice: memory, and the longest pause."""
    told = {"before": heap(page)}
    page.evaluate(
        """() => { window.pauses = []; let last = performance.now();
        const tick = () => { const now = performance.now(); window.pauses.push(now - last);
          last = now; requestAnimationFrame(tick); }; tick(); }"""
    )
    page.locator("#composer textarea").fill(PROMPT)
    page.get_by_role("button", name="Generate").click()
    page.wait_for_function(
        "propdPlayer.runs.newest && propdPlayer.runs.newest.state === 'done'", timeout=600_000
    )
    told["steps"] = page.evaluate("propdPlayer.runs.newest.events.length - 1")
    pauses = sorted(page.evaluate("window.pauses"))
    told["pause_p99"] = pauses[int(0.99 * len(pauses))]
    told["ran"] = heap(page)
    for name in ("once", "twice"):
        page.evaluate(
            """async () => { for (let i = 0; i < propdPlayer.run.events.length; i++) {
              propdPlayer.go(i); await new Promise(requestAnimationFrame); } }"""
        )
        told[name] = heap(page)
    return told


def row(promise: str, limit: str, measured: str) -> None:
    print(f"| {promise} | {limit} | {measured} |", flush=True)


def median(milliseconds: list[float]) -> str:
    return f"{statistics.median(milliseconds):.1f} ms median"


def opened(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.wait_for_selector(MARKS, state="attached")
    page.wait_for_selector(".propd-timeline-chart .plot-container", state="attached")
    return page


def measure(browser: Browser, address: str, engine: LongEngine) -> None:
    """Every promise, one row each."""
    print("| promise | figure | measured |\n| --- | --- | --- |")
    seconds = first_pictures(browser, address)
    told = f"{statistics.median(seconds):.2f} s median, {max(seconds):.2f} s at worst"
    row("first picture of a recorded run", "under 2 s", told)
    page = opened(browser, address)
    row("one step of 64 nodes drawn", "under 16 ms median", median(page.evaluate(DRAW, 64)))
    taken, dropped = page.evaluate(SCRUB, SCRUBBED)
    row(f"scrub through {SCRUBBED} steps", "none dropped", f"{median(taken)}, {dropped} dropped")
    page.close()
    mean, most = payloads(address)
    told = f"{mean / 1000:.2f} kB mean, {most / 1000:.2f} kB largest message"
    row(f"payload a step of {NODES} nodes", "under 4 kB", told)
    page = opened(browser, address)
    took = streaming(page, engine, address)
    page.close()
    for way, promise in {"sent": "by streaming", "drawn": "by streaming and drawing"}.items():
        ratios = [a / b for a, b in zip(took[way], took["alone"], strict=True)]
        told = f"{statistics.median(ratios) - 1:+.1%} median, {max(ratios) - 1:+.1%} at worst"
        row(f"decode time added {promise}", "under 5%", told)
    page = opened(browser, address)
    told_run = long_run(page)
    row(
        f"run of {told_run['steps']} steps",
        "memory stable",
        "{before:.1f} MB before, {ran:.1f} after, {once:.1f} and {twice:.1f} scrubbed through; "
        "99% of pauses under {pause_p99:.0f} ms".format(**told_run),
    )
    page.close()


def main() -> None:
    """Serve the app with the default model, and measure it."""
    settings.MAX_NEW_TOKENS = 4 * STEPS
    settings.NEW_TOKENS = 4 * STEPS
    room = EngineRoom()
    engine = propd.load(settings.MODEL, report=print)
    room.engine = long = LongEngine(engine)
    room.done.set()
    with served(room) as address, chromium("--js-flags=--expose-gc") as browser:
        measure(browser, address, long)
    print(json.dumps({"machine": engine.describe()["machine"]}))


if __name__ == "__main__":
    main()
