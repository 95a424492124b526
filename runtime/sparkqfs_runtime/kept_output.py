"""The end of a program's output, in files of a bounded size. Standard library only.

A stream called `stdout` is kept in pieces: `stdout`, `stdout@000000008388608`, … The number is where the piece begins
in all that the program has written. A piece is written once and never renamed, so whoever reads at an offset finds the
right bytes or knows how many are gone; the oldest piece goes when there are too many. Programs that write little have
the one file `stdout`.

Somebody who follows the output keeps a file `.reader-ID` with two numbers, how far stdout and stderr are read, and
writes it again every few seconds. A piece that such a reader has not read yet stays: the program waits, as it would for
a slow terminal. A reader that has said nothing for `LEASE_S` does not hold anybody up any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO

STREAMS = ("stdout", "stderr")
PIECES = 8
"""Of a stream; the last one is being written."""
MIN_PIECE = 1024
READ_BYTES = 1 << 16
LEASE_S = 75.0
"""More than follow.PATIENCE_S in sparkqfs/jobs: a connection that breaks is tried again for that long."""
READERS = ".reader-*"
WAIT_S = 0.1
LAST_S = 1.0
"""Without a byte to write; a process that has left the program's group may hold the pipes open for ever."""
DRAIN_S = 60.0
"""For writing what is still in the pipes to a slow disk."""
STOP_S = 2.0
OWED_BYTES = 1 << 17
"""More than a pipe holds (64 KiB) and one read: what comes after that was not the program's when it ended."""


def piece_name(stream: str, offset: int) -> str:
    """The file of a piece that begins at `offset` bytes."""
    return f"{stream}@{offset:015d}" if offset else stream


def pieces_of(folder: Path, *streams: str) -> list[Path]:
    """Those that are there, in their order; a file of the program's such as `stdout.txt` is none."""
    names = re.compile(rf"({'|'.join(streams or STREAMS)})(@[0-9]{{15}})?")
    return sorted(path for path in folder.iterdir() if names.fullmatch(path.name))


