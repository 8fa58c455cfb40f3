"""A report as one page that needs nothing from anywhere else; every string in it is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from propd.benchmark.figures import PHASES, Total, phase_means, totals
from propd.report.charts import line_chart, stacked_bars
from propd.report.gpu import groups_of
from propd.report.paper import ROWS, TABLES, paper_table
from propd.report.stages import Outcome

STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #bbb;padding:.2rem .6rem;"
    "text-align:right}td:first-child,th:first-child{text-align:left}svg{max-width:100%}"
    ".smoke,.failed{background:#fff3cd;color:#402;padding:.5rem 1rem}"
)
LABELS = dict(ROWS)


def page_of(about: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
    """The page of a checked report."""
    title = f"ProPD report: {about.get('model')}"
    body = "".join(_parts(about, outcomes))
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return (
        f'<!doctype html><html lang="en"><head>{head}</head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def _parts(about: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Iterator[str]:
    if about.get("smoke"):
        yield '<p class="smoke">A smoke run: it shows that the command works, and no figure in it '
        yield "is a result.</p>"
    yield _words(f"Recorded {about.get('recorded')}. Command: {about.get('command')}")
    found = {outcome.name: outcome.found for outcome in outcomes if outcome.found is not None}
    if machine := found.get("machine"):
        yield from _machine(machine)
    yield "<h2>Parity</h2>"
    if layers := found.get("layers in float32"):
        yield _words(
            f"Layers against transformers in float32, {layers['positions']} positions: largest "
            f"difference of a logit {layers['largest_difference']:.2e}, largest logit "
            f"{layers['largest_logit']:.1f}, the same choice at {layers['same_choice']}; "
            f"{'they agree' if layers['agrees'] else 'they do NOT agree'}."
        )
    for name, told in found.items():
        if name.startswith("parity"):
            yield from _parity(name, told)
    yield from _comparison(outcomes)
    yield from _stages(outcomes)


def _machine(told: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Machine</h2>"
    for gpu in told["gpus"]:
        yield _words(
            f"{gpu['name']}, {gpu['memory'] / 1e9:.1f} GB, compute capability "
            f"{gpu['capability']}, {gpu['processors']} multiprocessors."
        )
    if not told["gpus"]:
        yield _words("No GPU.")
    for line in told["smi"]:
        yield _words(f"nvidia-smi: {line}")
    speeds = ", ".join(f"{at} {speed / 1e9:.1f} GB/s" for at, speed in told["bandwidth"].items())
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    yield _words(f"{told['cpu']}. {told['system']}. Memory is read at: {speeds}.")
    yield _words(f"{versions}; CUDA {told['cuda'] or 'none'}, cuDNN {told['cudnn'] or 'none'}.")


def _parity(name: str, told: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h3>{escape(name)}</h3>"
    yield _words(
        f"{told['dtype']}, weights {told['weights']}, {told['prompts']} prompts of "
        f"{told['tokens']} tokens: {told['compared']} texts compared with plain decoding, "
        f"{told['identical']} identical, {told['near_ties']} left it at a proven near-tie, "
        f"{told['different']} differ."
    )
    rows = [["method", *(f"B = {size}" for size in told["batch_sizes"])]]
    for method, by_size in told["by_method"].items():
        cells = [
            f"{counts['identical']}/{counts['compared']}, {counts['near_ties']} near-ties, "
            f"{counts['different']} different"
            for counts in by_size.values()
        ]
        rows.append([LABELS.get(method, method), *cells])
    yield _table(rows)


def _comparison(outcomes: Sequence[Outcome]) -> Iterator[str]:
    groups = groups_of(outcomes, "batch ")
    yield "<h2>Comparison</h2>"
    if not groups:
        yield _words("No batch size ran.")
        return
    found = totals(groups)
    for title, cell, digits in TABLES:
        yield f"<h3>{escape(title)}</h3>{_table(paper_table(found, cell, digits))}"
    sizes = sorted({total.batch for total in found})
    speeds = {label: _line(found, name) for name, label in ROWS if _line(found, name)}
    yield line_chart(speeds, sizes, "rows decoded together", "times AR")
    for size in sizes:
        means = phase_means(group for group in groups if group.batch == size)
        bars = {name: dict(zip(PHASES, values, strict=True)) for (_, name), values in means.items()}
        yield f"<h3>Milliseconds of a step by phase, B = {size}</h3>"
        yield stacked_bars(bars, "ms")
    if peers := totals(groups_of(outcomes, "transformers")):
        rows = [["plain decoding, B = 1", "tokens/s"]]
        rows += [[peer.name, f"{peer.tokens_per_second:.1f}"] for peer in peers]
        yield _table(rows)
    for outcome in outcomes:
        for why in (outcome.found or {}).get("about", {}).get("skipped", []):
            yield _words(f"Skipped in {outcome.name}: {why}.")


def _line(found: Sequence[Total], name: str) -> list[tuple[float, float]]:
    return [(float(total.batch), total.ratio) for total in found if total.name == name]


def _stages(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "<h2>Stages</h2>"
    rows = [["stage", "state", "seconds"]]
    rows += [[outcome.name, outcome.state, f"{outcome.seconds:.1f}"] for outcome in outcomes]
    yield _table(rows)
    for outcome in outcomes:
        if outcome.state == "failed":
            yield f'<p class="failed">{escape(outcome.name)} failed: {escape(outcome.why)}</p>'


def _words(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body)
    return f"<table><tr>{cells}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
