"""Draft heads and the early head: what guesses the next tokens, and what prunes the guesses.

Draft heads in the spirit of Medusa (FasterDecoding/Medusa, medusa_model.py): independent of one
another, residual, read off the last accepted hidden state. Ours differ in three named ways: they
also see the embedding of the root token, which is known when they run; they share a trunk; and they
speak a reduced vocabulary (the rows of the model's own LM head for its most frequent tokens), which
makes them several times cheaper.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from propd.errors import ModelUnavailable
from propd.models.backbone import Backbone
from propd.models.linear import Linear

FORMAT = "propd-heads/1"
RANKS = 10
"""Guesses a head may put into the tree at one depth (Medusa's TOPK)."""
DRAFT, EARLY, CONFIG = "draft.safetensors", "early.safetensors", "config.json"
"""Two files, so that each stays below the 10 MB that a plain git host takes."""


@dataclass(frozen=True)
class HeadsConfig:
    """Shape of the heads and what training measured of them."""

    base_model: str
    hidden_size: int
    vocabulary_size: int
    draft_heads: int
    trunk_width: int
    head_width: int
    early_width: int
    prune_layer: int
    """The early head reads the hidden state after this many layers."""
    prune_top_k: int
    """Recommended k of early pruning."""
    acceptance_table: tuple[tuple[float, ...], ...]
    """Held-out chance that head d's guess of rank k is right; the prior of the estimator."""
    early_recall: dict[str, float]
    """Held-out chance that the next token is in the early head's top-k, by k."""
    training: dict[str, object]
    """Data, steps, command and date, for the model card."""
    format: str = FORMAT


@dataclass(frozen=True)
class HeadsShape:
    """All that the engine must know of heads: what to give heads of your own as ``config``."""

    draft_heads: int
    """How many depths they guess for."""
    prune_layer: int
    """The early head reads the hidden state after this many layers."""
    prune_top_k: int
    """k of the pruning rule ``topk``, unless a request gives its own."""
    acceptance_table: tuple[tuple[float, ...], ...]
    """Chance that head d's guess of rank k is right, `RANKS` a head; a guess will do."""


AnyShape = HeadsConfig | HeadsShape


class ResidualBlock(nn.Module):
    """x + W2 silu(W1 [x; extra]); begins as the identity in x."""

    inner: Callable[[Tensor], Tensor]
    outer: Callable[[Tensor], Tensor]

    def __init__(self, size: int, width: int, extra: int = 0) -> None:
        super().__init__()
        self.inner = nn.Linear(size + extra, width)
        outer = nn.Linear(width, size, bias=False)
        nn.init.zeros_(outer.weight)
        self.outer = outer

    def forward(self, x: Tensor, extra: Tensor | None = None) -> Tensor:
        """(..., size) and (..., extra) -> (..., size)."""
        seen = x if extra is None else torch.cat([x, extra], dim=-1)
        return x + self.outer(F.silu(self.inner(seen)))


class HeadWeights(nn.Module):
    """The trained part: everything but the LM head rows, which belong to the model."""

    def __init__(self, config: HeadsConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.trunk = ResidualBlock(size, config.trunk_width, extra=size)
        self.heads = nn.ModuleList(
            ResidualBlock(size, config.head_width) for _ in range(config.draft_heads)
        )
        self.early = ResidualBlock(size, config.early_width)
        self.early_norm = nn.Parameter(torch.ones(size))

    def draft(self, hidden: Tensor, root: Tensor) -> Tensor:
        """Last accepted hidden state (B, H) and root embedding (B, H) -> (B, heads, H)."""
        trunk = self.trunk(hidden, _unit(root))
        return torch.stack([head(trunk) for head in self.heads], dim=-2)

    def look_early(self, hidden: Tensor) -> Tensor:
        """Hidden states after the prune layer (..., H) -> (..., H), ready for the LM head rows."""
        return self.early(_unit(hidden) * self.early_norm)


def _packed(weights: HeadWeights) -> HeadWeights:
    """A copy with packed linear layers: faster for few rows, but nothing to train or to save."""
    packed = copy.deepcopy(weights)
    for block in packed.modules():
        if isinstance(block, ResidualBlock):
            for name in ("inner", "outer"):
                layer = getattr(block, name)
                delattr(block, name)  # a module gives its place only to a module
                setattr(block, name, Linear(layer.weight, layer.bias))
    return packed


def _unit(x: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], eps=1e-5)


class DraftHeads(Protocol):
    """What the engine needs of heads. Bring your own: the text stays right whatever they say."""

    token_map: Tensor
    """(reduced vocabulary,) model token id of each reduced id."""

    @property
    def config(self) -> AnyShape:
        """What the engine must know of the heads; a plain attribute will do."""
        ...

    def draft_logits(self, hidden: Tensor, root_ids: Tensor) -> Tensor:
        """(B, H) after the final norm and (B,) -> (B, heads, reduced vocabulary)."""
        ...

    def early_logits(self, hidden: Tensor) -> Tensor:
        """Hidden states after the prune layer, (..., H) -> (..., reduced vocabulary)."""
        ...


class Heads:
    """Draft heads and early head of one model, ready to run. Read-only, shared."""

    def __init__(
        self, config: HeadsConfig, weights: HeadWeights, token_map: Tensor, backbone: Backbone
    ) -> None:
        self.config = config
        self.weights = weights.to(backbone.device, backbone.dtype).eval().requires_grad_(False)
        self._packed = _packed(self.weights)
        self.token_map = token_map.to(backbone.device)
        """(reduced vocabulary,) model token id of each reduced id."""
        self.output = Linear(backbone.lm_head_weight[self.token_map])
        self.embedding = backbone.embedding

    def draft_logits(self, hidden: Tensor, root_ids: Tensor) -> Tensor:
        """(B, H) after the final norm and (B,) -> (B, heads, reduced vocabulary)."""
        return self.output(self._packed.draft(hidden, F.embedding(root_ids, self.embedding)))

    def early_logits(self, hidden: Tensor) -> Tensor:
        """Hidden states after the prune layer, (..., H) -> (..., reduced vocabulary)."""
        return self.output(self._packed.look_early(hidden))

    @classmethod
    def load(cls, folder: Path, backbone: Backbone) -> Heads:
        """Read safetensors and config; refuse what does not fit the backbone."""
        try:
            config = _read_config(folder / CONFIG)
            tensors = {**load_file(folder / DRAFT), **load_file(folder / EARLY)}
            token_map = tensors.pop("token_map").long()
            weights = HeadWeights(config)
            weights.load_state_dict(tensors)
        except (
            OSError,
            LookupError,
            TypeError,
            ValueError,
            RuntimeError,
            SafetensorError,
        ) as error:
            raise ModelUnavailable(
                f"The heads in {folder} cannot be read ({error}); train or fetch them anew."
            ) from error
        check_fit(f"in {folder}", config, token_map, backbone)
        if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
            raise ModelUnavailable(
                f"The heads in {folder} hold numbers that are not finite; train or fetch them anew."
            )
        return cls(config, weights, token_map, backbone)


def save_heads(folder: Path, config: HeadsConfig, weights: HeadWeights, token_map: Tensor) -> None:
    """Write weights in half precision and the config, in that order."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().half().contiguous() for name, t in weights.state_dict().items()}
    early = {name: tensors.pop(name) for name in list(tensors) if name.startswith("early")}
    save_file({**tensors, "token_map": token_map.to(torch.int32)}, folder / DRAFT)
    save_file(early, folder / EARLY)
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=2) + "\n")


def _read_config(path: Path) -> HeadsConfig:
    raw = json.loads(path.read_text())
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ValueError(f"it does not say format {FORMAT!r}")
    raw["acceptance_table"] = tuple(tuple(row) for row in raw["acceptance_table"])
    return HeadsConfig(**raw)


def check_fit(name: str, config: AnyShape, token_map: Tensor, backbone: Backbone) -> None:
    """Refuse heads that would fail inside the loop. name: what the sentence calls them."""
    table, known = config.acceptance_table, backbone.vocabulary_size
    checks = [
        ("reduced vocabulary", len(token_map), RANKS, known),
        ("smallest token", int(token_map.min()), 0, known - 1),
        ("largest token", int(token_map.max()), 0, known - 1),
        ("layer of the early head", config.prune_layer, 1, backbone.layer_count - 1),
        ("number of heads in the table", len(table), config.draft_heads, config.draft_heads),
        *(("number of ranks in the table", len(row), RANKS, RANKS) for row in table),
    ]
    if isinstance(config, HeadsConfig):
        size = backbone.hidden_size
        checks.insert(0, ("hidden size", config.hidden_size, size, size))
        checks.insert(1, ("vocabulary", config.vocabulary_size, known, known))
    for what, given, low, high in checks:
        if not low <= given <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            raise ModelUnavailable(
                f"The heads {name} do not fit the model: {what} is {given} and must be "
                f"{wanted}; use the heads of this model."
            )
