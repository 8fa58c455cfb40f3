"""The files a newcomer meets first agree with one another."""

import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from propd import doctor

ROOT = Path(__file__).resolve().parent.parent


def _requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if re.match(r"\w", line)]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_has_a_lower_and_an_upper_bound(name: str) -> None:
    """Guards against a start that breaks on the day a new major version appears."""
    for requirement in _requirements(name):
        operators = sorted(item.operator for item in requirement.specifier)
        assert operators == ["<", ">="], requirement


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_what_is_installed_here_is_within_the_ranges(name: str) -> None:
    for requirement in _requirements(name):
        version = metadata.version(requirement.name)
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_developers_get_the_runtime_requirements_too() -> None:
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text().splitlines()


def test_pyproject_and_makefile_name_the_same_pythons() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    found = re.search(r'requires-python = "(.*)"', text)
    assert found is not None
    pythons = SpecifierSet(found[1])
    assert [minor for minor in range(20) if f"3.{minor}" in pythons] == [10, 11, 12]
    assert "(3, 10) <= sys.version_info[:2] <= (3, 12)" in (ROOT / "Makefile").read_text()


def test_make_help_names_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    for target in phony[1].split():
        assert re.search(rf"^  {target} ", listed.stdout, re.MULTILINE), target


def test_a_python_outside_the_range_is_refused_in_words(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    command = ["make", "lint", f"VENV={tmp_path / 'venv'}", f"PYTHON={old}"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode != 0
    assert "not Python 3.10 to 3.12" in answer.stderr


def test_the_doctor_finds_a_package_that_is_missing_or_too_old(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("# why\nnumpy>=1\nno-such-package-here>=1\npackaging<1\n-r other.txt\n")
    numpy, absent, old = doctor.packages(path)
    assert numpy.state == "ok"
    assert absent.state == "missing" and absent.vital and "pip install" in absent.detail
    assert old.state == "missing" and "outside <1" in old.detail


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("missing", 1), ("note", 0)])
def test_the_doctor_exits_with_1_only_when_something_vital_is_missing(
    state: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = doctor.Finding(state, "thing", "detail", vital=True)  # type: ignore[arg-type]
    trifle = doctor.Finding("missing", "trifle", "detail")
    monkeypatch.setattr(doctor, "_findings", lambda: iter([finding, trifle]))
    lines: list[str] = []
    assert doctor.run_doctor(lines.append) == code
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("cached", "index", "hub", "state"),
    [
        (True, "note", "note", "ok"),
        (False, "ok", "note", "note"),
        (False, "note", "ok", "note"),
        (False, "note", "note", "missing"),
    ],
)
def test_the_doctor_wants_the_model_here_or_within_reach(
    cached: bool, index: str, hub: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ROOT if cached else None
    monkeypatch.setattr(doctor, "cached_model", lambda entry: folder)
    monkeypatch.setattr(doctor, "_index", lambda: doctor.Finding(index, "index", ""))  # type: ignore[arg-type]
    monkeypatch.setattr(doctor, "_hub", lambda: doctor.Finding(hub, "hub", ""))  # type: ignore[arg-type]
    (model,) = [finding for finding in doctor._model() if finding.subject == "model"]
    assert model.state == state


def test_every_file_the_readme_shows_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
