"""Caddy or nginx in front of replicas, with the very configuration that docs/serving.md shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.started import ROOT, free_port

SHOWN = {"caddy": ":8080 {", "nginx": "map $cookie_propd_visitor"}
"""How the block of each begins in the docs."""
AROUND_NGINX = (
    "daemon off; pid {0}/pid; error_log {0}/errors; events {{}}\nhttp {{ access_log off;\n{1}}}\n"
)


def configuration(kind: str, port: int, replicas: Sequence[str], folder: Path) -> str:
    """The block of the docs with our own ports. replicas: their addresses."""
    blocks = re.findall(r"```\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.DOTALL)
    text = next(block for block in blocks if block.startswith(SHOWN[kind]))
    for shown, address in zip(("127.0.0.1:7861", "127.0.0.1:7862"), replicas, strict=True):
        assert shown in text
        text = text.replace(shown, httpx.URL(address).netloc.decode())
    assert "8080" in text
    text = text.replace("8080", str(port))
    if kind == "nginx":
        return AROUND_NGINX.format(folder, text)
    return "{\n\tadmin off\n}\n" + text


@contextmanager
def proxied(kind: str, replicas: Sequence[str]) -> Iterator[str]:
    """The address of a proxy before two replicas. kind: caddy or nginx, which must be installed."""
    program = shutil.which(kind)
    if program is None:
        raise FileNotFoundError(f"{kind} is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="propd-proxy-") as name:
        file = Path(name) / "proxy.conf"
        file.write_text(configuration(kind, port, replicas, Path(name)))
        asked = ["run", "--adapter", "caddyfile", "--config"] if kind == "caddy" else ["-c"]
        process = subprocess.Popen([program, *asked, str(file)], stderr=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{port}/"
            _wait(process, address)
            yield address
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"the proxy ended with {process.returncode}")
        try:
            httpx.get(address, timeout=5)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the proxy does not answer")
