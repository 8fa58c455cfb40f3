"""Weights from the Hugging Face Hub: safetensors only, from its cache when it has them."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from propd.errors import ModelUnavailable

ALLOWED_FILES = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model", "*merges.txt")
"""What is ever downloaded. Pickled weights (.bin, .pt) can run code and are left out."""
HEADS_FILES = ("*.safetensors", "*.json")
"""What is ever downloaded of heads."""
REACH_SECONDS = 6.0

Result = TypeVar("Result")


def cached(hub_id: str) -> Path | None:
    """The snapshot in the Hub's own cache, if it has weights; asks no network."""
    try:
        folder = Path(
            snapshot_download(hub_id, allow_patterns=list(ALLOWED_FILES), local_files_only=True)
        )
    except (OSError, HFValidationError):  # absent, or known to be incomplete
        return None
    return folder if _is_whole(folder) else None


def _is_whole(folder: Path) -> bool:
    """Whether config and every weights file are there: an interrupted download lacks some."""
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
        weights = set(index["weight_map"].values())
    except FileNotFoundError:
        weights = {"model.safetensors"}
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return all((folder / name).is_file() for name in {"config.json", *weights})


def cached_heads(hub_id: str) -> Path | None:
    """The snapshot of heads in the Hub's own cache, if it has safetensors; asks no network."""
    try:
        folder = Path(
            snapshot_download(hub_id, allow_patterns=list(HEADS_FILES), local_files_only=True)
        )
    except (OSError, HFValidationError):  # absent, or known to be incomplete
        return None
    # heads among a model's own tensors need all its shards, as the model does
    among_shards = (folder / "model.safetensors.index.json").exists()
    whole = _is_whole(folder) if among_shards else any(folder.glob("*.safetensors"))
    return folder if whole else None


def fetch(hub_id: str, report: Callable[[str], None], files: Sequence[str] = ALLOWED_FILES) -> Path:
    """Download the allowed files, or say in a few words why that is impossible."""
    info = _ask(hub_id)
    names = [file.rfilename for file in info.siblings or ()]
    if not any(name.endswith(".safetensors") for name in names):
        raise ModelUnavailable(
            f"{hub_id} has no safetensors weights there, and pickled ones (.bin, .pt) are refused "
            "because they can run code"
        )
    report(f"downloading {hub_id} from the Hugging Face Hub")
    was_quiet = are_progress_bars_disabled()
    try:
        if not sys.stderr.isatty():
            disable_progress_bars()
        return Path(snapshot_download(hub_id, allow_patterns=list(files), etag_timeout=5))
    except Exception as error:
        # As in `_ask`: the HTTP client's own errors differ between versions.
        raise ModelUnavailable(f"the download broke off ({_brief(error)})") from error
    finally:
        if not was_quiet:
            enable_progress_bars()


def reachable(hub_id: str, seconds: float = REACH_SECONDS) -> str | None:
    """None when the Hub answers for this model in time, otherwise the reason in a few words."""
    try:
        _ask(hub_id, seconds)
    except ModelUnavailable as error:
        return str(error)
    return None


def _ask(hub_id: str, seconds: float = REACH_SECONDS) -> Any:
    """The Hub's record of a model, within ``seconds``.

    `snapshot_download` asks this first too, but its client has no time limit: on a network that
    drops packets it would wait for ever. A limit on the request alone counts anew for name
    look-up and every address, hence the limit around all of it.
    """
    try:
        return within(seconds, lambda: HfApi().model_info(hub_id, timeout=seconds))
    except TimeoutError as error:
        raise ModelUnavailable(f"the Hub did not answer within {seconds:g} s") from error
    except OfflineModeIsEnabled as error:
        raise ModelUnavailable("the Hub is switched off by HF_HUB_OFFLINE") from error
    except GatedRepoError as error:
        raise ModelUnavailable(
            f"{hub_id} asks for an accepted licence: accept it on its page, then `hf auth login`"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelUnavailable(f"the Hub knows no public model {hub_id}") from error
    except Exception as error:
        # Whatever the HTTP client of the installed version raises means: not reachable.
        raise ModelUnavailable(f"the Hub cannot be reached ({_brief(error)})") from error


def within(seconds: float, function: Callable[[], Result]) -> Result:
    """The function's result, or TimeoutError; a thread that hangs does not keep the process."""
    box: queue.Queue[tuple[Result | None, BaseException | None]] = queue.Queue()

    def run() -> None:
        try:
            box.put((function(), None))
        except BaseException as error:
            box.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = box.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def _brief(error: BaseException) -> str:
    first_line = (str(error) or type(error).__name__).splitlines()[0]
    return first_line[:120]
