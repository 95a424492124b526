"""The connection of a ProxyCommand, started as OpenSSH starts it."""

from __future__ import annotations

import array
import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from typing import IO

KEPT = 400
"""Characters of what it says on standard error."""


class ProxySocket(socket.socket):
    """A socket whose other end is the command's standard input and output; closing it ends the command."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        super().__init__(fileno=descriptor)
        self._process = process
        self._said = b""
        self._listener: threading.Thread | None = None
        if process.stderr is not None:
            self._listener = threading.Thread(target=self._listen, args=(process.stderr,), daemon=True)
            self._listener.start()

    def _listen(self, stream: IO[bytes]) -> None:
        with suppress(OSError, ValueError), stream:
            while more := os.read(stream.fileno(), 4096):
                self._said = (self._said + more)[-KEPT:]

    def last_words(self) -> str:
        """The last line that it said on standard error."""
        if self._listener is not None:
            self._listener.join(0.2)
        lines = self._said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """Close, and end the command with all that it has started."""
        super().close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
                break


def started(command: str, *, passes_socket: bool, limit_s: float) -> ProxySocket:
    """The command in the user's shell, in a session of its own: Ctrl-C must not end it before what runs there is ended.

    With `passes_socket` it hands on a connection that it has made. Raises `OSError`.
    """
    shell = os.environ.get("SHELL") or "/bin/sh"
    mine, its = socket.socketpair()
    try:
        argv = [shell, "-c", f"exec {command}"]
        end = its.fileno()
        process = subprocess.Popen(argv, stdin=end, stdout=end, stderr=subprocess.PIPE, start_new_session=True)
    except OSError:
        mine.close()
        raise
    finally:
        its.close()
    if not passes_socket:
        return ProxySocket(mine.detach(), process)
    with mine:
        mine.settimeout(limit_s)
        try:
            _, ancillary, _, _ = mine.recvmsg(1, socket.CMSG_SPACE(4))
            descriptor = array.array("i", ancillary[0][2][:4])[0]
        except (OSError, IndexError) as error:
            failed = ProxySocket(mine.detach(), process)
            said = failed.last_words()
            failed.close()
            raise ConnectionError(f"its ProxyCommand hands on no connection: {said}") from error
    return ProxySocket(descriptor, process)
