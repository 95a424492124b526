"""Frames between us and the file server in a container; the other end is runtime/java/sparkqfs/files."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from select import select
from typing import IO, Protocol

BLOCK_BYTES = 256 * 1024
"""Data bytes in a frame of ours."""
LARGEST = 16 << 20
STALL_S = 300.0
"""The other end says something every few seconds while it works; after so long a silence it is given up."""


class Pipe(Protocol):
    """Bytes to and from a file server. Raises `OSError` when the other end is gone or says nothing for `STALL_S`."""

    where: str
    """The machine, for messages."""

    def write(self, data: bytes) -> None:
        """All of it."""

    def read(self, size: int) -> bytes:
        """One byte or more, at most `size`; none at the end."""

    def is_readable(self) -> bool:
        """Whether `read` would not wait."""

    def last_words(self) -> str:
        """The last lines on its standard error."""

    def close(self, *, at_once: bool = False) -> None:
        """The server sees the end of its input and ends; with `at_once` nobody waits for that. Safe to call twice."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A message, or data."""

    texts: tuple[str, ...] | None
    data: bytes = b""


class Wire:
    """Frames over a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self._buffer = bytearray()

    def send(self, *texts: str) -> None:
        """A message. Raises `ValueError` for a text that is no Unicode."""
        parts = [struct.pack(">I", len(texts))]
        for text in texts:
            encoded = text.encode()
            parts += [struct.pack(">I", len(encoded)), encoded]
        payload = b"".join(parts)
        self.pipe.write(struct.pack(">cI", b"M", len(payload)) + payload)

    def send_data(self, data: bytes) -> None:
        """One frame of data."""
        self.pipe.write(struct.pack(">cI", b"D", len(data)) + data)

    def read(self) -> Frame:
        """The next frame that says something. Raises `OSError` when the other end is gone."""
        while True:
            kind, size = struct.unpack(">cI", self._take(5))
            if size > LARGEST:
                raise ConnectionError("what came is not an answer of a file server")
            payload = self._take(size)
            if kind == b"D":
                return Frame(None, payload)
            if kind == b"M":
                return Frame(_texts(payload))
            if kind != b"K":
                raise ConnectionError("what came is not an answer of a file server")

    def has_answer(self) -> bool:
        """Whether something came already, other than that work goes on."""
        while self._buffer or self.pipe.is_readable():
            if not self._buffer:
                self._buffer += self._more(5)
            if self._buffer[:1] != b"K":
                return True
            self._take(5)
        return False

    def _more(self, size: int) -> bytes:
        more = self.pipe.read(max(65536, size))
        if not more:
            raise ConnectionError("the connection to the file server ended")
        return more

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._buffer += self._more(size - len(self._buffer))
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return taken


def _texts(payload: bytes) -> tuple[str, ...]:
    (count,) = struct.unpack_from(">I", payload)
    texts, at = [], 4
    for _ in range(count):
        (size,) = struct.unpack_from(">I", payload, at)
        texts.append(payload[at + 4 : at + 4 + size].decode(errors="replace"))
        at += 4 + size
    return tuple(texts)


class ProcessPipe:
    """A file server on this machine: inside a container, and in tests."""

    def __init__(self, argv: Sequence[str], where: str = "") -> None:
        self.where = where
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(  # Ctrl-C is for us: a server ends with its input, and leaves no half file
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """All of it; a write to a process that is gone raises `BrokenPipeError`."""
        left = memoryview(data)
        while left:
            left = left[self._in.write(left) or 0 :]

    def read(self, size: int) -> bytes:
        """What is there."""
        if not select([self._out], [], [], STALL_S)[0]:
            raise TimeoutError(f"the file server says nothing for {STALL_S:.0f} s")
        return self._out.read(size) or b""

    def is_readable(self) -> bool:
        """Now."""
        return bool(select([self._out], [], [], 0)[0])

    def last_words(self) -> str:
        """Of a log that may be long the end."""
        self._errors.seek(max(0, self._errors.seek(0, 2) - 4096))
        return "\n".join(self._errors.read().decode(errors="replace").strip().splitlines()[-5:])

    def close(self, *, at_once: bool = False) -> None:
        """Ten seconds to end by itself."""
        with self._lock:
            if self._in.closed:
                return
            if at_once:
                self._process.kill()
            with contextlib.suppress(OSError):  # it is gone
                self._in.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._out.close()
