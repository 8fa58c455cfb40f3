"""The sizes of a model as its config tells them, before a weight of it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from propd.errors import ModelUnavailable


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama-like decoder, under the names that `propd.models.backbone.Backbone` has."""

    layer_count: int
    hidden_size: int
    mlp_size: int
    query_heads: int
    kv_heads: int
    head_size: int
    vocabulary_size: int
    max_positions: int
    tied: bool = False
    """Whether the LM head is the embedding."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """The sizes in a config.json; `ModelUnavailable` if one is missing or no number."""
        try:
            queries = int(config["num_attention_heads"])
            hidden = int(config["hidden_size"])
            return cls(
                layer_count=int(config["num_hidden_layers"]),
                hidden_size=hidden,
                mlp_size=int(config["intermediate_size"]),
                query_heads=queries,
                kv_heads=int(config.get("num_key_value_heads") or queries),
                head_size=int(config.get("head_dim") or hidden // queries),
                vocabulary_size=int(config["vocab_size"]),
                max_positions=int(config["max_position_embeddings"]),
                tied=bool(config.get("tie_word_embeddings", False)),
            )
        except (LookupError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ModelUnavailable(
                f"The model's config.json does not tell its sizes ({error}); save it again."
            ) from error

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """(outputs, inputs) of the products of a layer, fused as the engine multiplies them."""
        hidden, heads = self.hidden_size, self.query_heads * self.head_size
        return (
            (heads + 2 * self.kv_heads * self.head_size, hidden),
            (hidden, heads),
            (2 * self.mlp_size, hidden),
            (hidden, self.mlp_size),
        )

    @property
    def parameters(self) -> int:
        """Weights of the whole model; biases, which few models have, are not counted."""
        layer = sum(rows * columns for rows, columns in self.matrices) + 2 * self.hidden_size
        words = self.vocabulary_size * self.hidden_size * (1 if self.tied else 2)
        return self.layer_count * layer + words + self.hidden_size
