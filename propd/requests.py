"""The door: what a request may ask for. Checked once, before anything is loaded or run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

from propd.core import CostTable, DecodingConfig
from propd.errors import InvalidRequest
from propd.methods import method_settings, settled

MAX_TREE = 63
"""Largest tree a request may ask for."""


MAX_ROWS = 32
"""Most sequences that decode together."""


def check_rows(rows: int) -> None:
    """Refuse a batch of no rows or of too many."""
    if type(rows) is not int:
        raise InvalidRequest(f"The batch is {rows!r} rows; it must be a whole number.")
    if not 1 <= rows <= MAX_ROWS:
        raise InvalidRequest(f"The batch is {rows} rows; it must be between 1 and {MAX_ROWS}.")


def settings_of(config: DecodingConfig | None, settings: Mapping[str, Any]) -> DecodingConfig:
    """A config with some of its fields set anew, checked."""
    known = [item.name for item in fields(DecodingConfig)]
    for name in settings:
        if name not in known:
            near = get_close_matches(name, known, 1) or [", ".join(known)]
            raise InvalidRequest(f"There is no setting '{name}'; did you mean {near[0]}?")
    config = replace(config or DecodingConfig(), **settings)
    check_config(config)
    return settled(config)


def check_prompts(prompts: Sequence[str]) -> None:
    """Refuse a batch that is no list of prompts, or an empty one."""
    if isinstance(prompts, str):
        raise InvalidRequest("The prompts are one text; give a list of texts.")
    if not prompts:
        raise InvalidRequest("There is no prompt; give at least one.")


def check_prompt(prompt: str) -> None:
    """Refuse a prompt without a word in it."""
    if not isinstance(prompt, str):
        raise InvalidRequest(f"The prompt is of type {type(prompt).__name__}; give a text.")
    if not prompt.strip():
        raise InvalidRequest("The prompt is empty; write a question or an instruction.")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        code = ord(prompt[error.start])
        raise InvalidRequest(
            f"The prompt has half a character (U+{code:04X}, character {error.start + 1:,}), which "
            "is no text; remove it."
        ) from error


def check_beginning(
    token_ids: Sequence[int], vocabulary_size: int, end_tokens: Collection[int]
) -> None:
    """Refuse a beginning of an answer that is no list of tokens, or that ends the answer."""
    for token in token_ids:
        if type(token) is not int or not 0 <= token < vocabulary_size:
            raise InvalidRequest(
                f"The answer cannot begin with the token {token!r}; a token is a whole number from "
                f"0 to {vocabulary_size - 1:,}."
            )
        if token in end_tokens:
            raise InvalidRequest(
                f"The text ends with the token {token}, so there is nothing to go on with; "
                "choose another one."
            )


def check_config(config: DecodingConfig) -> None:
    """Refuse settings outside their limits."""
    config = settled(config)
    for names, types, wanted in KINDS:
        for name in names:
            value = getattr(config, name)
            if type(value) not in types and (value is not None or name not in MAY_BE_OPEN):
                raise InvalidRequest(f"The setting {name} is {value!r}; it must be {wanted}.")
    if config.max_new_tokens < 1:
        raise InvalidRequest(
            f"The number of new tokens is {config.max_new_tokens}; it must be at least 1."
        )
    if not 1 <= config.max_nodes <= MAX_TREE:
        raise InvalidRequest(
            f"The largest tree is {config.max_nodes} nodes; it must be between 1 and {MAX_TREE}."
        )
    _check_tree_size(config)
    _check_choices(config)
    _check_sampling(config)
    _check_stop(config)
    if config.prune_top_k is not None and config.prune_top_k < 1:
        raise InvalidRequest(f"The pruning top-k is {config.prune_top_k}; it must be at least 1.")


def _check_tree_size(config: DecodingConfig) -> None:
    size = config.tree_size
    if size is None:
        return
    if not 1 <= size <= MAX_TREE:
        raise InvalidRequest(f"The tree size is {size}; it must be between 1 and {MAX_TREE}.")
    if method_settings(config.method).tree != "dynamic":
        raise InvalidRequest(
            f"The method '{config.method}' drafts the same tree in every step; leave the tree size "
            "open, or use a method that chooses it, such as propd."
        )


CHOICES = {
    "prune_rule": ("topk", "threshold", "budget"),
    "prune_when": ("always", "pays"),
    "guesses": ("heads", "text", "both"),
    "values": ("rank", "contextual"),
    "cost_model": ("curve", "line"),
    "acceptance": ("exact", "typical"),
}
WHOLE_NUMBERS = (
    "max_new_tokens",
    "max_nodes",
    "tree_size",
    "prune_top_k",
    "prune_layer",
    "top_k",
    "seed",
)
NUMBERS = (
    "prune_threshold",
    "temperature",
    "top_p",
    "min_p",
    "typical_threshold",
    "typical_alpha",
)
KINDS: tuple[tuple[tuple[str, ...], tuple[type, ...], str], ...] = (
    (WHOLE_NUMBERS, (int,), "a whole number"),
    (NUMBERS, (int, float), "a number"),
    (("record_probabilities", "ignore_eos"), (bool,), "True or False"),
    (("cost_table",), (CostTable,), "a CostTable, as engine.measure_costs makes it"),
)
"""Settings, the types they may have, and how a sentence calls these."""
MAY_BE_OPEN = ("tree_size", "prune_top_k", "prune_layer", "cost_table")
MAX_STOPS = 16
MAX_STOP_LENGTH = 200


def _check_choices(config: DecodingConfig) -> None:
    for field, allowed in CHOICES.items():
        given = getattr(config, field)
        if given not in allowed:
            name = field.replace("_", " ")
            raise InvalidRequest(f"The {name} is '{given}'; use one of {', '.join(allowed)}.")
    asks = config.prune_rule == "budget" or config.prune_when == "pays"
    if config.cost_model == "line" and asks:
        raise InvalidRequest(
            "The cost model 'line' cannot tell what pruning saves; use the cost model 'curve' "
            "with the rule 'budget' or with pruning when it pays."
        )
    if config.acceptance == "typical" and config.temperature == 0:
        raise InvalidRequest(
            "Typical acceptance needs a temperature and it is 0; give one above 0, or use exact."
        )


def _check_stop(config: DecodingConfig) -> None:
    listed = isinstance(config.stop, (tuple, list))
    if not listed or not all(isinstance(s, str) for s in config.stop):
        raise InvalidRequest(
            "The stop strings are no list of texts; give for example stop=('END',)."
        )
    if len(config.stop) > MAX_STOPS:
        raise InvalidRequest(
            f"There are {len(config.stop)} stop strings; give at most {MAX_STOPS}."
        )
    for stop in config.stop:
        if not 1 <= len(stop) <= MAX_STOP_LENGTH:
            raise InvalidRequest(
                f"A stop string has {len(stop)} characters; it must have 1 to {MAX_STOP_LENGTH}."
            )


def _check_sampling(config: DecodingConfig) -> None:
    limits = {
        "temperature": (config.temperature, 0, 100),
        "top-p": (config.top_p, 0, 1),
        "min-p": (config.min_p, 0, 1),
        "top-k": (config.top_k, 0, 10**6),
        "seed": (config.seed, 0, 2**31 - 1),
        "pruning threshold": (config.prune_threshold, 0, 1),
        "typical threshold": (config.typical_threshold, 0, 1),
        "typical alpha": (config.typical_alpha, 0, 1),
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
