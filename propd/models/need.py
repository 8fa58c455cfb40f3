"""Memory that a model will take, computed from its sizes before anything of it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from propd.errors import NoRoom
from propd.models.shape import Shape

PLANNED_TOKENS = 2048
"""Of each row, where nobody has said yet how long the texts will be."""
PLANNED_NODES = 64
"""Of the largest step of a row: a tree of 63 nodes and its root."""
BLOCK, OUTER = 64, 256
"""nf4: numbers that share a scale of 8 bits, and scales that share one of 32 (bitsandbytes)."""


def matrix_bytes(outputs: int, inputs: int, weights: str, itemsize: int) -> int:
    """What a weight (outputs, inputs) takes. itemsize: of a dense number.

    int4 counts the dense copy too, which prompts are read with, in float32 at most; w4a8 has none.
    """
    count = outputs * inputs
    if weights == "int8":
        return count + 4 * outputs
    if weights == "nf4":
        blocks = -(-count // BLOCK)
        return count // 2 + blocks + 4 * -(-blocks // OUTER)
    groups = count * 5 // 8
    return {"int4": count * 4 + groups, "w4a8": groups}.get(weights, count * itemsize)


def cache_bytes(shape: Shape, rows: int, tokens: int, itemsize: int) -> int:
    """K and V of all layers. rows of ``tokens`` tokens each; itemsize: of a number in them."""
    return 2 * shape.layer_count * rows * tokens * shape.kv_heads * shape.head_size * itemsize


def step_bytes(vocabulary: int, hidden: int, rows: int, nodes: int, itemsize: int) -> int:
    """Logits and hidden states of the largest step: ``nodes`` nodes a row, the root included."""
    # logits once in the model's dtype and once in float32; hidden states are small beside them
    return rows * nodes * (vocabulary + 8 * hidden) * (itemsize + 4)


def medusa_bytes(shape: Shape, heads: int, itemsize: int) -> int:
    """Medusa heads with a residual block and an LM head each."""
    hidden = shape.hidden_size
    return heads * (hidden * hidden + hidden + shape.vocabulary_size * hidden) * itemsize


def heads_bytes(folder: Path, itemsize: int) -> int:
    """Heads in a folder, whose files are in half precision."""
    files = [path for path in folder.glob("*.safetensors") if not path.name.startswith("model")]
    return sum(path.stat().st_size for path in files) * itemsize // 2


@dataclass(frozen=True)
class Need:
    """Bytes that a model takes, by what takes them. Layers may lie apart, the rest may not."""

    layer: int
    """Weights of one layer."""
    layers: int
    """How many there are."""
    words: int
    """Embedding and LM head."""
    heads: int
    cache: int
    """K and V of all layers."""
    step: int
    """Logits and hidden states of the largest step."""
    rows: int
    tokens: int
    """Of each row."""

    @classmethod
    def of(
        cls,
        shape: Shape,
        weights: str,
        itemsize: int,
        *,
        heads: int = 0,
        rows: int = 1,
        tokens: int | None = None,
        cache_itemsize: int | None = None,
    ) -> Need:
        """weights: dense, w4a8, int4, int8 or nf4. itemsize: bytes of a dense number. heads: bytes.

        tokens: of each row, `PLANNED_TOKENS` if nobody knows. cache_itemsize: of a number in K
        and V, which is wider than others in invariant numerics.
        """
        # norms are kept in float32
        norms = 4 * 2 * shape.hidden_size
        matrices = (matrix_bytes(*one, weights, itemsize) for one in shape.matrices)
        words = shape.vocabulary_size * shape.hidden_size * itemsize
        length = min(tokens or PLANNED_TOKENS, shape.max_positions)
        sizes = (shape.vocabulary_size, shape.hidden_size)
        return cls(
            layer=sum(matrices) + norms,
            layers=shape.layer_count,
            words=words * (1 if shape.tied else 2),
            heads=heads,
            cache=cache_bytes(shape, rows, length + PLANNED_NODES, cache_itemsize or itemsize),
            step=step_bytes(*sizes, rows, PLANNED_NODES, itemsize),
            rows=rows,
            tokens=length,
        )

    @property
    def weights(self) -> int:
        """All weights of the model, without the heads."""
        return self.layers * self.layer + self.words

    @property
    def home(self) -> int:
        """What lies together on the first device: all but the layers with their K and V."""
        return self.words + self.heads + self.step

    @property
    def placed_layer(self) -> int:
        """One layer with its K and V."""
        return self.layer + -(-self.cache // self.layers)

    @property
    def total(self) -> int:
        """All of it."""
        return self.home + self.layers * self.placed_layer

    def sentence(self) -> str:
        """What it takes, for a stage of loading."""
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return (
            f"memory needed: {in_gb(self.total)} (weights {in_gb(self.weights)}, heads "
            f"{in_gb(self.heads)}, {rows} of {self.tokens:,} tokens {in_gb(self.cache)}, "
            f"a step {in_gb(self.step)})"
        )


def in_gb(count: int) -> str:
    """Bytes as GB, with a digit that says something of small models too."""
    return f"{count / 1e9:,.{1 if count >= 1e10 else 2}f} GB"


def told_free(free: Mapping[str, int]) -> str:
    """Free memory by device."""
    return ", ".join(f"{in_gb(count)} on {name}" for name, count in free.items())


def check_room(need: Need, free: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    """Refuse a model that does not fit. free, wanted: bytes by device."""
    if all(wanted[name] <= free.get(name, 0) for name in wanted):
        return
    parts = ", ".join(f"{in_gb(count)} on {name}" for name, count in wanted.items())
    raise NoRoom(
        f"The model needs {parts} and {told_free(free)} may be used; take narrower weights "
        "(int8, nf4), a narrower dtype, more devices (--device-map auto) or a smaller model."
    )


def wanted_of(need: Need, home: str, layers: Sequence[str]) -> dict[str, int]:
    """Bytes by device, when the layers lie on these devices."""
    wanted = {home: need.home}
    for name in layers:
        wanted[name] = wanted.get(name, 0) + need.placed_layer
    return wanted
