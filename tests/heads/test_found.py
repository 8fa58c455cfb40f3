"""Where heads come from: a folder, the Hub's cache, the Hub; never a pickle."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import propd
from propd.errors import ModelUnavailable
from propd.heads.found import find_heads
from propd.models import hub
from propd.models.registry import REGISTRY
from tests.heads.small import medusa, save_model, write


class FakeHub:
    """A Hub with one repository; what it was asked for, it remembers."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.names = folder, names
        self.asked: list[list[str]] = []
        self.cached = False

    def model_info(self, hub_id: str, timeout: float) -> SimpleNamespace:
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=n) for n in self.names])

    def download(
        self,
        hub_id: str,
        allow_patterns: list[str],
        local_files_only: bool = False,
        etag_timeout: int = 0,
    ) -> str:
        if local_files_only and not self.cached:
            raise OSError("not in the cache")
        if not local_files_only:
            self.asked.append(allow_patterns)
        self.cached = True
        return str(self.folder)


def use(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.HfApi, "model_info", lambda self, *a, **k: fake.model_info(*a, **k))
    monkeypatch.setattr(hub, "snapshot_download", fake.download)


def test_a_hub_id_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "snapshot", medusa(3))
    save_model(tmp_path / "model")
    fake = FakeHub(tmp_path / "snapshot", "config.json", "medusa_lm_head.safetensors")
    use(fake, monkeypatch)
    told: list[str] = []
    for _ in range(2):
        engine = propd.load(str(tmp_path / "model"), heads="owner/heads", report=told.append)
        assert engine.heads is not None
        assert engine.heads.shape.draft_heads == 3
    assert fake.asked == [["*.safetensors", "*.json"]]
    assert "downloading owner/heads from the Hugging Face Hub" in told


def test_a_repository_of_pickled_heads_says_how_to_convert_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeHub(tmp_path, "config.json", "medusa_lm_head.pt")
    use(fake, monkeypatch)
    with pytest.raises(ModelUnavailable, match=r"no safetensors .* 'python -m propd convert'"):
        find_heads("FasterDecoding/medusa-vicuna-7b-v1.3")
    assert fake.asked == []


def test_a_cached_snapshot_that_lacks_a_shard_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"medusa_head.0.0.linear.weight": torch.ones(1)}, "model-1.safetensors")
    (tmp_path / "config.json").write_text("{}")
    index = '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
    (tmp_path / "model.safetensors.index.json").write_text(index)
    fake = FakeHub(tmp_path, "model-1.safetensors")
    fake.cached = True
    use(fake, monkeypatch)
    find_heads("owner/heads")
    assert len(fake.asked) == 1


def test_a_folder_is_taken_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "cached_heads", lambda name: pytest.fail("asked the Hub"))
    (tmp_path / "owner" / "heads").mkdir(parents=True)
    assert find_heads("owner/heads") == Path("owner/heads")


@pytest.mark.parametrize("name", ["no-such-folder", "../../x/y", "owner/name/more", ""])
def test_a_wrong_name_is_one_sentence(name: str) -> None:
    with pytest.raises(ModelUnavailable, match="give a folder of heads, or a Hub id"):
        find_heads(name)


def test_the_registry_knows_where_others_keep_heads() -> None:
    told = {name: entry.heads_hub_id for name, entry in REGISTRY.items() if entry.heads_hub_id}
    assert told == {
        "vicuna-7b-v1.3": "FasterDecoding/medusa-vicuna-7b-v1.3",
        "vicuna-13b-v1.3": "FasterDecoding/medusa-vicuna-13b-v1.3",
        "vicuna-33b-v1.3": "FasterDecoding/medusa-vicuna-33b-v1.3",
        "zephyr-7b-beta": "FasterDecoding/medusa-1.0-zephyr-7b-beta",
    }
