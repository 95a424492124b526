"""Files of a chunkserver."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

BLOCK = 65_536
CONTENT = bytes(range(256)) * 400
"""A block and a part of one."""


def chunk(version: int, content: bytes = CONTENT, chunk_id: int = 7, *, unwritten: tuple[int, ...] = ()) -> bytes:
    """A chunk's file as QFS 2.2.8 writes it; `unwritten` blocks are a hole, and have no checksum."""
    sums = [zlib.adler32(content[at : at + BLOCK].ljust(BLOCK, b"\0")) for at in range(0, len(content), BLOCK)]
    sums = [0 if number in unwritten else found for number, found in enumerate(sums)]
    fields = struct.pack("<IIqqqq", 0xCAFECAFE, 1, 5, chunk_id, version, len(content))
    fields = (fields + struct.pack(f"<{len(sums)}I", *sums)).ljust(4_400, b"\0")
    return (fields + struct.pack("<Q", zlib.adler32(fields))).ljust(16_384, b"\0") + content


def put(directory: Path, content: bytes, name: str = "5.7.0") -> Path:
    """A file in `dirty`."""
    (directory / "dirty").mkdir(exist_ok=True)
    path = directory / "dirty" / name
    path.write_bytes(content)
    return path
