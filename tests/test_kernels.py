"""Operators of our own: compiled once, or done without and said why."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from propd import kernels


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """What is missing is found out once in a process; here anew, and again when all is done."""
    kernels.why_not.cache_clear()
    yield
    kernels.why_not.cache_clear()


able = pytest.mark.skipif(
    sys.platform != "linux" or kernels.instructions() is None,
    reason="the processor has neither AVX2 nor AVX-512 VNNI",
)


def test_a_switch_does_without(asked_anew: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.SWITCH, "off")
    assert not kernels.to_compile()
    assert not kernels.ready()
    assert kernels.why_not() == "PROPD_KERNELS is off"


def test_the_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    has = {"vnni": True, "avx2": True}
    for name in has:
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda name=name: has[name])
    monkeypatch.delenv(kernels.SWITCH, raising=False)
    assert kernels.instructions() == "AVX-512 VNNI"
    with monkeypatch.context() as asked:
        asked.setenv(kernels.SWITCH, "avx2")
        assert kernels.instructions() == "AVX2"
    has["vnni"] = False
    assert kernels.instructions() == "AVX2"
    has["avx2"] = False
    assert kernels.instructions() is None


@able
def test_no_compiler(asked_anew: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    assert kernels.why_not() == "no C++ compiler; install g++"


@able
@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo 'k.cpp:1: error: no such thing' >&2; exit 1", "failed: k.cpp:1: error: no such"),
        ("exit 0", "No such file"),  # says it is done, and made nothing
    ],
)
def test_a_compiler_that_fails_leaves_nothing_behind(
    asked_anew: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, sentence: str
) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("PROPD_CACHE", str(tmp_path / "cache"))
    assert kernels.to_compile()
    assert sentence in str(kernels.why_not())
    assert not kernels.to_compile()  # not again in this process
    assert not list((tmp_path / "cache").rglob("*.so"))


@pytest.mark.skipif(not kernels.ready(), reason=str(kernels.why_not()))
def test_compiled_once_and_with_pytorchs_threads(tmp_path: Path) -> None:
    """A second OpenMP would have threads of its own, and each product would wait for both."""
    code = (
        "from propd import kernels; first = kernels.to_compile()\n"
        "assert kernels.ready(), kernels.why_not()\n"
        "maps = open('/proc/self/maps').read()\n"
        "print(first, len({l.split()[-1] for l in maps.splitlines() if 'libgomp' in l}))"
    )
    environment = {**os.environ, "PROPD_CACHE": str(tmp_path)}
    seen = []
    for first in (True, False):
        told = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert told.returncode == 0, told.stderr
        assert told.stdout.split() == [str(first), "1"]
        (library,) = tmp_path.rglob("*.so")
        seen.append(library.stat().st_mtime_ns)
    assert seen[0] == seen[1]
    assert not [path for path in library.parent.iterdir() if path != library]
