"""The repository is a Space: its front matter says what the Hub accepts, and its files fit."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import metadata_load
from packaging.requirements import Requirement

from propd.models.registry import DEFAULT_MODEL, REGISTRY

ROOT = Path(__file__).resolve().parent.parent
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
HARDWARE = {
    "cpu-basic", "cpu-upgrade", "zero-a10g", "t4-small", "t4-medium", "l4x1", "l4x4", "l40sx1",
    "a10g-small", "a10g-large", "a10g-largex2", "a10g-largex4", "a100-large", "h100", "h200",
}  # fmt: skip
KNOWN = {
    "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file",
    "license", "short_description", "tags", "models", "suggested_hardware", "header",
    "startup_duration_timeout", "pinned",
}  # fmt: skip
LIMIT = 10_000_000
"""Bytes of the largest file that the Hub takes without another way of storing it."""


@pytest.fixture(scope="module")
def matter() -> dict[str, Any]:
    found = metadata_load(ROOT / "README.md")
    assert found is not None
    return found


def test_every_key_is_one_that_the_hub_knows(matter: dict[str, Any]) -> None:
    """A misspelt key is ignored there without a word."""
    assert set(matter) == KNOWN


def test_texts_have_the_lengths_that_the_hub_shows(matter: dict[str, Any]) -> None:
    assert 1 <= len(matter["title"]) <= 30
    assert 1 <= len(matter["short_description"]) <= 60
    assert len(matter["emoji"]) <= 2 and not matter["emoji"].isascii()
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", tag) for tag in matter["tags"])


def test_values_are_among_those_that_the_hub_accepts(matter: dict[str, Any]) -> None:
    assert {matter["colorFrom"], matter["colorTo"]} <= COLOURS
    assert matter["sdk"] == "gradio"
    assert matter["suggested_hardware"] in HARDWARE
    assert matter["header"] in ("mini", "default")
    assert re.fullmatch(r"\d+[mh]", matter["startup_duration_timeout"])
    assert isinstance(matter["pinned"], bool)


def test_versions_are_strings_and_of_the_ranges_asked_for(matter: dict[str, Any]) -> None:
    """A Space installs ``sdk_version`` itself: out of step with the requirements it fails. Without
    quotes YAML would read Python 3.10 as 3.1."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", matter["sdk_version"])
    assert matter["python_version"] in ("3.10", "3.11", "3.12")
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    [gradio] = [Requirement(line) for line in lines if line.startswith("gradio")]
    assert gradio.specifier.contains(matter["sdk_version"])
    least = min(item.version for item in gradio.specifier)
    assert matter["sdk_version"].startswith(least), "the least version is what the tests know"


def test_what_it_names_exists(matter: dict[str, Any]) -> None:
    assert (ROOT / matter["app_file"]).is_file()
    assert matter["license"] == "apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]
    assert REGISTRY[DEFAULT_MODEL].hub_id in matter["models"]
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", model) for model in matter["models"])


def test_no_file_is_too_large_for_the_hub() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    sizes = {path.name: path.stat().st_size for path in paths if path.is_file()}
    assert sizes and not {name: size for name, size in sizes.items() if size >= LIMIT}


def test_the_room_is_asked_for_no_package_that_only_zero_gpu_has() -> None:
    """ZeroGPU Spaces bring `spaces`; everywhere else the app must do without."""
    assert "spaces" not in (ROOT / "requirements.txt").read_text()
