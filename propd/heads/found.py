"""Where heads are: a folder, or the Hub."""

from __future__ import annotations

from pathlib import Path

from propd.errors import ModelUnavailable
from propd.models.sources import HUB_ID, Report, silent


def find_heads(name: str, report: Report = silent) -> Path:
    """The folder of heads that a user named, fetched if it is a Hub id; nothing is unpickled."""
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return folder
    if not HUB_ID.fullmatch(name):
        raise ModelUnavailable(
            f"There are no heads in {name!r}: give a folder of heads, or a Hub id like owner/name."
        )
    from propd.models import hub

    try:
        return hub.cached_heads(name) or hub.fetch(name, report, hub.HEADS_FILES)
    except ModelUnavailable as error:
        raise ModelUnavailable(
            f"The heads {name} are neither a folder here nor to be had from the Hub ({error}); "
            "give a folder of heads; a pickled file (.pt) you download yourself becomes one by "
            "'python -m propd convert' (docs/heads.md)."
        ) from error