class Keeper:
    """Copies one stream from a pipe into pieces; `limit` bytes stay at most, or somewhat fewer."""

    def __init__(self, folder: Path, stream: str, limit: int) -> None:
        self.folder, self.stream = folder, stream
        self.piece_bytes = max(MIN_PIECE, limit // PIECES)
        self.total = 0
        """Bytes that the program has written."""
        self.pieces: deque[int] = deque()
        """Where each piece that is there begins."""
        self.finishing = threading.Event()
        """The program has ended: nobody is waited for any more, and nothing is removed."""
        self.pending = 0
        """Of what was read, bytes that are not written yet."""
        self._pipe: IO[bytes] | None = None
        self._file: int | None = None
        self._room = 0

    def copy(self, source: int) -> None:
        """Until the pipe is closed at the other end. What cannot be written is counted and dropped."""
        with contextlib.closing(os.fdopen(source, "rb", buffering=0)) as pipe:
            self._pipe = pipe
            while data := pipe.read(READ_BYTES):
                self.pending = len(data)
                self.write(data)
        self._close()

    @property
    def is_open(self) -> bool:
        """Whether a piece is being written."""
        return self._file is not None

    def waiting(self) -> int:
        """Bytes that are read and not written yet, and those in the pipe."""
        count = bytearray(4)
        try:
            if self._pipe is not None:
                fcntl.ioctl(self._pipe.fileno(), termios.FIONREAD, count)
        except (OSError, ValueError):  # closed
            return self.pending
        return self.pending + int.from_bytes(count, sys.byteorder)

    def write(self, data: bytes) -> None:
        """Appends to the last piece, and begins others."""
        rest = memoryview(data)
        while rest:
            try:
                if self._file is None or self._room == 0:
                    self.begin()
                assert self._file is not None
                done = os.write(self._file, rest[: self._room])
            except OSError:  # a full disk: what comes later may find room again, in a piece of its own
                self._close()
                self.total += len(rest)
                self.pending = 0
                return
            self._room -= done
            self.total += done
            self.pending = max(0, self.pending - done)
            rest = rest[done:]

    def take_up(self) -> None:
        """Goes on behind what an earlier run of the program has written, in the same piece where that has room."""
        known = [int(path.name.partition("@")[2] or "0") for path in pieces_of(self.folder, self.stream)]
        if not known:
            return
        last = self.folder / piece_name(self.stream, known[-1])
        size = last.stat().st_size
        self.pieces, self.total = deque(known), known[-1] + size
        if size < self.piece_bytes:
            self._file = os.open(last, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._room = self.piece_bytes - size

    def begin(self) -> None:
        """Closes the last piece, makes room, and opens the next one. Raises OSError."""
        self._close()
        while len(self.pieces) >= PIECES and not self.finishing.is_set():
            self._wait_for_readers(self.pieces[1])
            if self.finishing.is_set():
                break
            with contextlib.suppress(FileNotFoundError):
                (self.folder / piece_name(self.stream, self.pieces[0])).unlink()
            self.pieces.popleft()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self.folder / piece_name(self.stream, self.total), flags, 0o640)
        self._room = self.piece_bytes
        self.pieces.append(self.total)

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _wait_for_readers(self, end: int) -> None:
        """Until nobody who follows still needs what lies before `end`."""
        while slowest_reader(self.folder, STREAMS.index(self.stream)) < end and not self.finishing.wait(WAIT_S):
            pass


def slowest_reader(folder: Path, column: int) -> float:
    """How far the slowest of those who follow has read a stream; infinite without any."""
    found = float("inf")
    for path in folder.glob(READERS):
        try:
            if time.time() - path.stat().st_mtime > LEASE_S:
                path.unlink()
                continue
            words = path.read_text(encoding="ascii").split()
            found = min(found, int(words[column]))
        except (IndexError, ValueError):
            found = 0  # it is being written
        except OSError:
            continue
    return found


class Kept:
    """Both streams of one program."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.keepers = tuple(Keeper(folder, stream, limit) for stream in STREAMS)
        self._threads: list[threading.Thread] = []

    def open(self) -> tuple[int, int]:
        """The ends for the program, to be closed here once it is started; copying begins."""
        ends = []
        for keeper in self.keepers:
            with contextlib.suppress(OSError):
                keeper.take_up()
                if not keeper.is_open:
                    keeper.begin()
            source, end = os.pipe()
            thread = threading.Thread(target=keeper.copy, args=(source,), daemon=True)
            thread.start()
            self._threads.append(thread)
            ends.append(end)
        return ends[0], ends[1]

    def finish(
        self, deadline_s: float, drain_s: float = DRAIN_S, is_stopped: Callable[[], bool] = lambda: False
    ) -> int:
        """The program has ended: takes what is still in the pipes; after `deadline_s` readers are not waited for.

        The bytes that a slow disk did not take within another `drain_s`, or `STOP_S` once the container is stopped.
        What somebody who is left writes after that is not waited for: it would fill the disk.
        """
        self._join(deadline_s)
        began = {keeper: keeper.total for keeper in self.keepers}
        for keeper in self.keepers:
            keeper.finishing.set()
        end = time.monotonic() + drain_s
        quiet = time.monotonic() + LAST_S
        while self._is_alive() and (now := time.monotonic()) < end:
            owed = [keeper for keeper, total in began.items() if keeper.total - total <= OWED_BYTES]
            if any(keeper.waiting() for keeper in owed):
                quiet = now + LAST_S
            elif now >= quiet or not owed:
                return 0
            if is_stopped():
                end = min(end, now + STOP_S)
            self._join(0.05)
        return sum(keeper.waiting() for keeper in self.keepers) if self._is_alive() else 0

    def _is_alive(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _join(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
