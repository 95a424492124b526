"""Files of a machine behind SSH, through the stand-in for the file server of its container."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from sparkqfs.clients.pipe import NodePipe
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.files.places import Place, Places
from sparkqfs.files.storage import Storage
from sparkqfs.files.transfer import Access
from tests.doubles.servers import Sshd
from tests.paths import FILE_SERVER

STAND_IN = [sys.executable, "-I", str(FILE_SERVER)]


def access(server: Sshd, home: Path, *more: str, stall_s: float = 20) -> Access:
    config = server.cluster(home / "known_hosts")
    client = NodeClient(config, config.nodes[0])

    def connect(_number: int) -> Storage:
        return Storage(NodePipe(client, [*STAND_IN, *more, "300"], stall_s=stall_s))

    said: Callable[[str], None] = lambda _text: None  # noqa: E731
    return Access(connect=connect, width=3, on_event=said, confirm=lambda _question: True, timeout_s=300)


def place(home: Path, path: str) -> Place:
    return Places(root=f"file://{home}/storage", shared=None, user="spark").read(path)
