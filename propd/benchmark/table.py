"""A benchmark as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from propd.benchmark.figures import MIXED, SPREAD, Total
from propd.benchmark.plan import PLAIN
from propd.benchmark.results import Results

Column = tuple[str, Callable[[Total], str]]


def page(results: Results) -> str:
    """The table, the categories, and how it was measured."""
    parts = [table(results.totals)]
    if len(results.categories) > 1:
        parts.append("Ratio to plain decoding by category:\n\n" + category_table(results))
    return "\n\n".join([*parts, foot(results)])


def table(found: Sequence[Total]) -> str:
    """A line for each batch size and method; columns that nobody can fill are left out."""
    rows = [[cell(total) for _, cell in COLUMNS] for total in found]
    used = [
        spot
        for spot, (name, _) in enumerate(COLUMNS)
        if any(row[spot] != EMPTY for row in rows)
        and (name != "batch" or len({total.batch for total in found}) > 1)
    ]
    names = [COLUMNS[spot][0] for spot in used]
    return _markdown([names, *([row[spot] for spot in used] for row in rows)])


def category_table(results: Results) -> str:
    """A line for each batch size and method, a column for each category."""
    categories = sorted(results.categories, key=lambda name: (name == MIXED, name))
    ratios = {
        (total.batch, total.name, name): total.ratio
        for name, found in results.categories.items()
        for total in found
    }
    rows = [["method", "batch", *categories]]
    for total in results.totals:
        if total.name != PLAIN:
            told = [ratios.get((total.batch, total.name, name)) for name in categories]
            cells = [_number(ratio, 2) for ratio in told]
            rows.append([total.name, str(total.batch), *cells])
    return _markdown(rows)


def foot(results: Results) -> str:
    """What the table's words mean, memory, and what did not run."""
    about, lines = results.about, ["Speeds are total tokens over total seconds, prefill included."]
    if any(total.first_seconds is not None for total in results.totals):
        lines[0] += " Decoding tokens/s: after the first token of every prompt."
    if any(total.ratio_low is not None for total in results.totals):
        low, high = SPREAD
        lines[0] += f" Spread: the {low}th and {high}th percentile of x plain, group by group."
    for name, told in about.get("peers", {}).items():
        lines.append(f"{name}: {told}.")
    if peak := about.get("peak_bytes"):
        caches = ", ".join(
            f"{size / 1e6:.1f} MB at batch {batch}"
            for batch, size in about.get("cache_bytes", {}).items()
        )
        copies = ", weights of the peers included" if about.get("peers") else ""
        lines.append(f"Peak memory: {peak / 1e9:.2f} GB{copies}. Largest cache: {caches}.")
    if share := bandwidth_share(results):
        read, speed = about["pass_bytes"] / 1e6, about["bandwidth"] / 1e9
        lines.append(
            f"Plain decoding reads {read:.0f} MB of weights a token; at the {speed:.1f} GB/s that "
            f"this machine reads, measured beside it, that is {share:.0%} of its time."
        )
    lines += [f"Skipped: {why}." for why in about.get("skipped", [])]
    return "\n\n".join(lines)


def bandwidth_share(results: Results) -> float | None:
    """Share of the time of plain decoding, batch 1, in which reading its weights once a token at
    the measured speed would be done; None if that is not known."""
    about = results.about
    plain = [t for t in results.totals if t.name == PLAIN and t.batch == 1]
    speed = plain[0].decode_tokens_per_second if plain else None
    if not speed or not about.get("bandwidth") or not about.get("pass_bytes"):
        return None
    return float(about["pass_bytes"] / about["bandwidth"] * speed)


EMPTY = "–"


def _number(value: float | None, digits: int) -> str:
    return EMPTY if value is None else f"{value:.{digits}f}"


def _spread(total: Total) -> str:
    if total.ratio_low is None or total.name == PLAIN:
        return EMPTY
    return f"{_number(total.ratio_low, 2)} to {_number(total.ratio_high, 2)}"


def _a_step(count: Callable[[Total], int]) -> Callable[[Total], str]:
    return lambda total: _number(count(total) / total.steps if total.steps else None, 1)


COLUMNS: tuple[Column, ...] = (
    ("method", lambda t: t.name),
    ("batch", lambda t: str(t.batch)),
    ("tokens/s", lambda t: _number(t.tokens_per_second, 1)),
    ("x plain", lambda t: _number(t.ratio, 2)),
    ("spread", _spread),
    ("decoding tokens/s", lambda t: _number(t.decode_tokens_per_second, 1)),
    ("ms to first tokens", lambda t: _number(t.first_ms, 0)),
    ("tokens per pass", lambda t: _number(t.tokens_per_pass, 2)),
    ("drafted/step", _a_step(lambda t: t.drafted)),
    ("verified/step", _a_step(lambda t: t.verified)),
    ("same text", lambda t: f"{t.identical}/{t.prompts}"),
)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body])
