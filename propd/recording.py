"""A run as it is written down: the header that says how it was made, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

from propd.core import DecodingConfig, StepEvent
from propd.errors import InvalidRequest
from propd.trace import Header, Trace, save


def header_for(
    about: Mapping[str, Any],
    prompt: str,
    config: DecodingConfig,
    continuing: Sequence[int] = (),
    continuing_text: str = "",
) -> Header:
    """The header of a run of today. about: `propd.engine.Engine.describe`, or better known.

    continuing, continuing_text: what the answer was made to begin with, if anything.
    """
    return Header(
        **about,
        method=config.method,
        prompt=prompt,
        config=asked(config),
        recorded=date.today().isoformat(),
        continuing=tuple(continuing),
        continuing_text=continuing_text,
    )


def asked(config: DecodingConfig) -> dict[str, Any]:
    """The settings that differ from the defaults, and how many tokens were wanted.

    Defaults stay out, so that a setting which a later version adds does not change the fingerprint
    of a run that does not use it.
    """
    told = {
        item.name: getattr(config, item.name)
        for item in fields(config)
        if getattr(config, item.name) != item.default and item.name != "method"
    }
    told = {"max_new_tokens": config.max_new_tokens, **told}
    return {name: _as_read(value) for name, value in told.items()}


def _as_read(value: Any) -> Any:
    """A setting as it comes back from a file: tuples as lists, nouns as objects."""
    if is_dataclass(value):
        return {item.name: _as_read(getattr(value, item.name)) for item in fields(value)}
    return [_as_read(item) for item in value] if isinstance(value, tuple) else value


def check_place(path: Path) -> None:
    """Refuse a place where no file can be, before a run of minutes and not after it."""
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidRequest(
            f"No file can be written to {path}; name a file in a folder that is there."
        )


def write_run(
    path: Path,
    about: Mapping[str, Any],
    prompt: str,
    config: DecodingConfig,
    events: Sequence[StepEvent],
) -> None:
    """Save a run that is over."""
    save(Trace(header_for(about, prompt, config), tuple(events)), path)
