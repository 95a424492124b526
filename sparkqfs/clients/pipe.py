"""The byte stream of a program on a machine, for `sparkqfs.files`."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import paramiko

from sparkqfs.clients.broken import BROKEN, close
from sparkqfs.clients.ssh import NodeClient, Output
from sparkqfs.clients.wait import in_time
from sparkqfs.errors import ClusterError, DeadlineError, ExitCode, Problem

WINDOW_BYTES = 16 << 20
"""Bytes on their way to us: enough for 100 MB/s over 100 ms."""
KEPT_BYTES = 8192
PIECE_BYTES = 32768


class NodePipe:
    """A `Pipe` to a program that runs on a machine as root. Raises `UnreachableError` at the start, then `OSError`."""

    def __init__(self, client: NodeClient, argv: Sequence[str], *, stall_s: float) -> None:
        self.where = client.node.name
        self._channel = client.exec_channel(argv, window_bytes=WINDOW_BYTES)
        self._channel.settimeout(stall_s)
        self._errors = b""

    def write(self, data: bytes) -> None:
        """All of it."""
        self._take_errors()
        try:
            self._channel.sendall(data)
        except (paramiko.SSHException, EOFError) as error:
            raise ConnectionError(str(error)) from error

    def read(self, size: int) -> bytes:
        """What is there."""
        self._take_errors()
        try:
            return self._channel.recv(size)
        except TimeoutError:
            raise TimeoutError("no answer in time") from None
        except (paramiko.SSHException, EOFError) as error:
            raise ConnectionError(str(error)) from error

    def end(self) -> None:
        """Of what is written; the program may go on. Raises OSError."""
        try:
            self._channel.shutdown_write()
        except (paramiko.SSHException, EOFError) as error:
            raise ConnectionError(str(error)) from error

    def is_readable(self) -> bool:
        """Now."""
        return self._channel.recv_ready() or self._channel.closed

    def _take_errors(self) -> None:
        while self._channel.recv_stderr_ready():
            self._errors = (self._errors + self._channel.recv_stderr(65536))[-KEPT_BYTES:]

    def exit_code(self) -> int | None:
        """Of a program whose output has ended; `None` where it is not said within a second."""
        return said_code(self._channel) if self._channel.status_event.wait(1.0) else None

    def last_words(self) -> str:
        """A program that has just ended gets a second for its last lines."""
        deadline = time.monotonic() + 1.0
        while not (self._channel.closed or self._channel.eof_received) and time.monotonic() < deadline:
            time.sleep(0.02)
        self._take_errors()
        lines = self._errors.decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-6:])

    def close(self, *, at_once: bool = False) -> None:
        """The program sees the end of its input, and nobody waits for its own end anyway."""
        with contextlib.suppress(*BROKEN):
            self._channel.shutdown_write()
        close(self._channel)


def said_code(channel: paramiko.Channel) -> int | None:
    """The exit code of a program that has ended; `None` where the connection broke before the machine said it.

    To paramiko a channel that is closed has one, -1.
    """
    code = channel.recv_exit_status() if channel.exit_status_ready() else -1
    return code if code >= 0 else None


class ProgramError(ClusterError):
    """A program on a machine has ended with an exit code of its own."""

    def __init__(self, node: str, ended_with: int, *problems: Problem) -> None:
        super().__init__(*problems)
        self.node, self.ended_with = node, ended_with


def pass_on(
    client: NodeClient, argv: Sequence[str], stdin: bytes, output: Callable[[str, bytes], None], *, timeout_s: float
) -> int | None:
    """Runs a program on a machine as root, and passes on what it writes as it comes; its exit code.

    Its standard input gets `stdin` and stays open: its end says that nobody waits any more. `None` when the connection
    broke. Raises `DeadlineError` after `timeout_s`, however much it writes, `UnreachableError` at the start.
    """
    deadline = time.monotonic() + timeout_s
    channel = client.exec_channel(argv, window_bytes=WINDOW_BYTES)
    errors = b""
    try:
        with contextlib.suppress(OSError):  # closed, or late: the loop sees which
            for at in range(0, len(stdin), PIECE_BYTES):
                channel.settimeout(max(0.01, deadline - time.monotonic()))
                channel.sendall(stdin[at : at + PIECE_BYTES])
        while True:
            if time.monotonic() > deadline:
                what = f"it did not end within {timeout_s:.0f} s, and was ended"
                raise DeadlineError(Problem(node=client.node.name, what=what, code=ExitCode.TIMEOUT))
            is_over = channel.closed or (channel.exit_status_ready() and channel.eof_received)
            some = channel.recv(1 << 18) if channel.recv_ready() else b""
            if some:
                output("stdout", some)
            more = channel.recv_stderr(1 << 18) if channel.recv_stderr_ready() else b""
            errors = _whole_lines(errors + more, output)
            if not some and not more:
                if is_over:
                    return said_code(channel)
                time.sleep(0.01)
    except (EOFError, paramiko.SSHException):
        return None
    finally:
        in_time(channel.close)


def _whole_lines(errors: bytes, output: Callable[[str, bytes], None]) -> bytes:
    """Passes whole lines on; what is no whole line yet."""
    *lines, rest = errors.split(b"\n")
    said = b"".join(line + b"\n" for line in lines)
    if said:
        output("stderr", said)
    return rest


def relay(source: NodeClient, give: Sequence[str], target: NodeClient, take: Sequence[str], *, timeout_s: float) -> str:
    """The bytes that one machine's program prints, read by another machine's program; what that prints.

    Both run as root. Raises `ClusterError` naming the machine whose program failed, the giving one first: the other
    fails for want of what it was to get.
    """
    deadline = time.monotonic() + timeout_s
    outgoing = source.exec_channel(give, window_bytes=WINDOW_BYTES)
    errors = _Ends(outgoing)

    def data() -> Iterator[bytes]:
        with contextlib.suppress(*BROKEN):
            while some := _some(outgoing, deadline):
                yield some

    try:
        return feed(
            data(), target, take, timeout_s=timeout_s, ended=lambda: _end(source, give, outgoing, errors, deadline)
        )
    finally:
        close(outgoing)


def feed(
    data: Iterable[bytes],
    target: NodeClient,
    take: Sequence[str],
    *,
    timeout_s: float,
    ended: Callable[[], None] = lambda: None,
) -> str:
    """The bytes, read by a machine's program that runs as root; what that prints.

    `ended` says what is wrong with whoever gave them, before the program's own failure is said. Raises `ClusterError`.
    """
    deadline = time.monotonic() + timeout_s
    incoming = target.exec_channel(take)
    errors = _Ends(incoming)
    is_taken = True
    try:
        try:
            for some in data:
                incoming.settimeout(max(1.0, deadline - time.monotonic()))
                incoming.sendall(some)
        except BROKEN:
            is_taken = False  # whoever gives may stand now, and is not waited for
        with contextlib.suppress(*BROKEN):
            incoming.shutdown_write()
        said = _rest(incoming, deadline)
        if is_taken:
            ended()
        _end(target, take, incoming, errors, deadline)
        return said.decode(errors="replace")
    finally:
        close(incoming)


def _end(client: NodeClient, argv: Sequence[str], channel: paramiko.Channel, errors: _Ends, deadline: float) -> None:
    """Waits for a program's end. Raises `ClusterError` for one that fails, or does not end in time."""
    if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
        what = f"`{argv[0]}` did not end in time"
        raise ClusterError(Problem(node=client.node.name, what=what, code=ExitCode.TIMEOUT))
    if code := channel.recv_exit_status():
        failure = client.failure(argv, Output(code, "", errors.text()))
        raise ProgramError(client.node.name, code, *failure.problems)


def _some(channel: paramiko.Channel, deadline: float) -> bytes:
    channel.settimeout(max(1.0, deadline - time.monotonic()))
    return channel.recv(1 << 20)


def _rest(channel: paramiko.Channel, deadline: float) -> bytes:
    found = b""
    with contextlib.suppress(*BROKEN):
        while len(found) < MOST_SAID and (data := _some(channel, deadline)):
            found += data
    return found


MOST_SAID = 1 << 20


class _Ends:
    """The last words of a program on standard error, taken by a thread: a channel whose errors nobody reads stands."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._kept = b""
        self._channel = channel
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        with contextlib.suppress(*BROKEN):
            while data := self._channel.recv_stderr(65536):
                self._kept = (self._kept + data)[-KEPT_BYTES:]

    def text(self) -> str:
        """What is known one second after the end."""
        self._thread.join(1.0)
        return "\n".join(self._kept.decode(errors="replace").splitlines())
