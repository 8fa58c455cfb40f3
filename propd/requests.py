"""The door: what a request may ask for. Checked once, before anything is loaded or run."""

from __future__ import annotations

from propd.core import DecodingConfig
from propd.errors import InvalidRequest
from propd.methods import method_settings

MAX_TREE = 63
"""Largest tree a request may ask for."""


MAX_ROWS = 32
"""Most sequences that decode together."""


def check_rows(rows: int) -> None:
    """Refuse a batch of no rows or of too many."""
    if not 1 <= rows <= MAX_ROWS:
        raise InvalidRequest(f"The batch is {rows} rows; it must be between 1 and {MAX_ROWS}.")


def check_prompt(prompt: str) -> None:
    """Refuse a prompt without a word in it."""
    if not prompt.strip():
        raise InvalidRequest("The prompt is empty; write a question or an instruction.")


def check_config(config: DecodingConfig) -> None:
    """Refuse settings outside their limits."""
    method_settings(config.method)
    if config.max_new_tokens < 1:
        raise InvalidRequest(
            f"The number of new tokens is {config.max_new_tokens}; it must be at least 1."
        )
    if not 1 <= config.max_nodes <= MAX_TREE:
        raise InvalidRequest(
            f"The largest tree is {config.max_nodes} nodes; it must be between 1 and {MAX_TREE}."
        )
    _check_sampling(config)
    if config.prune_top_k is not None and config.prune_top_k < 1:
        raise InvalidRequest(f"The pruning top-k is {config.prune_top_k}; it must be at least 1.")


def _check_sampling(config: DecodingConfig) -> None:
    limits = {
        "temperature": (config.temperature, 0, 100),
        "top-p": (config.top_p, 0, 1),
        "min-p": (config.min_p, 0, 1),
        "top-k": (config.top_k, 0, 10**6),
        "seed": (config.seed, 0, 2**31 - 1),
    }
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise InvalidRequest(f"The {name} is {value}; it must be between {low} and {high}.")
    if config.top_p == 0:
        raise InvalidRequest("The top-p is 0; it must be above 0.")


def prompt_too_long(given: str, limit: int) -> InvalidRequest:
    """The error of a prompt that the model cannot read whole."""
    return InvalidRequest(
        f"The prompt has {given} and the model reads fewer than {limit:,} tokens; shorten it."
    )
