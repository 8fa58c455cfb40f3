"""The door of the library: load a model once, decode many requests.

import propd

engine = propd.load("smollm2-135m-instruct")
for event in engine.stream("Why is the sky blue?", method="propd"):
    print(event.text, end="", flush=True)
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers

from propd.core import DecodingConfig, RunStats, StepEvent
from propd.decoding import DecodingSession
from propd.errors import InvalidRequest
from propd.methods import MethodSettings, check_heads, make_planner, method_settings
from propd.models.backbone import Backbone
from propd.models.heads import Heads
from propd.models.loading import LoadedModel, end_token_ids, load_pretrained
from propd.models.registry import DEFAULT_MODEL
from propd.planning.calibration import SweepPlanner
from propd.planning.cost import CostModel
from propd.planning.planner import DynamicPlanner, Planner
from propd.requests import MAX_ROWS, check_config, check_prompt, check_rows, prompt_too_long
from propd.text import IncrementalDecoder, TokenTexts

HEADS_FOLDER = Path(__file__).resolve().parent.parent / "assets" / "heads"
CALIBRATION_PROMPT = "Write a short story about a lighthouse keeper and the sea."


def _silent(message: str) -> None:
    """Report nothing."""


def load(
    model: str = DEFAULT_MODEL,
    *,
    heads: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    numerics: str = "auto",
    report: Callable[[str], None] = _silent,
) -> Engine:
    """Load a model and its heads.

    model: a registry name, a folder, or a Hub id. heads: a folder; None takes the shipped ones, if
    there are any. dtype: auto, float32, bfloat16 or float16. numerics: auto, fast or invariant
    (in any tree and batch a token has the same bits). report: called with each stage.
    Raises a `ProPDError` with one sentence on anything a user can cause.
    """
    loaded = load_pretrained(model, dtype=dtype, device=device, numerics=numerics, report=report)
    report("packing weights")
    with torch.inference_mode():
        backbone = Backbone(loaded.model, invariant=loaded.invariant)
        folder = Path(heads) if heads else _shipped_heads(loaded)
        ready = Heads.load(folder, backbone) if folder else None
    report("ready")
    return Engine(loaded, backbone, ready)


@dataclass(frozen=True)
class Generation:
    """A finished run."""

    text: str
    token_ids: tuple[int, ...]
    stats: RunStats
    events: tuple[StepEvent, ...]


class Engine:
    """A loaded model with its heads: read-only, shared by all requests."""

    def __init__(self, loaded: LoadedModel, backbone: Backbone, heads: Heads | None) -> None:
        self.tokenizer: Any = loaded.tokenizer
        self.backbone, self.heads = backbone, heads
        self.name = loaded.folder.entry.name if loaded.folder.entry else loaded.folder.path.name
        self.source: str = loaded.folder.source
        self.end_tokens = end_token_ids(loaded.model, loaded.tokenizer)
        self.token_text = TokenTexts(loaded.tokenizer)
        self._costs: dict[str, dict[int, float]] = {}

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
            "device": self.device,
            "threads": self.threads,
            "machine": _machine(self.backbone.device),
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
        if self.tokenizer.chat_template:
            messages = [{"role": "user", "content": prompt}]
            text = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        else:
            ids = self.tokenizer(prompt)["input_ids"]
        if len(ids) >= limit:
            raise prompt_too_long(f"{len(ids):,} tokens", limit)
        return [int(token) for token in ids]

    def stream(
        self, prompt: str, config: DecodingConfig | None = None, **settings: Any
    ) -> Iterator[StepEvent]:
        """Answer a prompt; one event for the prefill, then one a step. Closing it cancels.

        Settings are the fields of `DecodingConfig`. The request is checked before anything runs.
        """
        return self.stream_batch([prompt], config, max_rows=1, **settings)

    def stream_batch(
        self,
        prompts: Sequence[str],
        config: DecodingConfig | None = None,
        *,
        max_rows: int = MAX_ROWS,
        **settings: Any,
    ) -> Iterator[StepEvent]:
        """Answer prompts together, at most ``max_rows`` at once; events tell their ``row``."""
        config = replace(config or DecodingConfig(), **settings)
        check_config(config)
        check_rows(max_rows)
        method = method_settings(config.method)
        if not prompts:
            raise InvalidRequest("There is no prompt; give at least one.")
        if method.tree != "root":
            check_heads(method, self.heads.config if self.heads else None)
        prompt_ids = [self.encode(prompt) for prompt in prompts]
        return self._stream(prompt_ids, method, config, min(max_rows, len(prompts)))

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

    def warm_up(self, method: str = "propd") -> None:
        """Measure now what the first request of a dynamic method would measure: a second or two."""
        self._cost_model(method_settings(method))

    def _stream(
        self,
        prompts: list[list[int]],
        method: MethodSettings,
        config: DecodingConfig,
        max_rows: int,
    ) -> Iterator[StepEvent]:
        heads = self.heads.config if self.heads else None
        planner = make_planner(method, heads, config, self._cost_model(method))
        session = self._session(method, planner, config, max(map(len, prompts)), max_rows)
        decoders = [IncrementalDecoder(self.tokenizer) for _ in prompts]
        with closing(session.run(prompts)) as events:  # type: ignore[type-var]
            for event in events:
                yield self._with_text(event, decoders[event.row])

    def _session(
        self,
        method: MethodSettings,
        planner: Planner,
        config: DecodingConfig,
        longest: int,
        max_rows: int = 1,
    ) -> DecodingSession:
        return DecodingSession(
            self.backbone,
            self.heads,
            method,
            planner,
            config,
            self.end_tokens,
            capacity=longest + config.max_new_tokens,
            max_rows=max_rows,
        )

    def _cost_model(self, method: MethodSettings) -> CostModel:
        """A cost model that begins with times measured on this machine, once a method."""
        if method.tree != "dynamic" or self.heads is None:
            return CostModel()
        if method.name not in self._costs:
            self._costs[method.name] = self._sweep(method)
        return CostModel(self._costs[method.name])

    def _sweep(self, method: MethodSettings) -> dict[int, float]:
        heads = self.heads.config if self.heads else None
        inner = make_planner(method, heads, DecodingConfig(), CostModel())
        if not isinstance(inner, DynamicPlanner):
            return {}
        planner = SweepPlanner(inner)
        tokens = (planner.steps + 1) * (len(inner.estimator.table) + 1)
        prompt = self.encode(CALIBRATION_PROMPT)
        config = DecodingConfig(max_new_tokens=tokens, ignore_eos=True)
        session = self._session(method, planner, config, len(prompt))
        for event in session.run([prompt]):
            if event.index >= planner.steps:
                break
        return planner.costs()

    def _with_text(self, event: StepEvent, decoder: IncrementalDecoder) -> StepEvent:
        pieces = [decoder.push(token) for token in event.token_ids]
        if event.finish_reason and pieces:
            pieces[-1] += decoder.flush()
        name = self.token_text
        nodes = tuple(
            replace(
                node,
                text=name(node.token_id),
                choice_text="" if node.choice_id is None else name(node.choice_id),
            )
            for node in event.nodes
        )
        bonus = event.bonus and replace(event.bonus, text=name(event.bonus.token_id))
        return replace(event, nodes=nodes, bonus=bonus, pieces=tuple(pieces), text="".join(pieces))


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


def _shipped_heads(loaded: LoadedModel) -> Path | None:
    if loaded.folder.entry is None:
        return None
    folder = HEADS_FOLDER / loaded.folder.entry.name
    return folder if folder.is_dir() else None


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU threads, {platform.machine()}"
