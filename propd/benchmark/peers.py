"""Other programs on the same weights, each behind a small adapter. Imports nothing heavy.

A peer says why it cannot run here (`Peer.available`) before anything is loaded, and is loaded once
(`Peer.load`). All decode greedily, with the same end tokens, threads and device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from propd.config_options import PEERS
from propd.errors import InvalidRequest
from propd.requests import MAX_ROWS

if TYPE_CHECKING:
    import torch

    from propd.benchmark.runners import Answer, Prompts
    from propd.engine import Engine

LOOKUP_TOKENS = 10
"""Tokens that prompt lookup of transformers guesses in a pass; what its documentation uses."""


class Peer(Protocol):
    """A `propd.benchmark.runners.Runner` that may be missing here."""

    name: str
    most_rows: int

    def available(self) -> str | None:
        """Why it cannot run here, as the end of a sentence; None if it can."""
        ...

    def load(self, common: Common) -> str:
        """Get ready; called once. What it is: program, version, weights."""
        ...

    def answer(self, prompts: Prompts, max_new_tokens: int) -> Answer:
        """As `propd.benchmark.runners.Runner`."""
        ...


@dataclass(frozen=True)
class Common:
    """What is the same for our methods and all peers."""

    folder: Path
    """Of the model."""
    dtype: torch.dtype
    device: torch.device
    ends: tuple[int, ...]
    threads: int
    room: int
    """Tokens of the longest prompt and its answer."""

    @classmethod
    def of(cls, engine: Engine, folder: Path, room: int) -> Common:
        """What an engine runs with. room: tokens of the longest prompt and its answer."""
        at, number = engine.backbone.device, engine.backbone.dtype
        return cls(folder, number, at, engine.end_tokens, engine.threads, room)

    @cached_property
    def transformer(self) -> Any:
        """The model as `transformers` runs it: one copy for all peers that do."""
        return self.open_transformer(self.folder)

    def open_transformer(self, folder: Path) -> Any:
        """A model of a folder in the common dtype."""
        from transformers import AutoModelForCausalLM, GenerationConfig

        from propd.models.quiet import quiet_transformers

        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=self.dtype, use_safetensors=True, trust_remote_code=False
            )
        # what a checkpoint asks for (sampling, a repetition penalty) would change greedy texts
        model.generation_config = GenerationConfig()
        return model.to(self.device).eval()

    def cut(self, row: list[int]) -> list[int]:
        """Up to the first end token; what follows is padding."""
        ends = [place for place, token in enumerate(row) if token in self.ends]
        return row[: ends[0] + 1] if ends else row


class Transformers:
    """`transformers.generate`, plain or with one of its own speculative ways."""

    def __init__(
        self,
        name: str = "transformers",
        most_rows: int = MAX_ROWS,
        settings: Callable[[Common], dict[str, Any]] = lambda common: {},
        missing: str | None = None,
    ) -> None:
        """settings: further arguments of ``generate``. missing: why it cannot run."""
        self.name, self.most_rows = name, most_rows
        self._settings, self._missing = settings, missing

    def available(self) -> str | None:
        """As `Peer`."""
        return self._missing

    def load(self, common: Common) -> str:
        """As `Peer`."""
        import transformers

        self._common, self._model = common, common.transformer
        self._more = self._settings(common)
        return f"transformers {transformers.__version__}, {str(common.dtype).split('.')[-1]}"

    def answer(self, prompts: Prompts, max_new_tokens: int) -> Answer:
        """As `Peer`. Batches are padded on the left, so near-ties may turn out differently."""
        import torch

        from propd.benchmark.runners import Answer
        from propd.models.quiet import quiet_transformers

        width = max(map(len, prompts))
        ends = self._common.ends
        pad = ends[0] if ends else 0
        ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        watch = _FirstToken()
        with torch.inference_mode(), quiet_transformers():
            output = self._model.generate(
                ids.to(self._model.device), attention_mask=mask.to(self._model.device),
                max_new_tokens=max_new_tokens, do_sample=False, streamer=watch,
                eos_token_id=list(ends) or None, pad_token_id=pad, **self._more,
            )  # fmt: skip
        texts = [self._common.cut(row) for row in output[:, width:].tolist()]
        return Answer(texts, watch.seconds)


class _FirstToken:
    """A streamer of `transformers` that only looks at the clock."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._began, self._calls = perf_counter(), 0

    def put(self, tokens: object) -> None:
        """Called with the prompt, then with new tokens."""
        self._calls += 1
        if self._calls == 2:
            self.seconds = perf_counter() - self._began

    def end(self) -> None:
        """Called at the end."""


