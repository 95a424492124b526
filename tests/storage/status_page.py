"""The status page of a real metaserver, as in its container."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests.paths import PROGRAMS
from tests.storage.qfs_cluster import QfsCluster, free_port


@contextlib.contextmanager
def status_page(qfs: QfsCluster, check_s: float = 300.0) -> Iterator[int]:
    """runtime/bin/webui_guard.py in front of this metaserver, as in its container; the port."""
    port = free_port()
    config = qfs.home / "webui.conf"
    config.write_text(
        f"[webserver]\nwebServer.metaserverHost = 127.0.0.1\nwebServer.metaserverPort = {qfs.client_port}\n"
        f"webServer.host = 127.0.0.1\nwebServer.port = {port}\nwebServer.docRoot = {qfs.qfs_home}/webui/files\n"
        "webServer.socketTimeout = 20\n[chunk]\nrefreshInterval = 10\n"
    )
    environment = {**os.environ, "QFS_HOME": str(qfs.qfs_home), "SPARKQFS_CHECK_S": str(check_s)}
    argv = (sys.executable, "-u", str(PROGRAMS / "webui_guard.py"), str(config))
    with (qfs.home / "webui.log").open("wb") as log:
        server = subprocess.Popen(argv, env=environment, stdout=log, stderr=log, cwd=qfs.home)
    try:
        QfsCluster.wait(lambda: page(port, "/query/meta"), "status page", 20)
        yield port
    finally:
        server.kill()
        server.wait(30)


def page(port: int, path: str) -> Any:
    """What a loopback page says; `None` when it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


def until(condition: Any, what: str, deadline_s: float = 30.0) -> Any:
    """Polls until there is something; that. Raises TimeoutError."""
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} within {deadline_s:.0f} s")
        time.sleep(0.3)
    return found
