"""What a long verification has found so far: a file of JSON lines that only grows.

The first line is a key, a hash of all that the findings depend on; each further line is a finding.
A verification that is run again with the same key takes them from here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from propd.errors import InvalidRequest

FORMAT = "propd-lossless/1"


def key_of(**known: Any) -> str:
    """A short hash of what findings depend on; any JSON, and `repr` of what is none."""
    text = json.dumps(known, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checkpoint:
    """Findings by name. Without a path they are only kept in memory."""

    def __init__(self, path: Path | None, key: str) -> None:
        self.path = path
        self._found: dict[str, Any] = {}
        if path is None:
            return
        lines = _whole_lines(path)
        if not lines:
            self._append({"format": FORMAT, "key": key})
            return
        try:
            head, *found = [json.loads(line) for line in lines]
            if head["format"] != FORMAT:
                raise ValueError(f"it does not say format {FORMAT!r}")
            self._found = {line["name"]: line["found"] for line in found}
            known = head["key"]
        except (ValueError, LookupError, TypeError) as error:
            raise InvalidRequest(
                f"{path} is no checkpoint of a verification ({error}); name another file."
            ) from error
        if known != key:
            raise InvalidRequest(
                f"{path} is the checkpoint of another verification (other prompts, settings, "
                "model, dtype or machine); name another file, or run it with the same ones."
            )

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __getitem__(self, name: str) -> Any:
        return self._found[name]

    def __setitem__(self, name: str, found: Any) -> None:
        """Keep a finding, which must be JSON; it is on the disk when this returns."""
        self._append({"name": name, "found": found})
        self._found[name] = found

    def _append(self, line: dict[str, Any]) -> None:
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def _whole_lines(path: Path) -> list[str]:
    """The lines of the file; half a line at its end, of a run that was killed, is cut off."""
    try:
        if not path.exists():
            return []
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole == text or FORMAT not in whole.partition("\n")[0]:
            return text.splitlines()
        path.write_text(whole, encoding="utf-8")
        return whole.splitlines()
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"The checkpoint {path} cannot be read: {error}.") from error
