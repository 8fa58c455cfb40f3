"""Small charts as SVG text: plotly's own page is five times as large as a report may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, isfinite, log10

COLOURS = ("#4269d0", "#d08a00", "#e0483c", "#2a9d8f", "#3ca951", "#c2487f", "#8e5bd0")
WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 200, 16, 44
STEPS = (1, 2, 5, 10)
"""A tick is one of these times a power of ten."""

Line = Sequence["tuple[float, float]"]
"""(x, y), x one of the chart's."""


def line_chart(lines: Mapping[str, Line], xs: Sequence[float], across: str, up: str) -> str:
    """A line for each name over evenly spaced xs, such as batch sizes; from 0 on."""
    points = [y for line in lines.values() for _, y in line if isfinite(y)]
    top = _round_up(max(points, default=1.0))
    spots = {x: _across(place, len(xs)) for place, x in enumerate(xs)}
    parts = [*_frame(top, across, up), *(_tick(spots[x], f"{x:g}") for x in xs)]
    for place, (name, line) in enumerate(lines.items()):
        told = [(spots[x], _up(y, top)) for x, y in line if isfinite(y)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in told)
        colour = COLOURS[place % len(COLOURS)]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in told]
        parts.append(_legend(place, name, colour))
    return _svg(parts, f"{up} by {across}")


def stacked_bars(bars: Mapping[str, Mapping[str, float]], up: str) -> str:
    """A bar for each name, made of its parts from the bottom up."""
    heights = [sum(parts.values()) for parts in bars.values()]
    top = _round_up(max(heights, default=1.0))
    kinds = list(dict.fromkeys(kind for parts in bars.values() for kind in parts))
    drawn = _frame(top, "", up)
    wide = (WIDTH - LEFT - RIGHT) / max(1, len(bars)) * 0.6
    for place, (name, parts) in enumerate(bars.items()):
        middle, base = _across(place, len(bars)), 0.0
        for kind, value in parts.items():
            high, low = _up(base + value, top), _up(base, top)
            colour = COLOURS[kinds.index(kind) % len(COLOURS)]
            drawn.append(
                f'<rect x="{middle - wide / 2:.1f}" y="{high:.1f}" width="{wide:.1f}" '
                f'height="{low - high:.1f}" fill="{colour}"/>'
            )
            base += value
        drawn.append(_tick(middle, name))
    drawn += [_legend(n, kind, COLOURS[n % len(COLOURS)]) for n, kind in enumerate(kinds)]
    return _svg(drawn, up)


def _svg(parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" '
        f'font-family="sans-serif" font-size="12">{"".join(parts)}</svg>'
    )


def _frame(top: float, across: str, up: str) -> list[str]:
    """Grid, ticks and titles of both axes."""
    parts = []
    for step in range(5):
        value = top * step / 4
        y, end = _up(value, top), WIDTH - RIGHT
        parts.append(f'<line x1="{LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ccc"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:g}", "end"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 6, across, "middle"))
    parts.append(_text(LEFT, TOP - 4, up, "start"))
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">'
        f"{escape(text)}</text>"
    )


def _tick(x: float, text: str) -> str:
    return _text(x, HEIGHT - BOTTOM + 18, text, "middle")


def _legend(place: int, name: str, colour: str) -> str:
    x, y = WIDTH - RIGHT + 16, TOP + 20 * place
    return f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>' + _text(
        x + 18, y + 10, name, "start"
    )


def _across(place: int, count: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / max(1, count)


def _up(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM - 8) * value / top


def _round_up(value: float) -> float:
    """The end of an axis: 1, 2, 5 or 10 times a power of ten."""
    if not value > 0 or not isfinite(value):
        return 1.0
    power = 10.0 ** (ceil(log10(value)) - 1)
    return next((step * power for step in STEPS if step * power >= value), 10 * power)
