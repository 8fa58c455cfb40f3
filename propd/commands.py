"""What the commands of `propd.cli` do: check what is asked, load the model, run, and print.

Everything a user can get wrong is checked before torch is imported and the model is loaded.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

from propd.command_door import load_engine, report
from propd.config_options import config_of
from propd.core import RunStats
from propd.errors import InvalidRequest

if TYPE_CHECKING:
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
    engine = load_engine(options)
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
        report(f"recorded in {options.trace}")
    return 0


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

    engine = load_engine(options)
    # of all tokens it writes, those of invented instructions too; shards tell the answers' tokens
    with tqdm(unit="token", unit_scale=True, desc="writing") as bar:
        distill(engine, options.out, plan, bar.write, texts, bar.update)
    return 0


def train(options: argparse.Namespace) -> int:
    """Train heads for a model, or count phrases for heads that are there."""
    if options.phrases_only:
        return _count_phrases(options)
    from propd.library import load
    from propd.training.command import train_heads
    from propd.training.plan import TrainingPlan

    # heads learn from what the engine computes, so from what it computes unless asked otherwise
    engine = load(options.model, device=options.device, report=report)
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
        report,
        options.precision,
        options.begin_with,
    )
    return 0


def _count_phrases(options: argparse.Namespace) -> int:
    from propd.training.command import write_phrases
    from propd.training.corpus import Corpus

    if not options.out.is_dir():
        raise InvalidRequest(f"There is no folder {options.out}; give one with heads in it.")
    write_phrases(Corpus.load_all(options.data), options.out, report)
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
    if options.gpu or options.smoke:
        from propd.report.command import run_report

        return run_report(options)
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
