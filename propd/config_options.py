"""The fields of `propd.core.DecodingConfig` as options of the command line.

Each option has the name of its field, so that `config_of` finds them by name.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from propd.core import DecodingConfig
from propd.errors import InvalidRequest

DEFAULTS = DecodingConfig()
METHOD_NAMES = (
    "propd, propd-paper, medusa, bpd, lookup, autoregressive, propd-heads, propd-static, "
    "propd-unpruned"
)
"""As in `propd.methods.METHODS`, which would import numpy before the help is printed."""
PEERS = ("transformers", "transformers-lookup", "transformers-assisted", "llama.cpp")
"""Other programs that `propd.benchmark.peers` can run."""
UNPRUNED = {"propd": "propd-unpruned", "propd-static": "medusa"}
"""Methods whose pruning can be measured, and the same without it."""


def text_options(parser: argparse.ArgumentParser) -> None:
    """What the text is drawn by, and where it ends."""
    add = parser.add_argument
    add("--method", default=DEFAULTS.method, help=f"one of {METHOD_NAMES}")
    add("--max-new-tokens", type=int, default=DEFAULTS.max_new_tokens, metavar="N")
    add("--stop", action="append", default=[], metavar="TEXT", help="end before it; repeatable")
    add("--temperature", type=float, default=DEFAULTS.temperature, help="0 is greedy (default)")
    add("--top-k", type=int, default=DEFAULTS.top_k, metavar="K", help="0: all tokens")
    add("--top-p", type=float, default=DEFAULTS.top_p, metavar="P")
    add("--min-p", type=float, default=DEFAULTS.min_p, metavar="P")
    add("--seed", type=int, default=DEFAULTS.seed, metavar="S")
    _choice(parser, "acceptance", "typical is not lossless; it needs a temperature above 0")


def tree_options(parser: argparse.ArgumentParser) -> None:
    """What trees are drafted and pruned by; none of it changes the text."""
    add = parser.add_argument
    _choice(parser, "prune_rule", "what early pruning goes by")
    add("--prune-top-k", type=int, metavar="K", help="k of topk (default: the heads' own)")
    add(
        "--prune-threshold",
        type=float,
        default=DEFAULTS.prune_threshold,
        metavar="P",
        help="least early probability that threshold keeps (default: %(default)s)",
    )
    _choice(parser, "prune_when", "pays: only in steps that are expected to gain by it")
    add(
        "--max-nodes",
        type=int,
        default=DEFAULTS.max_nodes,
        metavar="N",
        help="largest tree of a dynamic method (default: %(default)s)",
    )
    add(
        "--tree-size",
        type=int,
        metavar="N",
        help="nodes of every tree of a dynamic method (default: weighed in every step)",
    )
    add("--prune-layer", type=int, metavar="L", help="layers before it (default: the heads' own)")
    _choice(parser, "guesses", "who guesses")
    _choice(parser, "values", "what a node of a dynamic tree is worth")
    _choice(parser, "cost_model", "time of a step by its size")
    add(
        "--cost-table",
        type=Path,
        metavar="FILE",
        help="times recorded by the command costs: sizes follow them and repeat",
    )


def config_of(options: argparse.Namespace, **more: Any) -> DecodingConfig:
    """The config that these options ask for; ``more`` are further fields."""
    told = {item.name for item in fields(DecodingConfig)} & vars(options).keys()
    given = {name: getattr(options, name) for name in told}
    if "stop" in given:
        given["stop"] = tuple(given["stop"])
    if given.get("cost_table") is not None:
        from propd.planning.cost_file import load_costs

        given["cost_table"] = load_costs(given["cost_table"])
    return DecodingConfig(**given | more)


def split(text: str) -> list[str]:
    """The names of a list like ``a,b``."""
    return [name.strip() for name in text.split(",")]


def whole_numbers(text: str) -> list[int]:
    """The numbers of a list like ``1,4``."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InvalidRequest(
            f"'{text}' is no list of whole numbers; write for example 1,4."
        ) from None


def _choice(parser: argparse.ArgumentParser, field: str, about: str) -> None:
    """An option for a field that is one of a few words."""
    parser.add_argument(
        "--" + field.replace("_", "-"),
        choices=get_args(get_type_hints(DecodingConfig)[field]),
        default=getattr(DEFAULTS, field),
        help=f"{about} (default: %(default)s)",
    )
