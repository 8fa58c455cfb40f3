"""How the page is served: what whoever starts it may say, and that it is so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from app import zero_gpu
from app.crew import Crew
from app.runs import EngineRoom
from app.serving import Serving, serving
from app.ui import build, launch
from propd.errors import InvalidRequest
from tests.proxies import SHOWN, proxied

GIVEN = {"PROPD_WORKERS": "3", "PROPD_THREADS": "2", "PROPD_QUEUE": ""}


def test_the_command_line_comes_before_variables_and_those_before_defaults() -> None:
    assert serving([], {}) == Serving(workers=0, threads=0, queue=20, share=False)
    assert serving([], GIVEN) == Serving(workers=3, threads=2, queue=20)
    assert serving(["--workers", "1", "--queue=7"], GIVEN) == Serving(1, 2, 7)
    assert serving(["--share"], {}).share


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["--workers", "many"], {}, "--workers is 'many'; it must be a whole number from 0 to 32."),
        ([], {"PROPD_WORKERS": "1.5"}, "PROPD_WORKERS is '1.5'; it must be a whole number"),
        (["--workers", "33"], {}, "--workers is 33; it must be between 0 and 32."),
        ([], {"PROPD_THREADS": "-1"}, "PROPD_THREADS is -1; it must be between 0 and 1024."),
        (["--workers=--1"], {}, "--workers is '--1'"),
        (["--queue", "0"], {}, "--queue is 0; it must be between 1 and 1000."),
        (["--queue", "9" * 60], {}, "--queue is '9999"),
    ],
)
def test_a_number_that_is_none_is_refused_in_words(
    arguments: list[str], variables: dict[str, str], says: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        serving(arguments, variables)
    assert str(caught.value).startswith(says)


def test_zero_gpu_forks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zero_gpu, "ON", True)
    with pytest.raises(InvalidRequest, match="PROPD_WORKERS is 2, and ZeroGPU makes a process"):
        serving([], {"PROPD_WORKERS": "2"})
    assert serving([], {}) == Serving()


def test_workers_make_a_crew_and_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert type(Serving().room()) is EngineRoom and Serving().room().places == 1
    crew = Serving(workers=3).room()
    assert isinstance(crew, Crew) and crew.places == 3
    assert [worker.threads for worker in crew.workers] == [2, 2, 2]
    assert Serving(workers=16).room().workers[0].threads == 1  # type: ignore[attr-defined]
    assert Serving(workers=3, threads=5).room().workers[0].threads == 5  # type: ignore[attr-defined]


def launched(room: EngineRoom, traces: Path, **asked: Any) -> Any:
    demo = build(room, traces)
    launch(demo, Serving(**asked), prevent_thread_lock=True, quiet=True)
    return demo


def test_the_root_path_of_a_proxy_is_honoured(
    room: EngineRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The player asks for its modules below the root that the page names."""
    monkeypatch.setenv("GRADIO_ROOT_PATH", "/studio")
    demo = launched(room, tmp_path)
    try:
        config = httpx.get(f"{demo.local_url}config").json()
        assert config["root"].endswith("/studio")
    finally:
        demo.close()


def test_a_visitor_beyond_the_queue_is_told_so(room: EngineRoom, tmp_path: Path) -> None:
    """And nothing is shared with the world unless asked for, whatever the environment says."""
    demo = launched(room, tmp_path, queue=1)
    try:
        assert demo._queue.max_size == 1
        assert demo.share is False and demo.share_url is None
    finally:
        demo.close()


@contextmanager
def named_replica(name: str) -> Iterator[str]:
    """A server that says its name; its address."""

    class Says(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *said: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Says) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("kind", SHOWN)
def test_a_proxy_as_we_show_it_holds_a_visitor_at_one_replica(kind: str) -> None:
    """A queue lives in one process: a visitor who changes it loses the answer."""
    if shutil.which(kind) is None:
        pytest.skip(f"{kind} is not installed")
    with named_replica("A") as a, named_replica("B") as b, proxied(kind, [a, b]) as address:
        visitors = []
        for _ in range(24):
            with httpx.Client() as visitor:
                visitors.append({visitor.get(address).text for _ in range(5)})
    assert {len(met) for met in visitors} == {1}
    assert set.union(*visitors) == {"A", "B"}
