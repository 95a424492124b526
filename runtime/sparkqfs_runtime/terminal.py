"""Runs a program in a terminal of its own for somebody far away; ends it when standard input closes.

Usage: docker exec -i CONTAINER with-env terminal ROWS COLUMNS PROGRAM ARGUMENT…

`docker exec -t` leaves the program running when its user is gone, and cannot be told of a window's new size. Standard
input carries frames instead: one byte of kind, four of length (big-endian), the content. `d` is what was typed, `w`
two numbers: rows and columns. The program's output comes as it is.

Exit codes: the program's own, 128 + N when signal N ended it; 64 wrong command line; 127 it cannot be started.
Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

EX_USAGE = 64
EX_NOT_FOUND = 127
GRACE_S = 5.0
"""Between SIGHUP and SIGKILL."""
PIECE = 65536
WAITING_BYTES = 16 << 20
"""Of what was typed and the program has not read yet; then no more is taken."""


def resize(terminal: int, rows: int, columns: int) -> None:
    """Tell the terminal, and through it the program, how big the window is."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def write_all(descriptor: int, data: bytes) -> None:
    """All of it."""
    while data:
        data = data[os.write(descriptor, data) :]


class Frames:
    """What comes on standard input, put together again."""

    def __init__(self, terminal: int) -> None:
        self.terminal = terminal
        self.rest = bytearray()
        self.typed = bytearray()
        """What the program's terminal has not taken yet."""

    def take(self, data: bytes) -> None:
        """Acts on every whole frame."""
        self.rest += data
        while len(self.rest) >= 5:
            length = struct.unpack(">I", self.rest[1:5])[0]
            if len(self.rest) < 5 + length:
                return
            kind, content = bytes(self.rest[:1]), bytes(self.rest[5 : 5 + length])
            del self.rest[: 5 + length]
            if kind == b"d":
                self.typed += content
            elif kind == b"w":
                rows, columns = (int(word) for word in content.split())
                resize(self.terminal, rows, columns)

    def type(self) -> None:
        """As much as the terminal takes now: one that is full of echo takes no more until its output is read."""
        with contextlib.suppress(BlockingIOError):
            del self.typed[: os.write(self.terminal, self.typed[:PIECE])]


def pass_on(terminal: int) -> None:
    """Both ways, until the program closes its terminal or nobody is there any more."""
    os.set_blocking(terminal, False)
    frames = Frames(terminal)
    while True:
        sources = [terminal, 0] if len(frames.typed) < WAITING_BYTES else [terminal]
        ready, free, _ = select.select(sources, [terminal] if frames.typed else [], [])
        try:
            if terminal in ready:
                data = os.read(terminal, PIECE)
                if not data:
                    return
                write_all(1, data)
            if free:
                frames.type()
        except BrokenPipeError:
            raise
        except BlockingIOError:
            continue
        except OSError:  # EIO: nobody has the other side open
            return
        if 0 in ready:
            data = os.read(0, PIECE)
            if not data:
                return
            frames.take(data)


def default_signals() -> None:
    """Signals as a terminal gives them to a program: Python ignores SIGPIPE, and what started us perhaps SIGHUP."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError):
            signal.signal(number, signal.SIG_DFL)


def end(pid: int) -> int:
    """The program's exit code; it and its group get SIGHUP, later SIGKILL, when they go on."""
    deadline = time.monotonic() + GRACE_S
    for number in (None, signal.SIGHUP, signal.SIGKILL):
        if number is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
        until = time.monotonic() + 0.5 if number is None else deadline
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if time.monotonic() > until and number is not signal.SIGKILL:
                break
            time.sleep(0.02)
    return 1


def main(argv: list[str]) -> int:
    """Exit code; see the top."""
    if len(argv) < 4 or not argv[1].isdigit() or not argv[2].isdigit():
        print("usage: terminal ROWS COLUMNS PROGRAM ARGUMENT…", file=sys.stderr)
        return EX_USAGE
    pid, terminal = pty.fork()
    if pid == 0:
        default_signals()
        try:
            os.execvp(argv[3], argv[3:])
        except OSError as error:
            print(f"terminal: {argv[3]}: {error.strerror}", file=sys.stderr)
        os._exit(EX_NOT_FOUND)
    resize(terminal, int(argv[1]), int(argv[2]))
    with contextlib.suppress(BrokenPipeError):
        pass_on(terminal)
    return end(pid)
