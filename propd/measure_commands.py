"""What the measuring commands of `propd.cli` do: benchmarks, costs, accuracy, losslessness.

As in `propd.commands`, all that a user can get wrong is checked before the model is loaded.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from propd.command_door import load_engine, report
from propd.config_options import config_of, split, whole_numbers
from propd.errors import InvalidRequest

if TYPE_CHECKING:
    from propd.benchmark.lossless import LosslessReport


def bench(options: argparse.Namespace) -> int:
    """Methods and peers side by side."""
    from propd.benchmark.plan import plan_of

    plan = plan_of(options)
    from propd.benchmark import command
    from propd.models.sources import resolve

    engine = load_engine(options)
    print(command.bench(engine, plan, resolve(options.model).path, options.out, report))
    return 0


def accuracy(options: argparse.Namespace) -> int:
    """How often the guesses are right, and how far trees of them go."""
    from propd.benchmark.prompts import read_tagged
    from propd.requests import check_config, check_rows

    check_config(config_of(options))
    check_rows(options.rows)
    prompts = read_tagged(options.prompts, options.limit)
    if options.early:
        return _recall(options, prompts)
    from propd.benchmark.accuracy import accuracy_json, accuracy_table, measure

    engine, tokens = load_engine(options), options.max_new_tokens
    results = measure(engine, prompts, tokens, options.rows, report)
    print(accuracy_json(engine, tokens, results) if options.json else accuracy_table(results))
    return 0


def _recall(options: argparse.Namespace, prompts: list[tuple[str, str]]) -> int:
    from propd.benchmark.recall import measure_recall, recall_json, recall_table

    engine, tokens = load_engine(options), options.max_new_tokens
    found = measure_recall(engine, prompts, tokens, options.rows, report)
    print(recall_json(engine, len(prompts), tokens, found) if options.json else recall_table(found))
    return 0


def throughput(options: argparse.Namespace) -> int:
    """A pile of prompts, by this engine and by transformers.generate."""
    from propd.benchmark.prompts import read_prompts
    from propd.requests import check_config, check_rows

    check_config(config_of(options))
    check_rows(options.rows)
    if options.rounds < 1:
        raise InvalidRequest(f"The rounds are {options.rounds}; there must be at least 1.")
    prompts = read_prompts(options.prompts, options.limit)
    from propd.benchmark.throughput import compare_throughput, throughput_json
    from propd.models.sources import resolve

    engine, tokens = load_engine(options), options.max_new_tokens
    folder = resolve(options.model).path
    rounds = compare_throughput(
        engine, folder, prompts, options.rows, tokens, options.rounds, report
    )
    print(json.dumps(throughput_json(engine, options.rows, tokens, len(prompts), rounds)))
    return 0


def quality(options: argparse.Namespace) -> int:
    """A setting of the engine against float32, token by token."""
    from propd.benchmark.prompts import read_prompts
    from propd.library import load

    prompts = read_prompts(options.prompts, options.limit)
    from propd.benchmark.quality import compare_quality, quality_json

    reference = load(options.model, dtype="float32", device=options.device, weights="dense")
    engine, tokens = load_engine(options), options.max_new_tokens
    found = compare_quality(reference, engine, prompts, tokens, report)
    if options.json:
        print(json.dumps(quality_json(engine, tokens, len(prompts), found)))
    else:
        print(found.sentence())
    return 0


def pruning(options: argparse.Namespace) -> int:
    """Early pruning by prune layer and k, beside no pruning."""
    from propd.benchmark.prompts import read_prompts
    from propd.core import DecodingConfig
    from propd.requests import check_config, check_rows

    config = DecodingConfig(
        options.method, max_new_tokens=options.max_new_tokens, tree_size=options.tree_size
    )
    check_config(config)
    if options.keep is not None and not 0 < options.keep <= 1:
        raise InvalidRequest(f"The share to keep is {options.keep}; give one above 0, up to 1.")
    layers = whole_numbers(options.layers) if options.layers else []
    tops = whole_numbers(options.tops)
    check_rows(options.rows)
    for k in tops:
        check_config(replace(config, prune_top_k=k))
    for layer in layers:
        check_config(replace(config, prune_layer=layer))
    prompts = read_prompts(options.prompts, options.limit)
    from propd.benchmark.pruning import compare_pruning, pruning_json, pruning_table

    engine = load_engine(options)
    found = compare_pruning(
        engine, prompts, options.rows, config, layers, tops, report, options.keep
    )
    if options.json:
        print(json.dumps(pruning_json(engine, config, options.rows, found)))
    else:
        print(pruning_table(found))
    return 0


def sizes(options: argparse.Namespace) -> int:
    """Fixed tree sizes and the dynamic one side by side."""
    from propd.benchmark.prompts import read_prompts
    from propd.requests import check_config, check_rows

    config, batches = config_of(options), whole_numbers(options.batch_sizes)
    check_config(config)
    for rows in batches:
        check_rows(rows)
    if options.rounds < 1:
        raise InvalidRequest(f"The rounds are {options.rounds}; there must be at least 1.")
    fixed = whole_numbers(options.sizes) if options.sizes else [0]
    if fixed[0] != 0 or min(fixed) < 0:
        raise InvalidRequest(
            f"The sizes are {options.sizes}; they must begin with 0, plain decoding, "
            "and none may be negative."
        )
    prompts = read_prompts(options.prompts, options.limit)
    from propd.benchmark.sizes import FIXED, UselessHeads, compare_sizes, sizes_json, sizes_table

    engine = load_engine(options)
    if options.useless_heads and engine.heads is not None:
        engine = engine.with_heads(UselessHeads(engine.heads, engine.backbone.vocabulary_size))
    results, against = [], fixed if options.sizes else FIXED
    for rows in batches:
        results += compare_sizes(engine, prompts, rows, config, options.rounds, report, against)
    if options.json:
        print(json.dumps(sizes_json(engine, config, options.rounds, results)))
    else:
        print(sizes_table(results))
    return 0


def costs(options: argparse.Namespace) -> int:
    """Measure what the segments of a step cost, and keep it in a file."""
    from propd.planning.cost_file import costs_table, save_costs
    from propd.recording import check_place
    from propd.requests import check_rows

    check_rows(options.rows)
    check_place(options.out)
    if options.sweeps < 1:
        raise InvalidRequest(f"The sweeps are {options.sweeps}; there must be at least 1.")
    engine = load_engine(options)
    report("measuring")
    table = engine.measure_costs(options.rows, options.sweeps)
    about = {
        "rows": options.rows,
        "sweeps": options.sweeps,
        "pass_bytes": engine.backbone.pass_bytes,
        "recorded": date.today().isoformat(),
    }
    save_costs(table, options.out, {**engine.describe(), **about})
    print(costs_table(table))
    report(f"recorded in {options.out}")
    return 0


def verify_lossless(options: argparse.Namespace) -> int:
    """Every method and batch size against plain decoding; code 1 if a text differs."""
    from propd.benchmark.prompts import read_prompts
    from propd.recording import check_place
    from propd.requests import check_config, check_rows

    config, batches = config_of(options), whole_numbers(options.batch_sizes)
    methods = split(options.methods)
    for method in methods:
        check_config(replace(config, method=method))
    for size in batches:
        check_rows(size)
    if options.checkpoint:
        check_place(options.checkpoint)
    prompts = read_prompts(options.prompts, options.limit)
    from propd.benchmark import lossless

    found = lossless.verify_lossless(
        load_engine(options),
        prompts,
        methods,
        batches,
        options.max_new_tokens,
        report,
        config=config,
        checkpoint=options.checkpoint,
    )
    _tell_lossless(found, options.json)
    return 1 if found.different else 0


def _tell_lossless(found: LosslessReport, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.to_json()))
        return
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.counts().items()))
    for difference in found.differences:
        print(difference)


def memory(options: argparse.Namespace) -> int:
    """The memory of models, as a table; nothing is loaded."""
    from propd.models.need_table import need_table
    from propd.requests import check_rows

    rows = whole_numbers(options.rows)
    for count in rows:
        check_rows(count)
    if options.tokens < 1:
        raise InvalidRequest(f"--tokens is {options.tokens}; give 1 or more.")
    print(need_table(options.models, rows, options.tokens))
    return 0
