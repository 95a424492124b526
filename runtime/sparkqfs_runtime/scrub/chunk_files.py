"""Whether a chunk file is as it was written.

Layout as in QFS 2.2.8, src/cc/chunk/Chunk.h: 4,400 bytes of header, their Adler-32 in the next eight, zeros to 16,384,
then the data. A block's Adler-32 is over 64 KiB, the last block filled up with zeros. A name of three numbers is a
chunk that nobody writes: to write one the chunkserver moves its file away first. Standard library only.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NAME = re.compile(r"(\d{1,19})\.(\d{1,19})\.([1-9]\d{0,18})")
"""File, chunk, version."""
HEADER_BYTES = 16_384
FIELDS_BYTES = 4_400
PADDING = FIELDS_BYTES + 8
BLOCK_BYTES = 1 << 16
CHUNK_BYTES = 1 << 26
PIECE_BYTES = 1 << 20
FIELDS = struct.Struct("<IIqqqq1024I")
"""Magic, format, file, chunk, version, bytes of data, checksums."""
MAGIC, FORMAT = 0xCAFECAFE, 1
REVERSED = 0xFECAFECA
"""The magic of a machine with the other order of bytes: not looked at."""
ZEROS = 0x000F_0001
"""Adler-32 of a block of zeros, which may have 0 in its place: a part that was never written."""

What = Literal["header", "padding", "data", "short", "unreadable", "missing"]


@dataclass(frozen=True)
class Chunk:
    """A chunk file by its name."""

    path: Path
    file: int
    id: int
    version: int


@dataclass(frozen=True)
class Damage:
    """What is wrong with one."""

    what: What
    detail: str


def is_block(data: bytes, expected: int) -> bool:
    """Whether a block, of which the last one of a chunk may be shorter, has the checksum in the chunk's header."""
    found = zlib.adler32(data.ljust(BLOCK_BYTES, b"\0"))
    return found == expected or (found, expected) == (ZEROS, 0)


def named(path: Path) -> Chunk | None:
    """What the name of a file says; `None` where it is not that of a chunk that nobody writes."""
    found = NAME.fullmatch(path.name)
    return Chunk(path, int(found[1]), int(found[2]), int(found[3])) if found else None


def chunks_in(directory: Path) -> Iterator[Chunk]:
    """The chunks of a directory that nobody writes, in no order. Raises `OSError`."""
    with os.scandir(directory) as entries:
        for entry in entries:
            chunk = named(Path(entry.path))
            if chunk is not None and entry.is_file(follow_symlinks=False):
                yield chunk


def damage_of(chunk: Chunk, read: Callable[[int], None] = lambda _bytes: None) -> Damage | None:
    """What is wrong; `None` when nothing is, or when the file is no longer there. `read` hears of each piece.

    The bytes come from the disk: what the system keeps of the file is dropped before, and after, too.
    """
    try:
        descriptor = os.open(chunk.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Damage("unreadable", str(error))
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        found = _damage(chunk, descriptor, read)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        if found is not None and not is_still(chunk, descriptor):
            return None
        return found
    except OSError as error:
        return Damage("unreadable", str(error))
    finally:
        os.close(descriptor)


def is_still(chunk: Chunk, descriptor: int) -> bool:
    """Whether the path leads to the file that is open."""
    try:
        return os.path.samestat(chunk.path.lstat(), os.fstat(descriptor))
    except OSError:
        return False


def _damage(chunk: Chunk, descriptor: int, read: Callable[[int], None]) -> Damage | None:
    header = os.pread(descriptor, HEADER_BYTES, 0)
    read(len(header))
    if len(header) < HEADER_BYTES:
        return Damage("short", f"{len(header)} bytes in all")
    magic, form, file, number, version, size, *checksums = FIELDS.unpack_from(header)
    if magic == REVERSED:
        return None
    if zlib.adler32(header[:FIELDS_BYTES]) != struct.unpack_from("<Q", header, FIELDS_BYTES)[0]:
        return Damage("header", "it does not match its checksum")
    if (magic, form, file, number, version) != (MAGIC, FORMAT, chunk.file, chunk.id, chunk.version):
        return Damage("header", "it is another chunk's")
    if not 0 <= size <= CHUNK_BYTES:
        return Damage("header", f"{size} bytes of data")
    return _data_damage(descriptor, size, checksums, read) or _padding_damage(header)


def _padding_damage(header: bytes) -> Damage | None:
    wrong = [at for at in range(PADDING, HEADER_BYTES) if header[at]] if any(header[PADDING:]) else []
    return Damage("padding", f"{len(wrong)} bytes from {wrong[0]} on are not zero") if wrong else None


def _data_damage(descriptor: int, size: int, checksums: list[int], read: Callable[[int], None]) -> Damage | None:
    for at in range(0, size, PIECE_BYTES):
        wanted = min(PIECE_BYTES, size - at)
        piece = os.pread(descriptor, wanted, HEADER_BYTES + at)
        read(len(piece))
        if len(piece) < wanted:
            return Damage("short", f"{at + len(piece)} of {size} bytes of data")
        for start in range(0, wanted, BLOCK_BYTES):
            number = (at + start) // BLOCK_BYTES
            if not is_block(piece[start : start + BLOCK_BYTES], checksums[number]):
                return Damage("data", f"block {number} does not match its checksum")
    return None


def fill_padding(chunk: Chunk) -> bool:
    """Zeros where nothing else ever is; whether the file is well then. Raises `OSError`."""
    descriptor = os.open(chunk.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, bytes(HEADER_BYTES - PADDING), PADDING)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return damage_of(chunk) is None
