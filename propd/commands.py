"""What the commands of `propd.cli` do: check what is asked, load the model, run, and print.

Everything a user can get wrong is checked before torch is imported and the model is loaded.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from propd.config_options import config_of, split, whole_numbers
from propd.core import RunStats
from propd.errors import InvalidRequest

if TYPE_CHECKING:
    from propd.benchmark.lossless import LosslessReport
    from propd.core import StepEvent
    from propd.engine import Engine


def generate(options: argparse.Namespace) -> int:
    """Answer a prompt; the text to standard output, its figures to standard error."""
    from propd.recording import check_place, write_run
    from propd.requests import check_config, check_prompt
    from propd.terminal import render_tree, safe

    # pictures of a recorded run show the probabilities; the clock stands still for them
    config = config_of(options, record_probabilities=options.trace is not None)
    check_config(config)
    check_prompt(options.prompt)
    if options.trace:
        check_place(options.trace)
    engine = _load(options)
    events: list[StepEvent] = []
    for event in engine.stream(options.prompt, config):
        events.append(event)
        if options.show_tree and not options.json:
            print(render_tree(event), end="\n\n", flush=True)
        elif not options.json:
            print(safe(event.text), end="", flush=True)
    _tell_run(options, engine, events)
    if options.trace:
        write_run(options.trace, engine.describe(), options.prompt, config, events)
        _report(f"recorded in {options.trace}")
    return 0


def bench(options: argparse.Namespace) -> int:
    """Methods and peers side by side."""
    from propd.benchmark.plan import plan_of

    plan = plan_of(options)
    from propd.benchmark import command
    from propd.models.sources import resolve

    engine = _load(options)
    print(command.bench(engine, plan, resolve(options.model).path, options.out, _report))
    return 0


def accuracy(options: argparse.Namespace) -> int:
    """How often the guesses are right, and how far trees of them go."""
    from propd.benchmark.prompts import read_tagged
    from propd.requests import check_config, check_rows

    check_config(config_of(options))
    check_rows(options.rows)
    prompts = read_tagged(options.prompts, options.limit)
    from propd.benchmark.accuracy import accuracy_json, accuracy_table, measure

    engine, tokens = _load(options), options.max_new_tokens
    results = measure(engine, prompts, tokens, options.rows, _report)
    print(accuracy_json(engine, tokens, results) if options.json else accuracy_table(results))
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

    engine, tokens = _load(options), options.max_new_tokens
    folder = resolve(options.model).path
    rounds = compare_throughput(
        engine, folder, prompts, options.rows, tokens, options.rounds, _report
    )
    print(json.dumps(throughput_json(engine, options.rows, tokens, len(prompts), rounds)))
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
    prompts = read_prompts(options.prompts, options.limit)
    from propd.benchmark.sizes import UselessHeads, compare_sizes, sizes_json, sizes_table

    engine = _load(options)
    if options.useless_heads and engine.heads is not None:
        engine = engine.with_heads(UselessHeads(engine.heads, engine.backbone.vocabulary_size))
    results = []
    for rows in batches:
        results += compare_sizes(engine, prompts, rows, config, options.rounds, _report)
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
    engine = _load(options)
    _report("measuring")
    table = engine.measure_costs(options.rows)
    save_costs(table, options.out, engine.describe())
    print(costs_table(table))
    _report(f"recorded in {options.out}")
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

    report = lossless.verify_lossless(
        _load(options),
        prompts,
        methods,
        batches,
        options.max_new_tokens,
        _report,
        config=config,
        checkpoint=options.checkpoint,
    )
    _tell_lossless(report, options.json)
    return 1 if report.different else 0


def distill(options: argparse.Namespace) -> int:
    """Let the model write training text."""
    from propd.requests import check_rows

    check_rows(options.rows)
    for name in ("tokens", "answer_tokens"):
        if getattr(options, name) < 1:
            raise InvalidRequest(
                f"--{name.replace('_', '-')} is {getattr(options, name)}; give 1 or more."
            )
    from propd.training.distill import DistillPlan, Texts, distill

    plan = DistillPlan(
        tokens=options.tokens,
        rows=options.rows,
        answer_tokens=options.answer_tokens,
        seed=options.seed,
    )
    texts = Texts.load(options.texts) if options.texts else None
    from tqdm import tqdm

    engine = _load(options)
    # of all tokens it writes, those of invented instructions too; shards tell the answers' tokens
    with tqdm(unit="token", unit_scale=True, desc="writing") as bar:
        distill(engine, options.out, plan, bar.write, texts, bar.update)
    return 0


def train(options: argparse.Namespace) -> int:
    """Train heads for a model."""
    from propd.engine import load
    from propd.models.loading import resolve_device
    from propd.training.command import train_heads
    from propd.training.train import TrainingPlan

    dtype = "float32" if resolve_device(options.device).type == "cpu" else "auto"
    engine = load(options.model, dtype=dtype, device=options.device, report=_report)
    plan = TrainingPlan(
        epochs=options.epochs,
        batch=options.batch,
        learning_rate=options.learning_rate,
        prune_layers=tuple(options.prune_layers),
        dependent=options.dependent,
        **({"draft_heads": 0} if options.early_only else {}),
    )
    cache = options.cache or options.out / "cache"
    train_heads(
        engine.backbone,
        engine.name,
        engine.end_tokens,
        options.data,
        options.out,
        cache,
        plan,
        _report,
        options.precision,
    )
    return 0


def convert(options: argparse.Namespace) -> int:
    """Pickled heads as safetensors."""
    from propd.heads.convert import check_conversion, convert_heads

    check_conversion(options.source, options.out, options.force)
    about = convert_heads(options.source, options.out, options.base_model)
    print(f"{about['medusa_num_heads']} heads written to {options.out}")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """What works on this machine."""
    from propd.doctor import run_doctor

    return run_doctor()


def stats_json(stats: RunStats) -> dict[str, float]:
    """The figures of a run under their names."""
    names = [field.name for field in fields(RunStats)] + ["tokens_per_pass", "tokens_per_second"]
    values = {name: getattr(stats, name) for name in names if name != "decoded_tokens"}
    return {name: round(value, 4) for name, value in values.items()}


def _tell_run(options: argparse.Namespace, engine: Engine, events: list[StepEvent]) -> None:
    """The end of the text and its figures, or all of it as JSON."""
    stats = RunStats()
    for event in events:
        stats = stats.add(event)
    if not options.json:
        print()
        print(_summary(options.method, stats), file=sys.stderr)
        return
    tokens = [token for event in events for token in event.token_ids]
    text = "".join(event.text for event in events)
    answer = {"text": text, "token_ids": tokens, "method": options.method}
    machine = {"dtype": engine.dtype, "device": engine.device}
    print(json.dumps({**answer, **machine, "stats": stats_json(stats)}))


def _summary(method: str, stats: RunStats) -> str:
    return (
        f"[{method}: {stats.new_tokens} tokens in {stats.seconds:.2f} s, "
        f"{stats.tokens_per_second:.1f} tokens/s, {stats.tokens_per_pass:.2f} tokens per pass; "
        f"{stats.drafted} drafted, {stats.pruned} pruned, {stats.verified} verified]"
    )


def _tell_lossless(report: LosslessReport, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.to_json()))
        return
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.counts().items()))
    for difference in report.differences:
        print(difference)


def _load(options: argparse.Namespace) -> Engine:
    from propd.engine import load

    return load(
        options.model,
        heads=options.heads,
        dtype=options.dtype,
        device=options.device,
        numerics=options.numerics,
        report=_report,
    )


def _report(message: str) -> None:
    print(f"… {message}", file=sys.stderr, flush=True)
