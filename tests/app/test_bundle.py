"""Modules as one script: what a page without a server runs is what the studio runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from app import settings
from app.bundle import bundle, squeezed, styles
from tests.player.node import NODE, needs_node


def run(script: str) -> str:
    command = [str(NODE), "--input-type=commonjs", "-e", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        path = folder / f"{name.replace('__', '/')}.js"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


@needs_node
def test_modules_see_each_other_and_nothing_else(tmp_path: Path) -> None:
    """Inner names may be alike, modules lie in folders, and each is run once."""
    write(
        tmp_path,
        deep__base='const inner = "base";\nglobalThis.count = (globalThis.count || 0) + 1;\n'
        "export const tell = () => inner;\nexport async function later() {}\nexport class A {}\n",
        middle='import {\n  tell as say,\n  A,\n} from "./deep/base.js";\n'
        'const inner = "middle";\nexport function both() { return say() + inner + typeof A; }\n',
        top='import * as M from "./middle.js";\nimport { tell } from "./deep/base.js";\n'
        "export const start = () => process.stdout.write(M.both() + tell() + globalThis.count);\n",
    )
    assert run(bundle(tmp_path, "top.js", call="$top.start()")) == "basemiddlefunctionbase1"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("export default 3;\n", "of a form that cannot be bundled"),
        ('export { a } from "./b.js";\n', "of a form that cannot be bundled"),
        ('import a from "./b.js";\n', "of a form that cannot be bundled"),
        ('const later = import("./b.js");\n', "of a form that cannot be bundled"),
        ('import { b } from "./top.js";\n', "top.js -> top.js import each other"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, source: str, says: str) -> None:
    """Better no page than one whose script breaks off."""
    write(tmp_path, top=source)
    with pytest.raises(ValueError, match=says):
        bundle(tmp_path, "top.js", call="0")


def test_comments_and_indentation_go_but_texts_stay() -> None:
    source = "/** What.\n * More. */\nconst a = `x  y`; // why\n\n  // alone\n  f(a);\n"
    assert squeezed(source) == "const a = `x  y`; // why\nf(a);\n"
    several_lines = "const a = `x\n    y`;\n  // stays too\n"
    assert squeezed(several_lines) == several_lines


def test_styles_lose_their_comments_alone(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("/* why\n   so */\n.a { color: red; }\n\n  .b { top: 0 }\n")
    assert styles(tmp_path / "a.css") == "\n.a { color: red; }\n.b { top: 0 }\n"


@needs_node
@pytest.mark.parametrize("entry", ["words", "figures", "paint", "store", "bench_figures"])
def test_the_modules_of_the_player_run_as_one_script(entry: str) -> None:
    told = run(
        bundle(settings.PLAYER, f"{entry}.js", call=f"console.log(Object.keys(${entry}).length)")
    )
    assert int(told) > 2


def test_a_class_is_laid_out_in_one_style_sheet() -> None:
    """All sheets are on one page: two places that lay out the same name bend each other."""
    homes: dict[str, set[str]] = {}
    for sheet in settings.PLAYER.glob("*.css"):
        for name in re.findall(r"^(\.propd-[a-z-]+) \{[^}]*display:", sheet.read_text(), re.M):
            homes.setdefault(name, set()).add(sheet.name)
    assert len(homes) > 50
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}
