"""The command line, `python -m propd COMMAND`: its commands and their options.

What the commands do is in `propd.commands` and `propd.measure_commands`. Heavy modules are imported
by the command that needs them, so that help and errors come at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from propd import commands, measure_commands
from propd.config_options import METHOD_NAMES, PEERS, UNPRUNED, text_options, tree_options
from propd.errors import ProPDError
from propd.models.registry import DEFAULT_MODEL
from propd.trace_commands import trace_parser

__all__ = ["METHOD_NAMES", "build_parser", "main"]


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
    actions = parser.add_subparsers(required=True, metavar="COMMAND")
    _generate_parser(actions.add_parser("generate", help="answer a prompt"))
    _bench_parser(actions.add_parser("bench", help="compare the methods on this machine"))
    _accuracy_parser(actions.add_parser("accuracy", help="measure how good the guesses are"))
    _quality_parser(
        actions.add_parser("quality", help="what narrower numbers cost, against float32")
    )
    _sizes_parser(actions.add_parser("sizes", help="compare fixed tree sizes with the dynamic one"))
    _pruning_parser(
        actions.add_parser("pruning", help="what early pruning is worth, by prune layer and k")
    )
    _costs_parser(actions.add_parser("costs", help="record what a step costs on this machine"))
    _lossless_parser(
        actions.add_parser("verify-lossless", help="compare every text with plain decoding")
    )
    _throughput_parser(
        actions.add_parser("throughput", help="plain decoding of a pile, beside transformers")
    )
    _distill_parser(
        actions.add_parser("distill", help="let the model write training text for its heads")
    )
    _train_parser(actions.add_parser("train", help="train draft heads and an early head"))
    _convert_parser(
        actions.add_parser("convert", help="turn pickled Medusa heads (.pt) into safetensors")
    )
    trace_parser(actions.add_parser("trace", help="check, convert or show a recorded run"))
    doctor = actions.add_parser("doctor", help="what works here, and what to do about the rest")
    _doctor_parser(doctor)
    _memory_parser(
        actions.add_parser("memory", help="what a model will take, before it is loaded or fetched")
    )
    return parser


def _model_options(parser: argparse.ArgumentParser, weights: str = "auto") -> None:
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="registry name, folder or Hub id (default: %(default)s)",
    )
    parser.add_argument(
        "--heads", metavar="DIR", help="folder of heads, or Hub id (default: shipped)"
    )
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
    parser.add_argument(
        "--weights",
        choices=("auto", "dense", "w4a8", "int4", "int8", "nf4"),
        default=weights,
        help="w4a8: groups of 4 bits with inputs of 8, fastest on a CPU; int4: with inputs of 16; "
        "auto takes them if the model came from such a file; int8, nf4: by bitsandbytes, for less "
        "memory (default: %(default)s)",
    )
    parser.add_argument(
        "--device-map",
        metavar="MAP",
        help="layers on several devices: auto, or for example cuda:0=20,cuda:1=12",
    )
    parser.add_argument(
        "--one-read",
        action="store_true",
        help="on CUDA: the loop that reads once a step (docs/gpu.md; not run on a GPU yet)",
    )


def _doctor_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gpu",
        action="store_true",
        help="parity and the full comparison on a GPU, as one report to send (docs/gpu.md); all "
        "other options are for it",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="the same very small, on a CPU too: does it work?"
    )
    parser.add_argument(
        "--out", default="runs/gpu", metavar="DIR", help="goes on where it stopped (%(default)s)"
    )
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="JSON lines with 'turns'")
    parser.add_argument("--limit", type=int, metavar="K", help="prompts at most (64)")
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="(128)")
    parser.add_argument("--batch-sizes", metavar="N,M", help="(1,2,4,8,16,32)")
    _model_options(parser)
    parser.set_defaults(run=commands.doctor)


def _memory_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", metavar="MODEL", help="registry name or folder")
    parser.add_argument("--rows", default="1,32", metavar="N,M", help="(%(default)s)")
    parser.add_argument("--tokens", type=int, default=2048, metavar="N", help="of each row")
    parser.set_defaults(run=measure_commands.memory)


def _prompt_options(parser: argparse.ArgumentParser, limit: int) -> None:
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="JSON lines with 'turns'")
    parser.add_argument("--limit", type=int, default=limit, metavar="K", help="prompts at most")
    parser.add_argument("--max-new-tokens", type=int, default=64, metavar="N")


def _generate_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", metavar="PROMPT")
    text_options(parser)
    tree_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.add_argument("--show-tree", action="store_true", help="print the tree of each step")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="record the run in this file")
    _model_options(parser)
    parser.set_defaults(run=commands.generate)


def _bench_parser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--methods",
        default="autoregressive,bpd,medusa,propd",
        metavar="A,B",
        help="plain decoding always runs (default: %(default)s)",
    )
    add("--peers", default="", metavar="A,B", help=f"other programs: {', '.join(PEERS)}")
    add("--assistant", metavar="MODEL", help="small model for transformers-assisted")
    add("--gguf", type=Path, metavar="FILE", help="the same model as a GGUF file, for llama.cpp")
    add("--batch-sizes", default="1", metavar="N,M", help="prompts decoded together (%(default)s)")
    add("--repeats", type=int, default=1, metavar="R", help="run all prompts R times (%(default)s)")
    _prompt_options(parser, limit=8)
    add("--out", type=Path, metavar="DIR", help="write results.json, table.md and plots.html there")
    _model_options(parser)
    parser.set_defaults(run=measure_commands.bench)


def _throughput_parser(parser: argparse.ArgumentParser) -> None:
    _prompt_options(parser, limit=64)
    parser.add_argument("--rows", type=int, default=16, metavar="B", help="decoded together")
    parser.add_argument("--rounds", type=int, default=3, metavar="R", help="(%(default)s)")
    _model_options(parser, weights="dense")
    parser.set_defaults(run=measure_commands.throughput)


def _accuracy_parser(parser: argparse.ArgumentParser) -> None:
    _prompt_options(parser, limit=20)
    parser.add_argument("--rows", type=int, default=8, metavar="B", help="texts written together")
    parser.add_argument(
        "--early", action="store_true", help="of early looks instead: recall by layer and k"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _model_options(parser)
    parser.set_defaults(run=measure_commands.accuracy)


def _quality_parser(parser: argparse.ArgumentParser) -> None:
    _prompt_options(parser, limit=20)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _model_options(parser)
    parser.set_defaults(run=measure_commands.quality)


def _sizes_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--method",
        choices=("propd", "propd-paper", "propd-heads", "propd-unpruned"),
        default="propd",
        help="the dynamic method (default: %(default)s)",
    )
    parser.add_argument("--sizes", metavar="0,N,M", help="fixed sizes to compare with, 0 first")
    parser.add_argument("--batch-sizes", default="1,2,4,8,16", metavar="N,M")
    _prompt_options(parser, limit=20)
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="R", help="after one that warms up (%(default)s)"
    )
    parser.add_argument(
        "--useless-heads", action="store_true", help="with heads that are never right"
    )
    tree_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _model_options(parser)
    parser.set_defaults(run=measure_commands.sizes)


def _pruning_parser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--layers", metavar="L,M", help="prune layers (default: all that the heads have)")
    add("--tops", default="5,10,20,50,100", metavar="K,L", help="values of k (%(default)s)")
    add("--keep", type=float, metavar="SHARE", help="the best share of the nodes, in place of k")
    add("--method", choices=UNPRUNED, default="propd", help="whose trees (default: %(default)s)")
    add("--rows", type=int, default=1, metavar="B", help="decoded together (%(default)s)")
    add("--tree-size", type=int, metavar="N", help="nodes of every tree (default: chosen)")
    _prompt_options(parser, limit=20)
    add("--json", action="store_true", help="print one JSON object")
    _model_options(parser)
    parser.set_defaults(run=measure_commands.pruning)


def _costs_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="write the table there (JSON)"
    )
    parser.add_argument(
        "--rows", type=int, default=1, metavar="N", help="sequences at once (default: %(default)s)"
    )
    parser.add_argument(
        "--sweeps",
        type=int,
        default=1,
        metavar="K",
        help="measure K times and keep the least: other work only adds (default: %(default)s)",
    )
    _model_options(parser)
    parser.set_defaults(run=measure_commands.costs)


def _lossless_parser(parser: argparse.ArgumentParser) -> None:
    _prompt_options(parser, limit=20)
    parser.add_argument("--methods", default="bpd,medusa,propd", metavar="A,B")
    parser.add_argument("--batch-sizes", default="1", metavar="N,M")
    tree_options(parser)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="keep what is done in this file, and go on from it when run again",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _model_options(parser)
    parser.set_defaults(run=measure_commands.verify_lossless)


def _distill_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="shards; goes on where it stopped"
    )
    parser.add_argument(
        "--tokens", type=int, default=1_000_000, metavar="N", help="of answers (%(default)s)"
    )
    parser.add_argument(
        "--texts", type=Path, metavar="FILE", help="JSON lines of texts to work on (kind, text)"
    )
    parser.add_argument("--rows", type=int, default=16, metavar="B", help="decoded together")
    parser.add_argument("--answer-tokens", type=int, default=192, metavar="N", help="at most")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    _model_options(parser, weights="dense")
    parser.set_defaults(run=commands.distill)


def _train_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="folders of shards, or .npz files",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of heads")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="hidden states (OUT/cache)")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1024, help="positions a step")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument(
        "--prune-layers",
        type=int,
        nargs="+",
        default=[4, 2, 8],
        metavar="L",
        help="layers with an early head, the recommended one first (default: 4 2 8)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--early-only", action="store_true", help="no draft heads; OUT holds somebody else's"
    )
    what.add_argument(
        "--begin-with",
        type=Path,
        metavar="HEADS",
        help="train these heads further, in their shape and reduced vocabulary",
    )
    what.add_argument(
        "--phrases-only",
        action="store_true",
        help="no training: count what usually follows a few tokens, beside the heads in OUT",
    )
    what.add_argument(
        "--dependent", action="store_true", help="each head sees what was guessed before it (Hydra)"
    )
    parser.add_argument(
        "--precision", choices=("no", "fp16", "bf16"), default="no", help="mixed precision"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name, folder or Hub id")
    parser.add_argument("--device", default="auto", help="where the backbone runs")
    parser.set_defaults(run=commands.train)


def _convert_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="IN.pt", help="read without running its code")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of heads")
    parser.add_argument(
        "--base-model", metavar="NAME", help="Hub id of the model that the heads belong to"
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is in the folder")
    parser.set_defaults(run=commands.convert)
