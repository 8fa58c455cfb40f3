"""Prompts of a file, or of our own: for benchmarks without a file and for examples."""

from __future__ import annotations

import json
from pathlib import Path

from propd.errors import InvalidRequest

MAX_FILE_BYTES = 50_000_000

PROMPTS = (
    "Why is the sky blue?",
    "Write a Python function that returns the n-th Fibonacci number, and explain it.",
    "Write a short story about a lighthouse keeper who finds a message in a bottle.",
    "List five tips for learning to cook, one sentence each.",
    "A train travels 60 km in 45 minutes. What is its average speed in km per hour?",
    "Explain the difference between weather and climate to a ten-year-old.",
    "Write a polite email that asks a colleague to review a report by Friday.",
    "Summarize in two sentences: Bees visit flowers to gather nectar. While they do, pollen sticks "
    "to their bodies and is carried to other flowers, which lets the plants form seeds. Without "
    "bees, many crops would yield far less.",
)


def read_prompts(path: Path | None, limit: int) -> list[str]:
    """The first prompts of a JSON-lines file (first entry of ``turns``), or our own."""
    return [prompt for _, prompt in read_tagged(path, limit)]


def read_tagged(path: Path | None, limit: int) -> list[tuple[str, str]]:
    """The same with their category, "none" where a line names none."""
    if limit < 1:
        raise InvalidRequest(f"The limit is {limit} prompts; it must be at least 1.")
    if path is None:
        return [("none", prompt) for prompt in PROMPTS[:limit]]
    prompts = _read_file(path)[:limit]
    if not prompts:
        raise InvalidRequest(f"{path} holds no prompts; it must be JSON lines with a list 'turns'.")
    return prompts


def _read_file(path: Path) -> list[tuple[str, str]]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidRequest(f"{path} is larger than {MAX_FILE_BYTES:,} bytes; split it.")
        lines = path.read_text(encoding="utf-8").splitlines()
        told = [json.loads(line) for line in lines if line.strip()]
        return [(str(entry.get("category", "none")), str(entry["turns"][0])) for entry in told]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidRequest(
            f"{path} holds no prompts ({error}); it must be JSON lines with a list 'turns'."
        ) from error
