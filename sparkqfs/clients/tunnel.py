"""A port of this computer's loopback that leads, over SSH, to a service of the cluster.

Nothing is published for it on any machine: each connection is a channel of the machine's SSH connection. Where it leads
is a `Way`: to an address that the machine reaches, or to a port on a container's loopback.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Callable

import paramiko

from sparkqfs.clients.broken import BROKEN, close
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.errors import ClusterError, ConfigError, Problem

Way = Callable[[], paramiko.Channel]
"""Opens one connection. Raises `ClusterError` or `OSError`."""
PIECE = 65536
TRIES = 20
"""For a free port that is free under both of loopback's addresses."""
CONNECT_S = 10.0
RELAY = "/opt/sparkqfs/bin/relay"


def to_address(client: NodeClient, host: str, port: int) -> Way:
    """To `host:port` as the machine reaches it: a published page, or one on the machine's own loopback."""
    return lambda: client.tcp_channel(host, port, CONNECT_S)


def into_container(client: NodeClient, container_id: str, port: int) -> Way:
    """To a port on the loopback of a container of ours on that machine."""
    return lambda: client.exec_channel(["docker", "exec", "-i", container_id, RELAY, str(port)])


END_S = 2.0
"""For the end of a channel after its last byte; it comes at once unless the machine is busy or away."""


class Tunnel:
    """Listens on loopback while the block runs; what connects is connected with `way`.

    `failed` is called with each connection that did not come about, from a thread of its own. Raises `ConfigError`
    when the port is taken.
    """

    def __init__(self, way: Way, port: int = 0, *, failed: Callable[[Problem], None] = lambda _problem: None) -> None:
        self._way = way
        self._failed = failed
        self._lock = threading.Lock()
        self._open: set[_Link] = set()
        self._is_closed = False
        self._listening = _listen(port)
        self.port = int(self._listening[0].getsockname()[1])
        for listener in self._listening:
            threading.Thread(target=self._accept, args=(listener,), name="tunnel", daemon=True).start()

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """That are open now."""
        with self._lock:
            return len(self._open)

    def close(self) -> None:
        """Take no more, and end those that are open."""
        with self._lock:
            self._is_closed = True
            links = list(self._open)
        for listener in self._listening:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            listener.close()
        for link in links:
            link.end()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if self._is_closed or error.errno in (errno.EBADF, errno.EINVAL):
                    return
                continue  # one that was gone before it was taken
            threading.Thread(target=self._serve, args=(connection,), name="tunnel link", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                channel = self._way()
            except ClusterError as error:
                self._failed(error.problems[0])
                return
            except BROKEN as error:
                self._failed(Problem(what=f"no way through: {error}"))
                return
            link = _Link(connection, channel)
            with self._lock:
                is_wanted = not self._is_closed
                if is_wanted:
                    self._open.add(link)
            try:
                if is_wanted:
                    link.run()
            finally:
                link.end()
                with self._lock:
                    self._open.discard(link)
            if said := link.said():
                self._failed(Problem(what=said))


def usual_or_any(way: Way, port: int, usual: int, *, failed: Callable[[Problem], None]) -> Tunnel:
    """A tunnel at `port`; where that is 0 at the usual port, or at any where that is taken. Raises `ConfigError`."""
    if port:
        return Tunnel(way, port, failed=failed)
    try:
        return Tunnel(way, usual, failed=failed)
    except ConfigError:
        return Tunnel(way, failed=failed)


class _Link:
    """One connection: both ways, until both have ended."""

    def __init__(self, connection: socket.socket, channel: paramiko.Channel) -> None:
        self._connection, self._channel = connection, channel
        self._errors = b""

    def run(self) -> None:
        """Until either side is gone; the end of one direction is passed on."""
        there = threading.Thread(target=self._send, name="tunnel out", daemon=True)
        words = threading.Thread(target=self._take_errors, name="tunnel errors", daemon=True)
        there.start()
        words.start()
        with contextlib.suppress(*BROKEN):
            while data := self._channel.recv(PIECE):
                self._connection.sendall(data)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)  # nobody answers any more
        there.join()
        words.join(1.0)
        self._channel.status_event.wait(END_S)  # a program's exit code comes after its last byte

    def _send(self) -> None:
        with contextlib.suppress(*BROKEN):
            while data := self._connection.recv(PIECE):
                self._channel.sendall(data)
        with contextlib.suppress(*BROKEN):
            self._channel.shutdown_write()

    def _take_errors(self) -> None:
        """What a program there says: a channel whose errors nobody reads stands still."""
        with contextlib.suppress(*BROKEN):
            while data := self._channel.recv_stderr(PIECE):
                self._errors = (self._errors + data)[-PIECE:]

    def said(self) -> str:
        """The last line of a program that is the way, and that failed; empty for one that did not."""
        if not self._channel.exit_status_ready() or self._channel.recv_exit_status() <= 0:
            return ""
        lines = self._errors.splitlines()
        return lines[-1].decode(errors="replace") if lines else ""

    def end(self) -> None:
        """Both sides."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        close(self._channel)


def _listen(port: int) -> tuple[socket.socket, ...]:
    """The port under both addresses of loopback, where there are both: `localhost` may mean either.

    Another account's program under the other address would be given what is meant for us.
    """
    for _ in range(TRIES if port == 0 else 1):
        first = _bound(socket.AF_INET, "127.0.0.1", port)
        try:
            return first, _bound(socket.AF_INET6, "::1", int(first.getsockname()[1]))
        except ConfigError:
            first.close()
            if port:
                raise
        except OSError:  # a computer without IPv6
            return (first,)
    raise ConfigError(Problem(what="no free port on this computer's loopback"))


def _bound(family: int, address: str, port: int) -> socket.socket:
    """Raises `ConfigError` for a port that is taken or may not be had, `OSError` where there is no such address."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(16)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            hint = "`--port` takes another one; without it a free one is taken"
            raise ConfigError(Problem(what=f"port {port} of this computer: {error.strerror}", hint=hint)) from error
        raise
    return listener
