"""What this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from propd.models.registry import DEFAULT_MODEL, REGISTRY
from propd.models.sources import cache_folder, cached_model

if TYPE_CHECKING:
    from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
_INDEX_SECONDS = 6.0
_HUB_SECONDS = 2.5
_CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


@dataclass(frozen=True)
class Finding:
    """One line of the report. Only ``missing`` things that are ``vital`` stop the program."""

    state: Literal["ok", "missing", "note"]
    subject: str
    detail: str
    vital: bool = False


def run_doctor(print_line: Callable[[str], None] = print) -> int:
    """Print one line a finding; 0 when the default model can run here, else 1."""
    healthy = True
    for finding in _findings():
        print_line(f"{finding.state:<8}{finding.subject:<17}{finding.detail}")
        healthy = healthy and not (finding.vital and finding.state == "missing")
    ready = "can run here" if healthy else "cannot run here yet: see what is missing above"
    print_line(f"The default model, {DEFAULT_MODEL}, {ready}.")
    return 0 if healthy else 1


def _findings() -> Iterator[Finding]:
    yield _python()
    yield from packages(ROOT / "requirements.txt")
    yield _cpu()
    yield _memory()
    yield _gpu()
    yield _kernels()
    yield from _model()
    yield _heads()
    yield _browser()


def _python() -> Finding:
    version = platform.python_version()
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        return Finding("ok", "Python", version)
    return Finding("missing", "Python", f"{version}; use 3.10, 3.11 or 3.12", vital=True)


def packages(requirements: Path) -> Iterator[Finding]:
    """The installed version of each requirement, against its range."""
    if util.find_spec("packaging") is None:
        yield Finding("missing", "packages", "run: pip install -r requirements.txt", vital=True)
        return
    for requirement in _requirements(requirements):
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Finding("missing", requirement.name, f"run: pip install '{requirement}'", True)
            continue
        if requirement.specifier.contains(version, prereleases=True):
            yield Finding("ok", requirement.name, version)
        else:
            detail = f"{version} is outside {requirement.specifier}; run: pip install"
            yield Finding("missing", requirement.name, f"{detail} '{requirement}'", vital=True)


def _requirements(path: Path) -> Iterator[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    # Installed as a package there is no such file, but the same list as metadata.
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
    else:
        try:
            lines = metadata.requires("propd-studio") or []
        except metadata.PackageNotFoundError:
            lines = []
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # a comment, or an option of pip
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _cpu() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        words = set()
    flags = [flag for flag in _CPU_FLAGS if flag in words]
    return Finding("ok", "CPU", ", ".join([f"{cores} cores", platform.machine(), *flags]))


def _memory() -> Finding:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, OSError, ValueError):
        return Finding("note", "memory", "unknown; the default model needs about 2 GB")
    if size < 2:
        return Finding("note", "memory", f"{size:.1f} GB; the default model needs about 2 GB")
    return Finding("ok", "memory", f"{size:.1f} GB")


def _gpu() -> Finding:
    if util.find_spec("torch") is None:
        return Finding("note", "GPU", "unknown without torch")
    import torch

    if torch.cuda.is_available():
        return Finding("ok", "GPU", f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}")
    if torch.backends.mps.is_available():
        return Finding("ok", "GPU", "Apple (mps)")
    return Finding("note", "GPU", "none that PyTorch sees; the CPU does it all")


def _kernels() -> Finding:
    if util.find_spec("torch") is None:
        return Finding("note", "kernels", "unknown without torch")
    from propd import kernels

    if (reason := kernels.why_not()) is None:
        return Finding("ok", "kernels", f"compiled here, for {kernels.instructions()}")
    return Finding("note", "kernels", f"none, so the CPU is two to five times slower: {reason}")


def _model() -> Iterator[Finding]:
    """Cached, or at least one place to fetch it from."""
    folder = cached_model(REGISTRY[DEFAULT_MODEL])
    if folder is not None:
        yield Finding("ok", "model", f"{DEFAULT_MODEL} in {folder}")
    index, hub = _index(), _hub()
    yield index
    yield hub
    if folder is not None:
        return
    if "ok" in (index.state, hub.state):
        detail = f"not in {cache_folder()} yet; fetched on first use, or now: make model"
        yield Finding("note", "model", detail)
    else:
        detail = f"not in {cache_folder()}, and nowhere to fetch it from: connect this machine"
        yield Finding("missing", "model", detail, vital=True)


def _index() -> Finding:
    """Ask the index that the user's pip is configured for whether it has the wheel."""
    source = REGISTRY[DEFAULT_MODEL].wheel
    if source is None or util.find_spec("pip") is None:
        return Finding("note", "package index", "not asked: this Python has no pip")
    options = ["--disable-pip-version-check", "--timeout", "3", "--retries", "0"]
    command = [sys.executable, "-m", "pip", "index", "versions", *options, source.distribution]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_INDEX_SECONDS)
    except subprocess.TimeoutExpired:
        return Finding("note", "package index", "no answer in time; needed only to fetch a model")
    if answer.returncode == 0 and source.version in answer.stdout:
        return Finding("ok", "package index", f"has {source.requirement}")
    return Finding("note", "package index", f"{source.requirement} cannot be had from it")


def _hub() -> Finding:
    if util.find_spec("huggingface_hub") is None:
        return Finding("note", "Hub", "not asked without huggingface_hub")
    from propd.models import hub

    reason = hub.reachable(REGISTRY[DEFAULT_MODEL].hub_id, _HUB_SECONDS)
    if reason is None:
        return Finding("ok", "Hub", "reachable")
    return Finding("note", "Hub", f"{reason}; only other models need it")


def _heads() -> Finding:
    name = REGISTRY[DEFAULT_MODEL].heads
    folder = ROOT / "assets" / "heads" / str(name)
    if any(folder.glob("*.safetensors")):
        return Finding("ok", "draft heads", f"for {DEFAULT_MODEL} in {folder}")
    return Finding(
        "missing", "draft heads", f"none in {folder}; without them only plain decoding runs"
    )


def _browser() -> Finding:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    if found := next(filter(None, map(shutil.which, names)), None):
        return Finding("ok", "Chromium", found)
    detail = "none on the path; browser tests take playwright's own: playwright install chromium"
    return Finding("note", "Chromium", detail)
