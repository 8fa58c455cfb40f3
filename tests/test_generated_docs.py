"""Pages that a command makes are never stale."""

from propd.generated_docs import pages


def test_generated_pages_are_current() -> None:
    """If this fails: python -m propd.generated_docs"""
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale"
