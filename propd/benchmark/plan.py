"""What a benchmark shall run, checked before torch is imported and the model is loaded."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from propd.benchmark.peers import Peer, make_peers
from propd.benchmark.prompts import read_tagged
from propd.config_options import config_of, split, whole_numbers
from propd.errors import InvalidRequest
from propd.requests import check_config, check_rows

PLAIN = "autoregressive"
"""The method that all others are compared with; it always runs."""


@dataclass(frozen=True)
class BenchPlan:
    """The question that a benchmark answers."""

    methods: tuple[str, ...]
    """Plain decoding first."""
    peers: tuple[Peer, ...]
    batch_sizes: tuple[int, ...]
    prompts: tuple[tuple[str, str], ...]
    """(category, text)."""
    max_new_tokens: int = 64
    repeats: int = 1


def plan_of(options: argparse.Namespace) -> BenchPlan:
    """The plan that the options of the command ask for."""
    methods, batches = split(options.methods), whole_numbers(options.batch_sizes)
    for method in methods:
        check_config(config_of(options, method=method))
    for rows in batches:
        check_rows(rows)
    if options.repeats < 1:
        raise InvalidRequest(f"The repeats are {options.repeats}; there must be at least 1.")
    if options.out and options.out.exists() and not options.out.is_dir():
        raise InvalidRequest(f"{options.out} is a file; give a folder for the results.")
    peers = _peers(options)
    prompts = read_tagged(options.prompts, options.limit)
    check_enough(batches, len(prompts), options.prompts)
    return BenchPlan(
        methods=tuple(dict.fromkeys([PLAIN, *methods])),
        peers=tuple(peers),
        batch_sizes=tuple(dict.fromkeys(batches)),
        prompts=tuple(prompts),
        max_new_tokens=options.max_new_tokens,
        repeats=options.repeats,
    )


def _peers(options: argparse.Namespace) -> list[Peer]:
    names = split(options.peers) if options.peers else []
    for option, peer in (("assistant", "transformers-assisted"), ("gguf", "llama.cpp")):
        if getattr(options, option) and peer not in names:
            raise InvalidRequest(f"--{option} is for the peer {peer}; name it in --peers.")
    assistant = options.assistant
    if assistant:
        from propd.models.sources import resolve

        assistant = resolve(assistant).path
    return make_peers(names, assistant, options.gguf)


def check_enough(batches: Sequence[int], prompts: int, path: Path | None) -> None:
    """Refuse batches of which not even the smallest could be filled."""
    if min(batches) > prompts:
        here = path or "our own list, which --prompts FILE replaces"
        raise InvalidRequest(
            f"The smallest batch is {min(batches)} rows and there are {prompts} prompts from "
            f"{here}; give more prompts or a smaller batch."
        )
