"""The Hub, without asking it."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from propd.errors import ModelUnavailable
from propd.models import hub


def _ignore(message: str) -> None:
    pass


def _answer(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    info = SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in names])
    monkeypatch.setattr(hub.HfApi, "model_info", lambda self, hub_id, timeout: info)


def test_a_hub_that_never_answers_fails_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against snapshot_download's first request, which has no time limit of its own."""
    monkeypatch.setattr(hub.HfApi, "model_info", lambda self, hub_id, timeout: time.sleep(30))
    began = time.monotonic()
    assert hub.reachable("owner/name", 0.3) == "the Hub did not answer within 0.3 s"
    assert time.monotonic() - began < 5


def test_a_refused_connection_is_a_few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, hub_id: str, timeout: float) -> None:
        raise OSError("connection refused\nand a long trace")

    monkeypatch.setattr(hub.HfApi, "model_info", refuse)
    with pytest.raises(ModelUnavailable) as caught:
        hub.fetch("owner/name", _ignore)
    assert str(caught.value) == "the Hub cannot be reached (connection refused)"


def test_a_repository_with_pickled_weights_only_is_refused_before_any_download(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _answer(monkeypatch, "config.json", "pytorch_model.bin")
    monkeypatch.setattr(hub, "snapshot_download", lambda *a, **k: pytest.fail("downloaded"))
    with pytest.raises(ModelUnavailable, match="no safetensors weights"):
        hub.fetch("owner/name", _ignore)


def test_only_safe_files_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, object] = {}

    def download(hub_id: str, **options: object) -> str:
        asked.update(options)
        return str(tmp_path)

    _answer(monkeypatch, "model.safetensors")
    monkeypatch.setattr(hub, "snapshot_download", download)
    assert hub.fetch("owner/name", _ignore) == tmp_path
    assert asked["allow_patterns"] == list(hub.ALLOWED_FILES)
    assert not any(pattern.endswith((".bin", ".pt", ".py")) for pattern in hub.ALLOWED_FILES)


def test_a_snapshot_that_lacks_a_shard_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Guards against an interrupted download that would fail to load on every later start."""
    monkeypatch.setattr(hub, "snapshot_download", lambda *a, **k: str(tmp_path))
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    for name in ("config.json", shards["a"]):
        (tmp_path / name).write_text("{}")
    assert hub.cached("owner/name") is None
    (tmp_path / shards["b"]).write_text("")
    assert hub.cached("owner/name") == tmp_path


def test_a_cache_without_the_model_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "snapshot_download", lambda *a, **k: str(tmp_path))
    assert hub.cached("owner/name") is None
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    assert hub.cached("owner/name") == tmp_path
