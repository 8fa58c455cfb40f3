"""The player's modules as one script, for pages that no server sends: `import` needs one."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

IMPORT = re.compile(
    r'^import\s+(?:\{(?P<names>[^}]*)\}|\*\s+as\s+(?P<all>\w+))\s+from\s+"(?P<file>\.[\w./-]+)";?\n',
    re.MULTILINE,
)
EXPORT = re.compile(
    r"^export\s+(?=(?:async\s+)?(?:function\*?|class|const)\s+(?P<name>\w+))", re.MULTILINE
)
LEFT_OVER = re.compile(r"^\s*(?:import|export)\b(?!\()", re.MULTILINE)
COMMENT = re.compile(r"^\s*(?://.*|/\*\*?(?:[^*]|\*(?!/))*\*/)\s*\n", re.MULTILINE)
BLANK = re.compile(r"^[ \t]+|\n(?=\n)", re.MULTILINE)
LATER = re.compile(r"\bimport\s*\(")


def bundle(folder: Path, *entries: str, call: str) -> str:
    """One script out of ES modules: each in a function of its own, what it needs before it.

    entries: the modules that are wanted, such as ``replay.js``; `call`: what to do in the end, an
    expression that sees each module by its name, as in ``$replay.start()``. Knows the few forms of
    import and export that the player uses and refuses the rest with a `ValueError`.
    """
    done: dict[str, str] = {}
    for entry in entries:
        _add(folder, entry, done, ())
    return "\n".join(['"use strict";', "(() => {", *done.values(), f"{call};", "})();"])


def _add(folder: Path, file: str, done: dict[str, str], above: tuple[str, ...]) -> None:
    """Put a module behind those that it imports. file: inside the folder."""
    if file in done:
        return
    if file in above:
        raise ValueError(f"{' -> '.join((*above, file))} import each other in a circle.")
    source = (folder / file).read_text(encoding="utf-8")

    def inside(found: re.Match[str]) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(file), found["file"]))

    for found in IMPORT.finditer(source):
        _add(folder, inside(found), done, (*above, file))
    given = ", ".join(found["name"] for found in EXPORT.finditer(source))
    body = IMPORT.sub(lambda found: _binding(found, inside(found)), squeezed(source))
    body = EXPORT.sub("", body).rstrip()
    if LEFT_OVER.search(body) or LATER.search(body):
        raise ValueError(f"{file} has an import or an export of a form that cannot be bundled.")
    done[file] = f"const {name_of(file)} = (() => {{\n{body}\nreturn {{ {given} }};\n}})();"


def name_of(file: str) -> str:
    """What a bundled module is called in the script: a name that no module uses inside."""
    return "$" + re.sub(r"\W", "_", file.removesuffix(".js"))


def _binding(found: re.Match[str], file: str) -> str:
    """An import as names out of the module that stands above."""
    if found["all"]:
        return f"const {found['all']} = {name_of(file)};\n"
    names = re.sub(r"\s+as\s+", ": ", " ".join(found["names"].split()))
    return f"const {{ {names.rstrip(', ')} }} = {name_of(file)};\n"


def squeezed(source: str) -> str:
    """Without comments that fill lines and without indentation; as it is where text has breaks."""
    if any(line.count("`") % 2 for line in source.splitlines()):
        return source  # a text of several lines: its spaces count
    return BLANK.sub("", COMMENT.sub("", source))


def styles(*files: Path) -> str:
    """Style sheets as one, without comments."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return BLANK.sub("", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
