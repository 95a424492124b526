"""The health check of a worker: does it follow the master that there is?"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sparkqfs import topology
from sparkqfs_runtime import probes
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("followed", "named"),
    [
        ("spark://127.0.0.1:7077", "spark://localhost:7077"),
        ("spark://localhost:7077", "spark://localhost:7077"),
        ("spark://127.0.0.9:7077", "spark://no-such-host.invalid:7077"),
        ("", "spark://localhost:7077"),
        ("spark://127.0.0.9:7077", ""),
    ],
)
def test_a_worker_is_well_with_the_known_master_and_while_none_is_known(followed: str, named: str) -> None:
    probes.check_master(followed, named)


def test_a_worker_that_follows_a_master_which_is_gone_is_not_well() -> None:
    with pytest.raises(ValueError, match=r"at 127\.0\.0\.9, which is at 127\.0\.0\.1"):
        probes.check_master("spark://127.0.0.9:7077", "spark://localhost:7077")


HERE = "127.0.0.87"
"""An address of loopback that nobody else uses: a worker's page has a fixed port."""


class WorkerPage(BaseHTTPRequestHandler):
    """A Spark worker's, as far as it is asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"masterurl": ""}')

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def asked(run_dir: Path, data_port: str) -> subprocess.CompletedProcess[str]:
    """`health worker-node` where the supervisor wrote these settings."""
    (run_dir / "env").write_text(f"NODE_IP={HERE}\nSPARKQFS_STORAGE=qfs\n{data_port}")
    argv = [sys.executable, "-I", str(ROOT / "runtime" / "bin" / "health"), "worker-node"]
    environment = {**os.environ, "SPARKQFS_RUN_DIR": str(run_dir)}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_worker_is_well_while_its_data_server_takes_connections_where_the_supervisor_says(tmp_path: Path) -> None:
    page = ThreadingHTTPServer((HERE, topology.SPARK_WORKER_UI_PORT), WorkerPage)
    threading.Thread(target=page.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with socket.create_server((HERE, 0)) as server:
            port = server.getsockname()[1]
            assert asked(tmp_path, f"SPARKQFS_DATA_PORT={port}\n").returncode == 0
        gone = asked(tmp_path, f"SPARKQFS_DATA_PORT={port}\n")
        assert gone.returncode == 1 and "ConnectionRefusedError" in gone.stderr
        assert asked(tmp_path, "SPARKQFS_DATA_PORT=''\n").returncode == 0
        assert asked(tmp_path, "").returncode == 1
    finally:
        page.shutdown()
        page.server_close()


@pytest.fixture
def port() -> Iterator[int]:
    """Of a page on loopback that says what the path asks for."""

    class Page(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/slow":
                self.send_response(200)
                self.end_headers()
                with contextlib.suppress(OSError):
                    while True:
                        self.wfile.write(b" " * 100)
                        time.sleep(0.05)
            code, body = (200, b'{"status": "ALIVE"}') if self.path == "/json/" else (503, b"not now")
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_page_is_asked_whole_and_only_the_right_answer_counts(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(probes.get("127.0.0.1", port, "/json/")) == {"status": "ALIVE"}
    with pytest.raises(OSError, match=f"http://127.0.0.1:{port}/other answers 503"):
        probes.get("127.0.0.1", port, "/other")
    monkeypatch.setattr(probes, "TIMEOUT_S", 0.5)
    with pytest.raises(OSError, match="/slow does not end"):
        probes.get("127.0.0.1", port, "/slow")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        probes.get("127.0.0.1", silent.getsockname()[1], "/json/")


def test_a_check_loads_little() -> None:
    """Most of its time was what it imported."""
    program = f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'runtime')]}; import sparkqfs_runtime.health"
    argv = [sys.executable, "-IS", "-c", f"{program}; print(*sys.modules)"]
    loaded = set(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split())
    assert "sparkqfs_runtime.probes" in loaded
    assert not loaded & {
        "dataclasses",
        "urllib.request",
        "http.client",
        "email",
        "pathlib",
        "threading",
        "shlex",
        "ssl",
    }
