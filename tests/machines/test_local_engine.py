"""local/cluster.py without an engine, or without leave to use it: what the user is told."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sparkqfs.errors import ClusterError
from sparkqfs.local import cluster as local
from tests.doubles.servers import API, Answer, body, serve
from tests.paths import ROOT

ASK = """
import os
from sparkqfs.local.cluster import local_status
if os.geteuid() == 0:  # root may use every socket
    os.setgroups([])
    os.setuid(65534)
local_status(name="none")
"""


@pytest.mark.parametrize(
    ("is_there", "hint"), [(True, "sudo usermod -aG docker"), (False, "sudo systemctl start docker")]
)
def test_an_engine_one_may_not_use_is_no_engine_that_does_not_run(tmp_path: Path, is_there: bool, hint: str) -> None:
    path = tmp_path / "docker.sock" if is_there else Path("/no-such-docker.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        if is_there:
            listener.bind(str(path))
            listener.listen()
            path.chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", ASK],
            cwd=ROOT,
            env={**os.environ, "DOCKER_HOST": f"unix://{path}"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert hint in done.stderr and "UnreachableError" in done.stderr


@pytest.mark.filterwarnings("ignore:docker-credential")
def test_a_login_store_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "no-such-store"}')
    with serve({"/version": body({"ApiVersion": "1.41"}), f"{API}/_ping": Answer(body=b"OK")}) as port:
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        with pytest.raises(ClusterError, match="no-such-store") as caught, local.connected() as engine:
            engine.api.build(fileobj=io.BytesIO(b""), custom_context=True)
    assert "config.json" in str(caught.value)
