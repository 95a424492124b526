"""A program on a machine that does something for as long as its standard input is open, and undoes it then."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import paramiko

from sparkqfs.clients.broken import BROKEN, close
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.errors import ClusterError, Problem


class Hold:
    """Starts the program and waits for its first line, which must be `word`.

    Raises `ClusterError` with what it said instead, after `timeout_s` seconds at the latest.
    """

    def __init__(self, client: NodeClient, argv: Sequence[str], *, word: str, what: str, hint: str, timeout_s: float):
        self.node = client.node.name
        self._channel = client.exec_channel(argv)
        self._channel.settimeout(timeout_s)
        try:
            answer = self._channel.makefile("r").readline().strip()
        except BROKEN as error:
            close(self._channel)
            raise ClusterError(Problem(node=self.node, what=f"{what}: no answer in {timeout_s:.0f} s")) from error
        if answer != word:
            said = complaint(self._channel) or "failed"
            close(self._channel)
            raise ClusterError(Problem(node=self.node, what=f"{what}: {said}", hint=hint))

    @property
    def lasts(self) -> bool:
        """False once it has ended, for whatever reason."""
        return not (self._channel.exit_status_ready() or self._channel.closed)

    def let_go(self) -> None:
        """Close its standard input; do not wait."""
        with contextlib.suppress(*BROKEN):
            self._channel.shutdown_write()

    def end(self, timeout_s: float) -> bool:
        """Wait for its end; whether it came. The connection's end is that of its standard input in any case."""
        ended = self._channel.status_event.wait(timeout_s)
        close(self._channel)
        return bool(ended)


def complaint(channel: paramiko.Channel) -> str:
    """What the machine has said on standard error so far."""
    said = b""
    channel.settimeout(1.0)
    with contextlib.suppress(*BROKEN):
        while block := channel.recv_stderr(65536):
            said += block
    lines = [line.strip() for line in said.decode(errors="replace").splitlines()]
    return "; ".join(line for line in lines if line)


@contextlib.contextmanager
def heartbeat(channel: paramiko.Channel, every_s: float, on_loss: Callable[[], None]) -> Iterator[None]:
    """While the block runs, tell the program on this channel that we are there: a byte on its standard input each time.

    `on_loss()` is called, in another thread, when that program has ended or cannot be told.
    """
    over = threading.Event()

    def beat() -> None:
        while not over.wait(every_s):
            try:
                if channel.closed or channel.exit_status_ready():
                    raise EOFError
                channel.sendall(b".")
            except BROKEN:
                if not over.is_set():
                    on_loss()
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
