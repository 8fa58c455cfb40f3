"""Pruners: which drafted nodes the early head's word lets go on.

`TopK` is the paper's rule, `Threshold` is ours; the third, `propd.planning.budget`, is ours too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

from torch import Tensor

from propd.planning.feedback import Feedback
from propd.tree.pruning import EarlyTensors, EarlyView


class Pruner(Protocol):
    """Decides which drafted nodes reach the late layers.

    To bring your own: answer in `keep` for each of T nodes. The loop keeps the roots and drops what
    hangs below a dropped node, whatever the answer; the text stays right whatever you drop.
    """

    name: str
    """As events tell it."""

    def keep(self, view: EarlyView) -> Sequence[bool]:
        """(T,) whether each node shall go on."""
        ...

    def learn(self, feedback: Feedback) -> None:
        """What became of the nodes."""
        ...


class DevicePruner(Pruner, Protocol):
    """A pruner that can also decide on the device, so that the host need not wait for the early
    head's word (`propd.one_read`)."""

    def keeps(self, seen: EarlyTensors) -> Tensor:
        """As `keep`: (R, N) bool, any of padding; nothing is read."""
        ...


def can_keep_on_device(pruner: Pruner) -> TypeGuard[DevicePruner]:
    """Whether it can."""
    return hasattr(pruner, "keeps")


class TopK:
    """The paper's rule: a child outside its parent's top-k of the early head goes."""

    name = "topk"

    def __init__(self, k: int) -> None:
        self.k = k

    def keep(self, view: EarlyView) -> list[bool]:
        """Ties with the k-th stay."""
        return [rank is None or rank < self.k for rank in view.ranks]

    def keeps(self, seen: EarlyTensors) -> Tensor:
        """The same."""
        return seen.ranks < self.k

    def learn(self, feedback: Feedback) -> None:
        """Nothing to learn."""


class Threshold:
    """A child that the early head calls less probable than a fixed chance goes (ours)."""

    name = "threshold"

    def __init__(self, least: float) -> None:
        self.least = least

    def keep(self, view: EarlyView) -> list[bool]:
        """Equal to the threshold stays."""
        return [chance is None or chance >= self.least for chance in view.probabilities]

    def keeps(self, seen: EarlyTensors) -> Tensor:
        """The same."""
        return seen.chances >= self.least

    def learn(self, feedback: Feedback) -> None:
        """Nothing to learn."""


def told_of(pruner: Pruner) -> dict[str, Any]:
    """What an event tells of the rule, in its own fields."""
    told: dict[str, Any] = {"prune_rule": pruner.name}
    if isinstance(pruner, TopK):
        told["prune_top_k"] = pruner.k
    if isinstance(pruner, Threshold):
        told["prune_threshold"] = pruner.least
    return told
