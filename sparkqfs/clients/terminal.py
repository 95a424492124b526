"""The user's terminal, connected with a program in a terminal of its own somewhere else."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import paramiko

from sparkqfs.clients import alive
from sparkqfs.clients.broken import BROKEN
from sparkqfs.clients.pipe import said_code

PIECE = 65536


def size() -> tuple[int, int]:
    """(rows, columns) of this terminal."""
    found = os.get_terminal_size(sys.stdin.fileno())
    return found.lines, found.columns


def frame(kind: bytes, content: bytes) -> bytes:
    """One frame, as runtime/sparkqfs_runtime/terminal.py reads it."""
    return kind + struct.pack(">I", len(content)) + content


@contextlib.contextmanager
def _raw(descriptor: int) -> Iterator[int]:
    """Every key goes to the program, Ctrl-C too; yields a descriptor that is readable when the window has changed."""
    before = termios.tcgetattr(descriptor)
    changed, change = os.pipe()
    os.set_blocking(change, False)

    def note(_number: int, _frame: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(change, b"w")

    old = signal.signal(signal.SIGWINCH, note)
    tty.setraw(descriptor)
    try:
        yield changed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, old)
        os.close(changed)
        os.close(change)


def _send(channel: paramiko.Channel, data: bytes) -> None:
    """A connection that has broken is seen by whoever reads it."""
    with contextlib.suppress(*BROKEN):
        channel.sendall(data)


def _no_more(channel: paramiko.Channel) -> None:
    with contextlib.suppress(*BROKEN):
        channel.shutdown_write()


@dataclass(frozen=True, slots=True)
class Manner:
    """How the other side is told what was typed, and how many rows and columns the window has now."""

    typed: Callable[[paramiko.Channel, bytes], None]
    resized: Callable[[paramiko.Channel, int, int], None]


def _resize(channel: paramiko.Channel, rows: int, columns: int) -> None:
    with contextlib.suppress(*BROKEN):
        channel.resize_pty(columns, rows)


FRAMED = Manner(
    lambda channel, data: _send(channel, frame(b"d", data)),
    lambda channel, rows, columns: _send(channel, frame(b"w", b"%d %d" % (rows, columns))),
)
"""To runtime/sparkqfs_runtime/terminal.py in a container."""
PLAIN = Manner(_send, _resize)
"""To a terminal of sshd's own."""


def talk(channel: paramiko.Channel, output: Callable[[str, bytes], None], manner: Manner = FRAMED) -> int | None:
    """Keys there, output here, until the program ends; its exit code, `None` when the connection broke.

    A machine that says nothing any more has broken it, too: the whole connection is closed then.
    """
    keys = sys.stdin.fileno()
    errors = b""
    with _raw(keys) as changed, alive.watched(channel.get_transport()) as watch:
        while True:
            ready, _, _ = select.select([keys, changed, channel], [], [], 1.0)
            if keys in ready:
                typed = os.read(keys, PIECE)
                if not typed:
                    _no_more(channel)
                    break
                manner.typed(channel, typed)
            if channel in ready:
                watch.note()
            if changed in ready:
                os.read(changed, PIECE)
                manner.resized(channel, *size())
            while channel.recv_stderr_ready():
                errors += channel.recv_stderr(PIECE)
            while channel.recv_ready():
                output("stdout", channel.recv(PIECE))
            if channel.exit_status_ready() or channel.closed:
                break
        while not channel.closed and (data := channel.recv(PIECE)):
            output("stdout", data)
    if errors:
        output("stderr", b"\n".join(errors.splitlines()) + b"\n")
    return said_code(channel)