class LlamaCpp:
    """llama.cpp through `llama_cpp`, on a GGUF file of the same model; the file sets the dtype."""

    name, most_rows = "llama.cpp", 1

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def available(self) -> str | None:
        """As `Peer`."""
        if self._file is None:
            return "no GGUF file was given (--gguf FILE)"
        if not self._file.is_file():
            return f"there is no file {self._file.name}"
        if find_spec("llama_cpp") is None:
            return "the package llama-cpp-python is not installed"
        return None

    def load(self, common: Common) -> str:
        """As `Peer`."""
        from llama_cpp import Llama, __version__

        assert self._file is not None  # noqa: S101 (available() was asked)
        try:
            self._model = Llama(
                model_path=str(self._file), n_ctx=common.room, verbose=False,
                n_threads=common.threads, n_threads_batch=common.threads,
                n_gpu_layers=0 if common.device.type == "cpu" else -1,
            )  # fmt: skip
        except (ValueError, RuntimeError) as error:
            raise InvalidRequest(f"llama.cpp cannot open {self._file.name}: {error}.") from error
        self._ends = set(common.ends)
        return f"llama-cpp-python {__version__}, {self._file.name}"

    def answer(self, prompts: Prompts, max_new_tokens: int) -> Answer:
        """As `Peer`."""
        from propd.benchmark.runners import Answer

        (prompt,) = prompts
        began, first, text = perf_counter(), None, list[int]()
        self._model.reset()  # or it would reuse what it read of an earlier prompt
        for token in self._model.generate(list(prompt), temp=0.0, repeat_penalty=1.0):
            first = first or perf_counter() - began
            text.append(token)
            if token in self._ends or len(text) == max_new_tokens:
                break
        return Answer([text], first)


def make_peers(names: Sequence[str], assistant: Path | None, gguf: Path | None) -> list[Peer]:
    """The peers of these names, nothing loaded. assistant: folder of a small model."""
    for name in names:
        if name not in PEERS:
            raise InvalidRequest(f"There is no peer '{name}'; use one of {', '.join(PEERS)}.")
    return [_make_peer(name, assistant, gguf) for name in dict.fromkeys(names)]


def _make_peer(name: str, assistant: Path | None, gguf: Path | None) -> Peer:
    if name == "llama.cpp":
        return LlamaCpp(gguf)
    if name == "transformers":
        return Transformers()
    if name == "transformers-lookup":
        return Transformers(name, 1, lambda _: {"prompt_lookup_num_tokens": LOOKUP_TOKENS})
    missing = None if assistant else "no assistant model was given (--assistant MODEL)"
    return Transformers(name, 1, lambda common: _assisted(common, assistant), missing)


def _assisted(common: Common, folder: Path | None) -> dict[str, Any]:
    assert folder is not None  # noqa: S101 (available() was asked)
    assistant = common.open_transformer(folder)
    sizes = [model.config.vocab_size for model in (assistant, common.transformer)]
    if sizes[0] != sizes[1]:
        raise InvalidRequest(
            f"The assistant {folder.name} has {sizes[0]:,} words and the model {sizes[1]:,}; "
            "give an assistant with the same tokenizer."
        )
    return {"assistant_model": assistant}
