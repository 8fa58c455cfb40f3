"""Node for the tests: a script that sees modules of the player and given values."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from app import settings

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def run_script(
    script: str, modules: Mapping[str, str], values: Mapping[str, Any], before: str = ""
) -> Any:
    """What a script returns.

    modules: what an import names (``* as F``, ``{ a, b }``) to the module's path in the player.
    values: by the name the script knows them by. before: lines that stand above the script.
    """
    imports = "".join(
        f'import {names} from "{(settings.PLAYER / path).as_uri()}";\n'
        for names, path in modules.items()
    )
    code = f"""{imports} import fs from "node:fs";
      const {{ {", ".join(values)} }} = JSON.parse(fs.readFileSync(0, "utf8"));
      {before}
      const result = await (async () => {{ {script} }})();
      process.stdout.write(JSON.stringify(result === undefined ? null : result));
    """
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", code],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
