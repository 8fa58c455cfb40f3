"""Whether a method wrote the text it was expected to, and if not, where it parted and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from app.performing import Message
from propd.benchmark.lossless import Difference, examine, first_difference
from propd.core import DecodingConfig

Reason = Literal["near_tie", "no_tie", "drawn", "typical", "ended", "unknown"]
"""``typical`` acceptance is not lossless; ``drawn``: by chance, with a temperature; ``near_tie``
and ``no_tie``: measured; ``ended``: one text is only shorter; ``unknown``: too long to measure."""
LONGEST: Final = 512
"""Tokens of prompt and text up to which a difference is measured: they are read one by one."""

Tokens = Sequence[int]


def compare_texts(
    engine: Any, config: DecodingConfig, prompt: str, expected: Tokens, written: Tokens
) -> Message:
    """What is said of a text beside the expected one. config: with which it was written."""
    if list(written) == list(expected):
        return {"identical": True}
    at = first_difference(written, expected)
    both = [ids[at] if at < len(ids) else None for ids in (expected, written)]
    reason, found = _explain(engine, config, prompt, expected, written)
    return {
        "identical": False,
        "position": at,
        "token_ids": both,
        "texts": ["" if token is None else engine.token_text(token) for token in both],
        "reason": reason,
        "gap": found and float(f"{found.gap:.4g}"),
        "noise": found and float(f"{found.noise:.4g}"),
    }


def _explain(
    engine: Any, config: DecodingConfig, prompt: str, expected: Tokens, written: Tokens
) -> tuple[Reason, Difference | None]:
    """Why the texts part: first what was asked for, then what can be measured."""
    at = first_difference(written, expected)
    if config.acceptance == "typical":
        return "typical", None
    if config.temperature:
        return "drawn", None
    if at >= min(len(written), len(expected)):
        return "ended", None
    if len(engine.encode(prompt)) + at > LONGEST:
        return "unknown", None
    found = Difference(config.method, 1, 0, at, *examine(engine, prompt, expected, written, at))
    return ("near_tie" if found.near_tie else "no_tie"), found
