"""Pages that are made by a command: `python -m propd.generated_docs [--check]`.

`docs/cli.md` is the help of every command. The tables of the README are the last benchmarks, out of
`docs/benchmark*.json`; the memory of the paper's models in `docs/gpu.md` is computed.
`--check` writes nothing and exits with 1 if a page is stale; CI runs it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from propd.cli import build_parser

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = {
    "As it comes: weights of 4 bits, inputs of 8": ROOT / "docs" / "benchmark-w4a8.json",
    "In float32": ROOT / "docs" / "benchmark.json",
}
"""Title to results."""
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
MEMORY_BEGIN, MEMORY_END = "<!-- memory:begin -->", "<!-- memory:end -->"
MEMORY_MODELS = ("vicuna-7b-v1.3", "vicuna-13b-v1.3", "vicuna-33b-v1.3")


def cli_page() -> str:
    """Help of the program, of each command and of each action of a command."""
    os.environ["COLUMNS"] = "100"
    parts = ["# Command line", "", "Made by `python -m propd.generated_docs`; do not edit."]
    for title, command in _commands("python -m propd", build_parser()):
        parts += ["", f"## `{title}`", "", "```", command.format_help().rstrip(), "```"]
    return "\n".join(parts) + "\n"


def _commands(
    title: str, parser: argparse.ArgumentParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield title, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from _commands(f"{title} {name}", command)


def readme_page() -> str:
    """The README with the table of the last benchmark."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{benchmark_section()}{END}{after}"


def gpu_page() -> str:
    """docs/gpu.md with the memory of the paper's models."""
    from propd.models.need_table import need_table

    text = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    before, rest = text.split(MEMORY_BEGIN)
    after = rest.split(MEMORY_END)[1]
    table = need_table(MEMORY_MODELS, (1, 32), 2048)
    return f"{before}{MEMORY_BEGIN}\n{table}\n{MEMORY_END}{after}"


def benchmark_section() -> str:
    """The tables, and how they were measured."""
    parts = [_benchmark(title, path) for title, path in BENCHMARKS.items() if path.exists()]
    return "\n\n".join(["## Measured", *parts]) + "\n\n" if parts else ""


def _benchmark(title: str, path: Path) -> str:
    from propd.benchmark.results import read_results
    from propd.benchmark.table import page

    results = read_results(path)
    about = results.about
    groups = {"int4": " with weights in groups of 4 bits", "w4a8": " with weights w4a8"}
    four_bit = groups.get(about.get("weights", ""), "")
    how = (
        f"{about['prompts']} prompts, {about['max_new_tokens']} new tokens each, greedy, "
        f"{about['model']}, {about['dtype']}{four_bit}, batch "
        f"{', '.join(map(str, about['batch_sizes']))}, "
        f"{about['machine']}, torch {about['versions']['torch']}. "
        f"Command: `python -m propd {about['command']}`."
    )
    return f"### {title}\n\n{page(results)}\n\n{how}"


def pages() -> dict[Path, str]:
    """Every generated page and what it should say."""
    return {
        ROOT / "docs" / "cli.md": cli_page(),
        ROOT / "README.md": readme_page(),
        ROOT / "docs" / "gpu.md": gpu_page(),
    }


def main() -> int:
    """Write the pages, or with --check tell which are stale."""
    check = "--check" in sys.argv[1:]
    stale = [
        path
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is stale; run python -m propd.generated_docs")
        else:
            path.write_text(pages()[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
