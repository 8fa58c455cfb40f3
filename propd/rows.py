"""One sequence being decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from propd.core import FinishReason
from propd.planning.drafts import HeadDrafts
from propd.planning.phrases import LONGEST
from propd.planning.text_index import TextIndex
from propd.tree.sampling import Chooser
from propd.verification import Verdict


@dataclass
class Row:
    """State of one sequence. Its place in the session's list is its row of the cache."""

    number: int
    """Number of the request; events carry it."""
    remaining: int
    """Tokens it may still write."""
    chooser: Chooser
    prompt_length: int
    began: float = 0.0
    """Seconds of the session's clock when it joined."""
    root: int = -1
    """The token already decided; -1 once the text has ended without one."""
    hidden: Tensor = field(default_factory=lambda: torch.empty(0))
    """(H,) final hidden state of the last kept token."""
    said: HeadDrafts | None = None
    """What the heads guessed ahead for this root (`propd.one_read`); None: they have not run."""
    written: int = 0
    """Tokens written so far."""
    events: int = 0
    """Events told so far."""
    finish_reason: FinishReason | None = None
    tail: tuple[int, ...] = ()
    """The last tokens of the text so far, the root among them."""
    text: TextIndex | None = None
    """Prompt and answer so far, where guesses are made from them."""

    @property
    def cached(self) -> int:
        """Tokens that must lie in the cache: all but the root."""
        return self.prompt_length + self.written - (self.root >= 0)

    def settle(self, verdict: Verdict, final: Tensor, tokens: Sequence[int]) -> None:
        """Move on to where a verdict leaves the row.

        final: (n, H) of its verified nodes; tokens: (n,) their ids.
        """
        accepted = verdict.acceptance
        written = accepted.written(tokens)
        if self.text is not None:
            self.text.add(written)
        self.tail = (*self.tail, *written)[-LONGEST:]
        self.hidden = final[accepted.path[-1] if accepted.path else 0]
        self.root = -1 if accepted.bonus is None else accepted.bonus
        self.written += accepted.count
        self.remaining -= accepted.count
        self.finish_reason = verdict.finish_reason
        if self.finish_reason is None and self.remaining <= 0:
            self.finish_reason = "length"
