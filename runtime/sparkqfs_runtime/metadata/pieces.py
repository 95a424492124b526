"""What a storage's metadata is made of: images of a moment, and logs of what was done since. Standard library only."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparkqfs import durable

READ_BYTES = 1 << 20
STEP = 1 << 50
"""As many numbers as two years are worth, and one eight-thousandth of all that there are."""
LONGEST_RECORD = 64 << 20
"""Bytes; HDFS writes none above 50 MB (dfs.namenode.max.op.size), QFS's blocks are smaller."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of the metadata."""

    key: str
    """Its name in a copy; it stays when the storage gives its file another one."""
    path: Path
    order: int
    """Among the images, or among the logs: a higher one is later."""
    first_log: int = 0
    """Of an image: the order of the log that goes on from it."""
    is_log: bool = False


class Kind(ABC):
    """How one kind of storage keeps its metadata below a directory `top`."""

    name: str
    needs_log: bool = False
    """Whether the storage starts from an image only with the log that goes on from it."""

    @abstractmethod
    def identity(self, top: Path) -> str:
        """The file system's own id; empty where there is none."""

    @abstractmethod
    def images(self, top: Path) -> list[Piece]:
        """Finished ones, the oldest first; they never change."""

    @abstractmethod
    def logs(self, top: Path) -> list[Piece]:
        """The oldest first. Only the last one grows, and only at its end."""

    @abstractmethod
    def whole(self, data: bytes, offset: int) -> int:
        """How many bytes of `data`, which stands at `offset` of a log, are whole records; what is not may still change.

        `offset` is 0 or an earlier end of whole records.
        """

    @abstractmethod
    def last_operation(self, data: bytes, offset: int) -> int | None:
        """The number of the last operation in whole records that stand at `offset` of a log; `None` where none is."""

    @abstractmethod
    def next_log(self, log: Piece, operation: int | None) -> int:
        """The order of the log that goes on from a log whose last operation that is; `None` where it has none."""

    def goes_on(self, data: bytes, operation: int) -> bool:
        """Whether whole records come behind bytes of the newest log that are none, whose last operation that is.

        Then they are not half a record at its end, but damaged.
        """
        return False

    def is_room(self, data: bytes) -> bool:
        """Whether bytes behind the last record of a log that nobody writes any more mean nothing."""
        return not data

    @abstractmethod
    def is_log(self, key: str) -> bool | None:
        """Of a piece's key; `None` for what is no such key."""

    @abstractmethod
    def of_copy(self, key: str, path: Path) -> Piece | None:
        """A piece as it lies in a copy, under its key; `None` for what is none."""

    @abstractmethod
    def fault(self, pieces: Iterator[bytes]) -> str:
        """What is wrong with a log that comes in pieces, whole records at its end; empty when nothing is."""

    @abstractmethod
    def image_fault(self, path: Path) -> str:
        """What is wrong with an image on its master's own disk, where its checksum is; empty when nothing is.

        Raises OSError.
        """

    def notes(self, top: Path) -> dict[str, bytes]:
        """Small files that go with it."""
        return {}

    @abstractmethod
    def repair(self, top: Path) -> list[str]:
        """Before a start: takes away what a power cut left unfinished and nobody was answered for. Lines to say."""

    @abstractmethod
    def lay_out(self, pieces: list[tuple[str, Path]], notes: dict[str, Path], top: Path, beyond: int = 0) -> None:
        """Puts a copy's pieces (key, file) below an empty `top` as the storage starts from them.

        New blocks get numbers above `beyond`, where that is not 0. Those that the state would give next may be on a
        disk already, as the numbers of what was written after it: a storage tells blocks apart by their numbers alone.
        """


def number_beyond(last: int, beyond: int) -> int:
    """The number to go on from, of a state whose last block has the number `last`.

    `beyond` is made of the time. Where it is not above `last`, a clock was wrong at an earlier restore or is so now.
    """
    return beyond if last < beyond else last + STEP


def whole_pieces(kind: Kind, path: Path, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """(offset, whole records) of a log from `offset` on, in order, a piece at a time. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield from _pieces(kind, descriptor, os.fstat(descriptor).st_size, offset)
    finally:
        os.close(descriptor)


def last_operation(kind: Kind, path: Path) -> int | None:
    """The number of the last operation of a log."""
    last = None
    for offset, data in whole_pieces(kind, path):
        found = kind.last_operation(data, offset)
        last = last if found is None else found
    return last


def grown(kind: Kind, path: Path, offset: int) -> Iterator[bytes]:
    """What whole records a log has from `offset` on, in order, each time synced to the disk before it is given.

    So a copy never has what a power cut here would take back. Raises OSError; FileNotFoundError when it was removed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        end = os.fstat(descriptor).st_size
        if end < offset:  # the metaserver takes back what it could not sync
            raise OSError(f"{path.name} has got shorter: {end} bytes, {offset} are copied")
        if end > offset:
            os.fdatasync(descriptor)
        for _, data in _pieces(kind, descriptor, end, offset):
            yield data
    finally:
        os.close(descriptor)


def _pieces(kind: Kind, descriptor: int, end: int, offset: int) -> Iterator[tuple[int, bytes]]:
    while offset < end:
        data = os.pread(descriptor, min(READ_BYTES, end - offset), offset)
        length = kind.whole(data, offset)
        while length == 0 and offset + len(data) < end and len(data) < LONGEST_RECORD:
            more = os.pread(descriptor, min(len(data), end - offset - len(data)), offset + len(data))
            if not more:
                break
            data += more
            length = kind.whole(data, offset)
        if length == 0:
            return
        yield offset, data[:length]
        offset += length


def copy_piece(source: Path, target: Path) -> None:
    """A new file with the same bytes, on the disk when this returns. Raises OSError, also for one that is there."""
    with source.open("rb") as read, target.open("xb") as write:
        shutil.copyfileobj(read, write, READ_BYTES)
        write.flush()
        durable.sync(write.fileno())
