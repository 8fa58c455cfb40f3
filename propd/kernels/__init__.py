"""Operators of our own in C++, compiled where they are first needed.

PyTorch has no product of 4-bit weights with 8-bit inputs, which is what processors are fast at, and
no attention whose sums leave out what is masked. `operators.cpp` has them, for two sets of
instructions. It is compiled once, by the compiler of this machine, into the cache; where there is
no compiler, or the processor has neither set, the engine does without.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("operators.cpp")
SWITCH = "PROPD_KERNELS"
"""Environment variable: ``off`` does without them, ``avx2`` without AVX-512."""
SECONDS = 180.0
"""Until a compiler is given up; it takes fifteen to thirty."""
FLAGS = ("-O3", "-std=c++20", "-fPIC", "-pthread")
AVX2 = ("-mavx2", "-mfma", "-mf16c")
AVX512 = (*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni")


@cache
def why_not() -> str | None:
    """Loads them; None if they are ready, else what is missing."""
    if (reason := _missing()) is not None:
        return reason
    try:
        torch.ops.load_library(str(_built(str(_compiler()))))
    except subprocess.SubprocessError as error:
        return f"{_compiler()} failed: {_last_line(error)}"
    except OSError as error:  # no such compiler, no room for the library, or not loadable
        return str(error).splitlines()[0]
    return None


def ready() -> bool:
    """Whether the operators ``torch.ops.propd`` are there."""
    return why_not() is None


def take(scores: Tensor) -> bool:
    """Whether ``largest_places`` and ``best`` take these scores; does not wait for a compiler."""
    fits = scores.device.type == "cpu" and scores.dtype is torch.float32 and scores.dim() == 2
    return fits and why_not.cache_info().currsize > 0 and ready() and scores.is_contiguous()


@contextmanager
def alone() -> Iterator[None]:
    """PyTorch's own operators take one thread meanwhile, and ours as many as PyTorch had.

    Where all that is heavy is ours, PyTorch's threads do harm: behind each loop of theirs they wait
    for the next one on a core for three milliseconds, half of a step, and ours wait for the core.
    """
    count = torch.get_num_threads()
    if count == 1:
        yield
        return
    torch.ops.propd.use_threads(count)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)
        torch.ops.propd.use_threads(0)


def to_compile() -> bool:
    """Whether `ready` will have to wait for the compiler."""
    known = why_not.cache_info().currsize > 0
    return not known and _missing() is None and not _library(str(_compiler())).exists()


def _missing() -> str | None:
    """What can be told without compiling."""
    if os.environ.get(SWITCH) == "off":
        return f"{SWITCH} is off"
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"written for Linux on x86-64, and this is {platform.system()} {platform.machine()}"
    if instructions() is None:
        return "the processor has neither AVX2 nor AVX-512 VNNI"
    return None if _compiler() else "no C++ compiler; install g++"


def instructions() -> str | None:
    """The instructions that they are compiled for here, if there are any."""
    if _has("vnni") and os.environ.get(SWITCH) != "avx2":
        return "AVX-512 VNNI"
    return "AVX2" if _has("avx2") else None


def _has(name: str) -> bool:
    # of every processor with AVX2 that PyTorch knows, FMA and F16C can be taken for granted
    return bool(getattr(torch.cpu, f"_is_{name}_supported", bool)())


def _flags() -> tuple[str, ...]:
    return FLAGS + (AVX512 if instructions() == "AVX-512 VNNI" else AVX2)


def _compiler() -> str | None:
    return os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")


def _library(compiler: str) -> Path:
    """Where the cache has it. Its name tells all that it depends on."""
    from propd.models.sources import cache_folder

    texts = [path.read_text() for path in sorted(SOURCE.parent.glob("*.[ch]*"))]
    about = (texts, _flags(), compiler, torch.__version__, sys.version)
    name = hashlib.sha256(repr(about).encode()).hexdigest()[:16]
    return cache_folder() / "kernels" / f"{name}.so"


def _built(compiler: str) -> Path:
    """The library, compiled unless the cache has it."""
    library = _library(compiler)
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        # moved into place when it is whole: another process may be at the same, and either may die
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            _compile(compiler, Path(folder) / "whole.so").replace(library)
    return library


def _compile(compiler: str, library: Path) -> Path:
    root = Path(torch.__file__).parent
    headers = (root / "include", root / "include" / "torch" / "csrc" / "api" / "include")
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    includes = [f"-I{folder}" for folder in headers]
    libraries = (f"-L{root / 'lib'}", "-ltorch_cpu", "-lc10")
    _run(compiler, *_flags(), abi, *includes, "-shared", SOURCE, "-o", library, *libraries)
    return library


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)


def _last_line(error: subprocess.SubprocessError) -> str:
    said = getattr(error, "stderr", None) or str(error)
    errors = [line for line in str(said).splitlines() if "error" in line]
    return (errors or str(said).splitlines() or ["no reason given"])[0][:200]
