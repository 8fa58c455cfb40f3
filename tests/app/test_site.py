"""The studio as plain files: whole, small enough to be served for nothing, and of ours alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app import settings
from app.site import MARK, PLACES, build
from app.strings.page import PLACES as NAMES
from propd.errors import InvalidRequest
from propd.trace import load
from tests.app.test_replay import Page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "static"
    build(folder)
    return folder


def test_every_run_is_there_in_every_form(site: Path) -> None:
    for path in settings.TRACES.glob("*.json"):
        forms = {f.name.removeprefix(path.stem) for f in (site / "runs").glob(f"{path.stem}.*")}
        assert forms == {".json", ".csv", ".nodes.csv", ".graphml", ".html"}
        assert load(site / "runs" / path.name) == load(path)


def test_the_page_names_only_files_that_are_there(site: Path) -> None:
    found = Page((site / "index.html").read_text(encoding="utf-8"))
    data = json.loads(found.scripts["propd-site"])
    assert list(data["places"]) == list(PLACES) and set(PLACES) <= set(NAMES)
    for name in data["files"]:
        script = (site / f"{name}.js").read_text(encoding="utf-8")
        address, text = json.loads(
            f"[{script.removeprefix('propdFile(').removesuffix(');' + chr(10))}]"
        )
        assert address == name and json.loads(text)
    (runs,) = data["places"]["runs"]
    props = runs["props"]
    linked = [
        *props["results"].values(),
        *(f for one in props["files"].values() for f in one.values()),
    ]
    assert linked and all((site / name).is_file() for name in linked)
    assert props["opens"] is False
    for panel in (panel for panels in data["places"].values() for panel in panels):
        assert set(panel["answers"].values()) <= set(data["files"])
        assert (site / panel["props"]["plotly"]).is_file()


def test_no_file_is_too_large_for_a_free_host(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 10_000_000
    assert (site / "README.md").read_text().startswith("---\n")
    assert "sdk: static" in (site / "README.md").read_text()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """--out with a slip of the finger must not empty a home folder."""
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InvalidRequest, match="not made by this command"):
        build(tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_what_broke_off_can_be_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was half made was taken for somebody else's."""

    def broken(files: object) -> list[object]:
        raise ZeroDivisionError

    monkeypatch.setitem(PLACES, "runs", broken)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            build(tmp_path / "site")


def test_its_own_folder_is_made_anew(site: Path) -> None:
    (site / "runs" / "old.json").write_text("{}")
    build(site)
    assert not (site / "runs" / "old.json").exists() and (site / MARK).exists()
