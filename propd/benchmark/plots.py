"""A benchmark as pictures: one page that needs nothing from anywhere else."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from math import log2
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from propd.benchmark.figures import PHASES, Group, Total, phase_means, promise_means
from propd.benchmark.plan import PLAIN
from propd.benchmark.results import Results

COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5",
           "#9c6b4e", "#9498a0", "#1b5e20", "#7f0000", "#000000")  # fmt: skip
Picture = tuple[str, str, go.Figure]
"""(title, what to read in it, figure)."""


def write_plots(path: Path, results: Results) -> None:
    """Write the page."""
    about = results.about
    title = f"Benchmark of {about.get('model')}, {about.get('dtype')}, {about.get('machine')}"
    parts = [f"<h1>{html.escape(title)}</h1>"]
    scripts: bool = True  # the library stands in the page once, before the first picture
    for name, words, figure in pictures(results):
        drawn = figure.to_html(
            full_html=False, include_plotlyjs=scripts, config={"displaylogo": False}
        )
        parts.append(f"<h2>{html.escape(name)}</h2><p>{html.escape(words)}</p>{drawn}")
        scripts = False
    style = "body{font-family:sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem}"
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{style}</style>'
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'
    path.write_text(page, encoding="utf-8")


def pictures(results: Results) -> Iterator[Picture]:
    """All pictures that these results can fill."""
    yield (
        "Speed",
        "Tokens per second over those of plain decoding, prefill included, by prompts decoded "
        "together. Bars: ratio of totals; whiskers: 10th and 90th percentile group by group.",
        speeds(results.totals),
    )
    yield (
        "Where the time of a step goes",
        "Mean milliseconds of a pass by phase; the prefill is not in it.",
        phases(results.groups),
    )
    yield (
        "Tokens per pass against time per token",
        "After the first tokens. Further right: more guesses came true; further down: faster.",
        trade(results.totals),
    )
    for name in dict.fromkeys(group.name for group in results.groups if group.sizes):
        yield (
            f"Expected and measured: {name}",
            "L(n), the tokens of a step, and T(n), its milliseconds, by the size that was chosen, "
            "all prompts of a batch together. Dotted: expected before the step; full: measured.",
            promises([group for group in results.groups if group.name == name]),
        )


def speeds(found: Sequence[Total]) -> go.Figure:
    """Speed-up by method and batch size."""
    figure = go.Figure()
    for spot, name in enumerate(_names(found)):
        mine = [total for total in found if total.name == name]
        bars = [total.ratio for total in mine]
        ends = [(t.ratio_low, t.ratio_high) for t in mine]
        whiskers = {
            "type": "data",
            "symmetric": False,
            # the ratio of totals may lie outside the percentiles of a few groups
            "array": [max(0, (e[1] or b) - b) for e, b in zip(ends, bars, strict=True)],
            "arrayminus": [max(0, b - (e[0] or b)) for e, b in zip(ends, bars, strict=True)],
        }
        figure.add_bar(
            x=[f"batch {total.batch}" for total in mine], y=bars, name=name,
            error_y=None if name == PLAIN else whiskers, marker_color=_colour(spot),
        )  # fmt: skip
    figure.add_hline(y=1, line_dash="dot")
    return _finished(figure, "", "times plain decoding", barmode="group")


def phases(groups: Sequence[Group]) -> go.Figure:
    """Stacked milliseconds of a pass by method and batch size."""
    means = phase_means(groups)
    places = [[f"batch {batch}" for batch, _ in means], [name for _, name in means]]
    figure = go.Figure()
    for spot, phase in enumerate(PHASES):
        heights = [values[spot] for values in means.values()]
        figure.add_bar(x=places, y=heights, name=phase, marker_color=_colour(spot))
    return _finished(figure, "", "milliseconds a pass", barmode="stack")


def trade(found: Sequence[Total]) -> go.Figure:
    """Tokens per pass against milliseconds per token, a mark for each method and batch size."""
    figure = go.Figure()
    for spot, name in enumerate(_names(found)):
        mine = [t for t in found if t.name == name and t.tokens_per_pass is not None]
        known = [(t, t.decode_tokens_per_second) for t in mine]
        marks = [(t, 1000 / speed) for t, speed in known if speed]
        if marks:
            figure.add_scatter(
                x=[t.tokens_per_pass for t, _ in marks], y=[ms for _, ms in marks], name=name,
                text=[f"batch {t.batch}" for t, _ in marks], textposition="top center",
                mode="markers+text", marker={"size": 10, "color": _colour(spot)},
            )  # fmt: skip
    return _finished(figure, "tokens per pass and prompt", "milliseconds per token")


def promises(groups: Sequence[Group]) -> go.Figure:
    """L(n) and T(n) of one dynamic method: means by chosen size, a colour for each batch size."""
    titles = ("L(n): tokens of a step", "T(n): milliseconds of a step")
    figure = make_subplots(cols=2, subplot_titles=titles)
    for spot, (batch, rows) in enumerate(promise_means(groups).items()):
        for panel, place, kind in ((1, 2, "expected"), (1, 3, "measured"),
                                   (2, 4, "expected"), (2, 5, "measured")):  # fmt: skip
            figure.add_scatter(
                x=[row[0] for row in rows],
                y=[row[place] for row in rows],
                name=f"batch {batch}, {kind}", legendgroup=f"{batch} {kind}",
                showlegend=panel == 1, mode="lines+markers",
                # a size that was chosen once says less than one chosen often
                marker={"size": [4 + 3 * log2(row[1] + 1) ** 0.5 for row in rows]},
                customdata=[round(row[1]) for row in rows],
                hovertemplate="%{x} nodes: %{y:.2f} (mean of %{customdata} steps)",
                line={"color": _colour(spot), "dash": "dot" if kind == "expected" else "solid"},
                row=1, col=panel,
            )  # fmt: skip
    return _finished(figure, "drafted nodes, all prompts together", "")


def _names(found: Sequence[Total]) -> list[str]:
    return list(dict.fromkeys(total.name for total in found))


def _colour(spot: int) -> str:
    return COLOURS[spot % len(COLOURS)]


def _finished(figure: go.Figure, across: str, up: str, **layout: str) -> go.Figure:
    figure.update_layout(template="plotly_white", height=420, margin={"t": 40}, **layout)
    return figure.update_xaxes(title_text=across).update_yaxes(title_text=up)
