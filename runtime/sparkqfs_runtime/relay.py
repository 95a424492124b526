"""Connects standard input and output with a port on this container's loopback.

Usage: docker exec -i CONTAINER relay PORT

A service that listens on loopback alone is in reach of nobody on the network; whoever may use Docker on the machine
reaches it this way. Before bytes pass on, the file `used` in the run directory gets the present time: by that a
service knows that somebody uses it, and whoever has an answer knows that it was noted. Exit codes: 0 the connection
ended, 64 wrong command line, 111 nobody listens there.
Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from pathlib import Path

EX_USAGE = 64
EX_REFUSED = 111
PIECE = 65536
NOTE_S = 1.0
"""Between two notes that it is used."""
USED = "used"


class Uses:
    """Notes down that bytes pass."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0.0

    def note(self) -> None:
        """Not more often than `NOTE_S` asks for."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + NOTE_S
            with contextlib.suppress(OSError):
                self._path.touch(mode=0o600)


def write_all(descriptor: int, data: bytes) -> None:
    """All of it."""
    while data:
        data = data[os.write(descriptor, data) :]


def there(link: socket.socket, uses: Uses) -> None:
    """What is typed, to the service; the end of it too."""
    with contextlib.suppress(OSError):
        while data := os.read(0, PIECE):
            uses.note()
            link.sendall(data)
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_WR)


def main(arguments: list[str]) -> int:
    """Exit code; see the top."""
    if len(arguments) != 1 or not arguments[0].isdecimal() or not 0 < int(arguments[0]) < 65536:
        print("usage: relay PORT", file=sys.stderr)
        return EX_USAGE
    uses = Uses(Path(os.environ.get("SPARKQFS_RUN_DIR") or "/run/sparkqfs") / USED)
    try:
        link = socket.create_connection(("127.0.0.1", int(arguments[0])))
    except OSError as error:
        print(f"relay: port {arguments[0]} of this container: {error.strerror}", file=sys.stderr)
        return EX_REFUSED
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=there, args=(link, uses), daemon=True).start()
    with contextlib.suppress(OSError):
        while data := link.recv(PIECE):
            uses.note()
            write_all(1, data)
    return 0
