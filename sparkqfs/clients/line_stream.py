"""A program on a machine whose lines are read as they come, in bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import paramiko

from sparkqfs.clients.hold import complaint, heartbeat
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.clients.wait import in_time

WINDOW_BYTES = 1 << 18
"""On their way; who does not read makes the program wait."""


class LineStream:
    """The lines of one program."""

    def __init__(self, channel: paramiko.Channel, most_bytes: int) -> None:
        self._channel = channel
        self._most_bytes = most_bytes

    def __iter__(self) -> Iterator[list[str]]:
        """In pieces, until the program ends; of a line never more than `most_bytes`. Raises what `BROKEN` names."""
        rest = b""
        while data := self._channel.recv(65536):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[: self._most_bytes]
            yield [line[: self._most_bytes].decode(errors="replace") for line in lines]

    def failure(self, wait_s: float) -> str | None:
        """What it has said on standard error, where its exit code is not 0."""
        self._channel.status_event.wait(wait_s)
        if self._channel.exit_status_ready() and self._channel.recv_exit_status() == 0:
            return None
        return complaint(self._channel) or "no answer"


@contextlib.contextmanager
def line_stream(
    client: NodeClient, argv: Sequence[str], *, most_bytes: int, silent_s: float, beat_s: float | None = None
) -> Iterator[LineStream]:
    """Run `argv` as root for the length of the block. More than `silent_s` seconds without a byte is `TimeoutError`.

    With `beat_s` its standard input gets a byte each time, else it is at its end. Raises `ClusterError`.
    """
    channel = client.exec_channel(argv, window_bytes=WINDOW_BYTES)
    try:
        channel.settimeout(silent_s)
        if beat_s is None:
            channel.shutdown_write()
            yield LineStream(channel, most_bytes)
        else:
            with heartbeat(channel, beat_s, lambda: None):
                yield LineStream(channel, most_bytes)
    finally:
        in_time(channel.close)
