"""The command line: `python -m propd generate|bench|verify-lossless|train|doctor`.

Heavy modules are imported by the command that needs them, so that help and errors come at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from propd.core import DecodingConfig, RunStats
from propd.errors import InvalidRequest, ProPDError
from propd.models.registry import DEFAULT_MODEL

if TYPE_CHECKING:
    from propd.engine import Engine

METHOD_NAMES = "propd, medusa, bpd, autoregressive, propd-static, propd-unpruned"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 2 after an error of the user."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ProPDError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m propd",
        description="Token-tree decoding with early pruning and dynamic trees (ProPD).",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _generate_parser(commands.add_parser("generate", help="answer a prompt"))
    _bench_parser(commands.add_parser("bench", help="compare the methods on this machine"))
    _lossless_parser(
        commands.add_parser("verify-lossless", help="compare every text with plain decoding")
    )
    _train_parser(commands.add_parser("train", help="train draft heads and an early head"))
    doctor = commands.add_parser("doctor", help="what works here, and what to do about the rest")
    doctor.set_defaults(run=_doctor)
    return parser


def _model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="registry name, folder or Hub id (default: %(default)s)",
    )
    parser.add_argument("--heads", metavar="DIR", help="folder of heads (default: shipped)")
    parser.add_argument(
        "--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: %(default)s)")
    parser.add_argument(
        "--numerics",
        choices=("auto", "fast", "invariant"),
        default="auto",
        help="invariant: the same bits in any tree and batch (default: %(default)s)",
    )


def _generate_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", metavar="PROMPT")
    parser.add_argument(
        "--method",
        default="propd",
        help=f"one of {METHOD_NAMES}",
    )
    parser.add_argument("--max-new-tokens", type=int, default=128, metavar="N")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default)")
    parser.add_argument("--top-k", type=int, default=0, metavar="K", help="0: all tokens")
    parser.add_argument("--top-p", type=float, default=1.0, metavar="P")
    parser.add_argument("--min-p", type=float, default=0.0, metavar="P")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.add_argument("--show-tree", action="store_true", help="print the tree of each step")
    _model_options(parser)
    parser.set_defaults(run=_generate)


def _bench_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", default="autoregressive,bpd,medusa,propd", metavar="A,B")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="JSON lines with 'turns'")
    parser.add_argument("--limit", type=int, default=8, metavar="K", help="prompts at most")
    parser.add_argument("--max-new-tokens", type=int, default=64, metavar="N")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write results.json there")
    _model_options(parser)
    parser.set_defaults(run=_bench)


def _lossless_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="JSON lines with 'turns'")
    parser.add_argument("--limit", type=int, default=20, metavar="K", help="prompts at most")
    parser.add_argument("--methods", default="bpd,medusa,propd", metavar="A,B")
    parser.add_argument("--batch-sizes", default="1", metavar="N,M")
    parser.add_argument("--max-new-tokens", type=int, default=64, metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _model_options(parser)
    parser.set_defaults(run=_verify_lossless)


def _train_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help=".npz of text")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of heads")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="hidden states (OUT/cache)")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1024, help="positions a step")
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name, folder or Hub id")
    parser.add_argument("--device", default="auto", help="where the backbone runs")
    parser.set_defaults(run=_train)


def _generate(options: argparse.Namespace) -> int:
    from propd.requests import check_config, check_prompt

    config = DecodingConfig(
        method=options.method,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        seed=options.seed,
    )
    check_config(config)
    check_prompt(options.prompt)

    from propd.terminal import render_tree, safe

    engine = _load(options)
    texts: list[str] = []
    tokens: list[int] = []
    stats = RunStats()
    for event in engine.stream(options.prompt, config):
        texts.append(event.text)
        tokens += event.token_ids
        stats = stats.add(event)
        if options.show_tree and not options.json:
            print(render_tree(event), end="\n\n", flush=True)
        elif not options.json:
            print(safe(event.text), end="", flush=True)
    if options.json:
        answer = {"text": "".join(texts), "token_ids": tokens, "method": config.method}
        machine = {"dtype": engine.dtype, "device": engine.device}
        print(json.dumps({**answer, **machine, "stats": stats_json(stats)}))
        return 0
    print()
    print(_summary(config.method, stats), file=sys.stderr)
    return 0


def stats_json(stats: RunStats) -> dict[str, float]:
    """The figures of a run under their names."""
    names = [field.name for field in fields(RunStats)] + ["tokens_per_pass", "tokens_per_second"]
    values = {name: getattr(stats, name) for name in names if name != "decoded_tokens"}
    return {name: round(value, 4) for name, value in values.items()}


def _summary(method: str, stats: RunStats) -> str:
    return (
        f"[{method}: {stats.new_tokens} tokens in {stats.seconds:.2f} s, "
        f"{stats.tokens_per_second:.1f} tokens/s, {stats.tokens_per_pass:.2f} tokens per pass; "
        f"{stats.drafted} drafted, {stats.pruned} pruned, {stats.verified} verified]"
    )


def _bench(options: argparse.Namespace) -> int:
    from propd.benchmark.compare import read_prompts, run_benchmark, table, write_results

    prompts = read_prompts(options.prompts, options.limit)
    engine = _load(options)
    methods = [name.strip() for name in options.methods.split(",")]
    results = run_benchmark(engine, methods, prompts, options.max_new_tokens, _report)
    print(table(results))
    if options.out:
        write_results(options.out, engine, results, options.max_new_tokens)
    return 0


def _verify_lossless(options: argparse.Namespace) -> int:
    from propd.benchmark.compare import read_prompts
    from propd.benchmark.lossless import verify_lossless
    from propd.requests import check_config, check_rows

    methods = [name.strip() for name in options.methods.split(",")]
    sizes = _whole_numbers(options.batch_sizes)
    for method in methods:
        check_config(DecodingConfig(method=method, max_new_tokens=options.max_new_tokens))
    for size in sizes:
        check_rows(size)
    prompts = read_prompts(options.prompts, options.limit)
    engine = _load(options)
    report = verify_lossless(engine, prompts, methods, sizes, options.max_new_tokens, _report)
    if options.json:
        print(json.dumps(report.to_json()))
    else:
        counts = ("compared", "identical", "near_ties", "different")
        print(", ".join(f"{getattr(report, name)} {name.replace('_', ' ')}" for name in counts))
        for difference in report.differences:
            print(difference)
    return 1 if report.different else 0


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InvalidRequest(
            f"'{text}' is no list of whole numbers; write for example 1,4."
        ) from None


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


def _train(options: argparse.Namespace) -> int:
    from propd.engine import load
    from propd.training.command import train_heads
    from propd.training.train import TrainingPlan

    engine = load(options.model, dtype="float32", device=options.device, report=_report)
    plan = TrainingPlan(
        epochs=options.epochs, batch=options.batch, learning_rate=options.learning_rate
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
    )
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from propd.doctor import run_doctor

    return run_doctor()


def _report(message: str) -> None:
    print(f"… {message}", file=sys.stderr, flush=True)
