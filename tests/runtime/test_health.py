"""The health check of a worker: does it follow the master that there is?"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
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
