"""The model card of a folder of heads, written from its config so that it cannot disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from propd.heads.phrase_files import PHRASES
from propd.heads.rooted import HeadsConfig


def write_card(folder: Path, config: HeadsConfig) -> None:
    """Write README.md beside the weights."""
    facts, ks = config.training, next(iter(config.early_recall.values()))
    lines = [
        f"# Draft heads and early head for {config.base_model}",
        "",
        "Made by ProPD Studio for token-tree decoding. They only propose and drop candidates: what",
        "is written is decided by the base model alone, whatever these heads say.",
        "",
        f"- {config.draft_heads} draft heads (Medusa style, independent of each other), which also "
        "see the root token; shared trunk",
        f"  of width {config.trunk_width}, one residual block of width {config.head_width} a head",
        f"- early heads after layers {', '.join(map(str, sorted(config.prune_layers)))} "
        f"(recommended: {config.prune_layers[0]}), width {config.early_width}, recommended "
        f"top-k {config.prune_top_k}",
        f"- reduced vocabulary of {facts.get('vocabulary')} tokens (early heads rank candidates "
        f"among the {facts.get('reference')} of them with the lowest ids): rows of the model's LM "
        "head, which are not stored here",
        *_phrases(folder),
        "- float16 safetensors; licence Apache-2.0, as the base model's",
        "",
        "## Training",
        "",
        f"- data: {facts.get('data')}; {facts.get('positions'):,} training positions",
        f"- {facts.get('steps'):,} steps of {facts.get('batch')} positions "
        f"({facts.get('tokens_seen'):,} seen), AdamW, learning rate {facts.get('learning_rate')}",
        f"- {facts.get('machine')}, {facts.get('minutes')} minutes of training "
        f"(the hidden states came before), {facts.get('date')}",
        *_begun_with(facts),
        f"- command: `{facts.get('command', 'python -m propd train')}`",
        *([f"- phrases: {facts['phrases']}"] if "phrases" in facts else []),
        *([f"- {facts['note']}"] if "note" in facts else []),
        "",
        "## Accuracy on held-out text of the same kind (every 20th answer)",
        "",
        "| head | top-1 | top-3 | top-5 | top-10 |",
        "| --- | --- | --- | --- | --- |",
        *(_row(d + 1, row) for d, row in enumerate(config.acceptance_table)),
        "",
        "| early head after layer: next token in top | " + " | ".join(ks) + " |",
        "| --- |" + " --- |" * len(ks),
        *(
            f"| {layer} | " + " | ".join(f"{v:.3f}" for v in recall.values()) + " |"
            for layer, recall in config.early_recall.items()
        ),
        "",
        "## Limits",
        "",
        "Trained on English chat-like text that this very model wrote. On other languages, long",
        "contexts or other weights (a fine-tune, a heavier quantisation) they guess worse; the",
        "text stays right and only the speed-up shrinks.",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines))


def _phrases(folder: Path) -> list[str]:
    if not (folder / PHRASES).exists():
        return []
    return [
        f"- {PHRASES}: what followed one to three tokens of text the model wrote; by it the",
        "  heads' guesses are weighed anew behind each guess before them",
    ]


def _begun_with(facts: dict[str, Any]) -> list[str]:
    """Of the heads that were trained further."""
    if "begun_with" not in facts:
        return []
    before = facts["begun_with"]
    return [
        f"- begun with heads trained on {before.get('data')}; {before.get('positions'):,} training "
        f"positions ({before.get('tokens_seen'):,} seen, learning rate "
        f"{before.get('learning_rate')}, {before.get('date')})",
    ]


def _row(head: int, table: tuple[float, ...]) -> str:
    cells = " | ".join(f"{sum(table[:k]):.3f}" for k in (1, 3, 5, 10))
    return f"| {head} | {cells} |"
