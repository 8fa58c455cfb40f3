"""Training text: token sequences that the model itself wrote, and where each answer begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from propd.errors import InvalidRequest


@dataclass(frozen=True)
class Corpus:
    """S sequences, one after another.

    ``tokens`` (T,) holds all tokens; sequence s is ``tokens[starts[s] : starts[s + 1]]`` and its
    answer begins at ``prompt_lengths[s]`` within it.
    """

    tokens: np.ndarray
    starts: np.ndarray
    prompt_lengths: np.ndarray

    @classmethod
    def load(cls, path: Path) -> Corpus:
        """Read an .npz with the arrays ``tokens``, ``prompt_len`` and ``total_len``.

        Of a folder that `propd.training.distill` wrote, all shards one after another.
        """
        if path.is_dir():
            shards = sorted(path.glob("shard-*.npz"))
            if not shards:
                raise InvalidRequest(
                    f"{path} holds no shards; write some with 'python -m propd distill'."
                )
            return cls.load_all(shards)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                tokens = arrays["tokens"].astype(np.int64)
                totals = arrays["total_len"].astype(np.int64)
                prompts = arrays["prompt_len"].astype(np.int64)
        except (OSError, KeyError, ValueError) as error:
            raise InvalidRequest(
                f"{path} is no training text ({error}); it must be an .npz with the arrays "
                "tokens, prompt_len and total_len."
            ) from error
        starts = np.concatenate([[0], totals.cumsum()])
        if starts[-1] != len(tokens) or len(totals) != len(prompts) or (prompts >= totals).any():
            raise InvalidRequest(f"{path} is damaged: its lengths do not add up; make it anew.")
        return cls(tokens, starts, prompts)

    @classmethod
    def load_all(cls, paths: Sequence[Path]) -> Corpus:
        """Several files or folders, one after another."""
        parts = [cls.load(path) for path in paths]
        ends = np.cumsum([len(part.tokens) for part in parts])
        starts = [
            part.starts[:-1] + end - len(part.tokens) for part, end in zip(parts, ends, strict=True)
        ]
        return cls(
            np.concatenate([part.tokens for part in parts]),
            np.concatenate([*starts, ends[-1:]]),
            np.concatenate([part.prompt_lengths for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.prompt_lengths)

    def sequence(self, index: int) -> np.ndarray:
        """Tokens of one sequence, prompt and answer."""
        return self.tokens[self.starts[index] : self.starts[index + 1]]

    def answer_positions(self, index: int) -> np.ndarray:
        """Absolute positions whose next token is part of the answer, all but the last of those.

        At position t the model knows the text up to t; t + 1 is the root, t + 1 + d what draft
        head d has to guess; so there must be at least one token after the root.
        """
        first = self.starts[index] + self.prompt_lengths[index] - 1
        return np.arange(first, self.starts[index + 1] - 2)

    def split(self, held_out_every: int = 20) -> tuple[list[int], list[int]]:
        """Indices of sequences to train on, and of those held out (every 20th)."""
        held_out = [i for i in range(len(self)) if i % held_out_every == held_out_every - 1]
        kept = [i for i in range(len(self)) if i % held_out_every != held_out_every - 1]
        return kept, held_out

    def answers(self) -> Iterator[tuple[list[int], int]]:
        """Sequences to train on, each with the place where its answer begins."""
        for index in self.split()[0]:
            yield self.sequence(index).tolist(), int(self.prompt_lengths[index])

    def frequent_tokens(self, count: int, always: tuple[int, ...] = ()) -> np.ndarray:
        """The ``count`` most frequent answer tokens, ascending ids, end tokens among them."""
        answers = [self.sequence(i)[self.prompt_lengths[i] :] for i in self.split()[0]]
        size = max(always, default=0) + 1
        frequency = np.bincount(np.concatenate(answers), minlength=size).astype(np.float64)
        frequency[list(always)] = np.inf
        return np.sort(np.argsort(-frequency, kind="stable")[:count])
