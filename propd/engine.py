"""A loaded model with its heads, and requests to it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from propd.core import CostTable, DecodingConfig, RunStats, StepEvent
from propd.decoding import DecodingSession
from propd.errors import InvalidRequest
from propd.heads.protocol import DraftHeads, HeadsShape, check_fit
from propd.memory import check_memory
from propd.models.backbone import Backbone
from propd.models.device_map import machine_of
from propd.models.loading import LoadedModel, end_token_ids
from propd.one_read import session_class
from propd.opening import Opening
from propd.planning.cost_book import CostBook
from propd.planning.experience import Experience
from propd.planning.parts import Parts
from propd.planning.planner import Planner
from propd.planning.pruner import Pruner
from propd.requests import (
    MAX_ROWS,
    check_beginning,
    check_prompt,
    check_prompts,
    check_rows,
    prompt_too_long,
    settings_of,
)
from propd.session import Session
from propd.shelf import Shelf
from propd.text import IncrementalDecoder, TokenTexts, prompt_ids


@dataclass(frozen=True)
class Generation:
    """A finished run."""

    text: str
    token_ids: tuple[int, ...]
    stats: RunStats
    events: tuple[StepEvent, ...]


class Engine:
    """A loaded model with its heads: read-only, shared by all requests."""

    def __init__(self, loaded: LoadedModel, backbone: Backbone, heads: DraftHeads | None) -> None:
        self.tokenizer: Any = loaded.tokenizer
        self.backbone, self.weights = backbone, loaded.weights
        self.name = loaded.folder.entry.name if loaded.folder.entry else loaded.folder.path.name
        self.source: str = loaded.folder.source
        self.end_tokens = end_token_ids(loaded.model, loaded.tokenizer)
        self.token_text = TokenTexts(loaded.tokenizer)
        self.one_read = False
        """Whether requests run, where they can, in the loop of `propd.one_read`."""
        self._take(heads)

    @property
    def dtype(self) -> str:
        """Name of the dtype, such as float32."""
        return str(self.backbone.dtype).removeprefix("torch.")

    @property
    def device(self) -> str:
        """Kind of the device: cpu or cuda."""
        return self.backbone.device.type

    @property
    def threads(self) -> int:
        """Threads a product may use."""
        return torch.get_num_threads()

    def describe(self) -> dict[str, Any]:
        """What a trace or a table must say about how it was made."""
        return {
            "model": self.name,
            "source": self.source,
            "dtype": self.dtype,
            "numerics": "invariant" if self.backbone.invariant else "fast",
            "weights": self.weights,
            "device": self.device,
            "heads": self._heads_told(),
            "threads": self.threads,
            "machine": machine_of(self.backbone.device_map),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
        }

    def encode(self, prompt: str) -> list[int]:
        """Token ids of a prompt inside the chat template, ready to be answered."""
        check_prompt(prompt)
        limit = self.backbone.max_positions
        if len(prompt) > limit * 16:
            raise prompt_too_long(f"{len(prompt):,} characters", limit)
        ids = prompt_ids(self.tokenizer, prompt)
        if len(ids) >= limit:
            raise prompt_too_long(f"{len(ids):,} tokens", limit)
        return ids

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The text of the beginning of an answer; half a character waits for its other half."""
        decoder = IncrementalDecoder(self.tokenizer)
        return "".join(map(decoder.push, token_ids))

    def stream(
        self, prompt: str, config: DecodingConfig | None = None, **settings: Any
    ) -> Iterator[StepEvent]:
        """Answer a prompt; one event for the prefill, then one a step. Closing it cancels.

        Settings are the fields of `DecodingConfig`, and ``continuing``, ``planner`` and ``pruner``
        as in `stream_batch`. The request is checked before anything runs.
        """
        return self.stream_batch([prompt], config, max_rows=1, **settings)

    def stream_batch(
        self,
        prompts: Sequence[str],
        config: DecodingConfig | None = None,
        *,
        max_rows: int = MAX_ROWS,
        continuing: Sequence[int] = (),
        planner: Planner | None = None,
        pruner: Pruner | None = None,
        **settings: Any,
    ) -> Iterator[StepEvent]:
        """Answer prompts together, at most ``max_rows`` at once; events tell their ``row``.

        continuing: tokens that every answer begins with, whatever the model would have written;
        the events are those of what it writes after them. planner, pruner: your own in place of
        the method's (docs/extending.md).
        """
        config = settings_of(config, settings)
        check_prompts(prompts)
        check_rows(max_rows)
        encoded = [self._encode(prompt, continuing) for prompt in prompts]
        rows, longest = min(max_rows, len(prompts)), max(map(len, encoded))
        opening = Opening(config, rows, longest, planner, pruner)
        self._check(opening)
        return self._stream(encoded, opening, continuing)

    def open(
        self,
        config: DecodingConfig | None = None,
        *,
        max_rows: int = 1,
        longest_prompt: int | None = None,
        planner: Planner | None = None,
        pruner: Pruner | None = None,
        **settings: Any,
    ) -> Session:
        """An open session of at most ``max_rows`` rows, which join and leave at any step.

        longest_prompt: tokens of the longest prompt to come; None leaves the whole context free.
        planner, pruner: as in `stream_batch`.
        """
        config = settings_of(config, settings)
        check_rows(max_rows)
        longest = self.backbone.max_positions if longest_prompt is None else longest_prompt
        if longest < 1:
            raise InvalidRequest(f"The longest prompt is {longest} tokens; it must be at least 1.")
        opening = Opening(config, max_rows, longest, planner, pruner)
        self._check(opening)
        return self._open(opening)

    def generate(
        self, prompt: str, config: DecodingConfig | None = None, **settings: Any
    ) -> Generation:
        """Answer a prompt and return when it is done."""
        return self.generate_batch([prompt], config, **settings)[0]

    def generate_batch(
        self, prompts: Sequence[str], config: DecodingConfig | None = None, **settings: Any
    ) -> list[Generation]:
        """Answer prompts together and return their answers in order."""
        events: list[list[StepEvent]] = [[] for _ in prompts]
        for event in self.stream_batch(prompts, config, **settings):
            events[event.row].append(event)
        return [_generation(row) for row in events]

    def with_heads(self, heads: DraftHeads) -> Engine:
        """An engine with heads of your own (docs/extending.md); the weights are shared."""
        check_fit(type(heads).__name__, heads.shape, self.backbone)
        other = copy(self)
        other._take(heads)
        return other

    def warm_up(self, rows: int = 1) -> None:
        """Measure now what the first request of a dynamic method would measure: about 2 seconds."""
        self.measure_costs(rows)

    def measure_costs(self, rows: int = 1, sweeps: int = 1) -> CostTable:
        """Times of the segments of a step on this machine, measured once for each batch size.

        Give it as ``cost_table`` to a later run, and its sizes repeat exactly. sweeps: the least
        of so many counts, where other work shares the machine.
        """
        return self._costs.table(rows, sweeps)

    def experience(self) -> Experience:
        """What this engine has learned so far, for another process with the same model."""
        return Experience(self._costs.known())

    def learn(self, experience: Experience) -> None:
        """Take over what an engine of the same model has learned on this machine."""
        self._costs.take(experience.costs)

    def _heads_told(self) -> dict[str, str]:
        """What guesses and what looks early; nothing without heads."""
        shape = self._shape
        return {} if shape is None else {"draft": shape.draft_kind, "early": shape.early_kind}

    def _take(self, heads: DraftHeads | None) -> None:
        self.heads = heads
        self._costs = CostBook(heads, self.encode, self._session)
        self._shelf = Shelf()

    @property
    def _shape(self) -> HeadsShape | None:
        return self.heads.shape if self.heads is not None else None

    def _encode(self, prompt: str, continuing: Sequence[int]) -> list[int]:
        """A prompt and the beginning of its answer."""
        limit = self.backbone.max_positions
        ids = self.encode(prompt)
        if len(ids) + len(continuing) >= limit:
            raise prompt_too_long(
                f"{len(ids):,} tokens, its answer begins with {len(continuing):,},", limit
            )
        check_beginning(continuing, self.backbone.vocabulary_size, self.end_tokens)
        return [*ids, *continuing]

    def _check(self, opening: Opening) -> None:
        self._shelf.checked(lambda: opening.check(self.backbone, self._shape, self._costs))

    def _stream(
        self, prompts: list[list[int]], opening: Opening, continuing: Sequence[int]
    ) -> Iterator[StepEvent]:
        with self._open(opening) as session:
            yield from session.run(prompts, continuing)

    def _open(self, opening: Opening) -> Session:
        parts = opening.parts(self._shape, self._costs)
        decoding = self._session(parts, self.heads, opening.config, opening.longest, opening.rows)
        return Session(decoding, self.tokenizer, self.token_text, self.encode, opening.longest)

    def _session(
        self,
        parts: Parts,
        heads: DraftHeads | None,
        config: DecodingConfig,
        longest: int,
        max_rows: int,
    ) -> DecodingSession:
        capacity = longest + config.max_new_tokens
        most = parts.planner.max_nodes + 1
        slots = min(capacity, self.backbone.max_positions) + most
        self._shelf.checked(lambda: check_memory(self.backbone, max_rows, slots, most))
        loop: Callable[..., DecodingSession] = DecodingSession
        if self.one_read and len(self.backbone.device_map.spans) == 1:
            device = self.backbone.device
            loop = session_class(device, heads, parts.pruner, config, self._shelf)
        return loop(
            self.backbone,
            heads,
            parts.planner,
            parts.pruner,
            config,
            self.end_tokens,
            capacity,
            max_rows,
            guesser=parts.guesser,
        )


def _generation(events: list[StepEvent]) -> Generation:
    stats = RunStats()
    for event in events:
        stats = stats.add(event)
    return Generation(
        text="".join(event.text for event in events),
        token_ids=tuple(token for event in events for token in event.token_ids),
        stats=stats,
        events=tuple(events),
    )
