"""Independent draft heads by our kernel: one operator runs the trunk and all heads.

A step drafts for one position a row, and then some thirty small operations cost more than their
sums (docs/lab-notebook.md, "What stands between the products").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from propd.models.blocked import Blocked

EPSILON = 1e-5
"""Of the root's norm, as in `propd.heads.rooted`."""
Draft = Callable[[Tensor, Tensor], Tensor]
"""Hidden states (B, H) and root embeddings (B, H) -> (B, heads, H), ready for the LM head."""


def by_kernel(blocks: Iterable[nn.Module]) -> Draft | None:
    """The trunk and the heads behind it, if their products are the kernel's; None if they are not.

    blocks: `propd.heads.rooted.ResidualBlock`, packed: the trunk first.
    """
    products = [(block.inner, block.outer) for block in blocks]
    parts: list[Tensor | None] = []
    for inner, outer in products:
        if not (isinstance(inner, Blocked) and isinstance(outer, Blocked)):
            return None
        parts += [inner.blocks, inner.bias, outer.blocks]  # `BlockPart` in drafting.h

    def draft(hidden: Tensor, root: Tensor) -> Tensor:
        ready: Tensor = torch.ops.propd.draft_heads.default(
            hidden.float(), root.float(), parts, EPSILON
        )
        return ready

    return draft
