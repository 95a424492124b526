"""Gives chunks that were finished before the power went the names that they were about to get.

Usage: finished_chunks.py CHUNK_DIR…, before the chunkserver starts; it prints a line for each.

QFS 2.2.8 finishes a chunk so (src/cc/chunk/ChunkManager.cc): the header with the chunk's version is written and, with
`chunkServer.syncChunkHeader`, synced; then the file is renamed from `dirty/FILE.CHUNK.0` to `FILE.CHUNK.VERSION`. The
rename is not synced: after a power cut the old name may be back on every machine, and a chunkserver removes all of
`dirty` when it starts. A header with a version is in `dirty` at no other time, and the metaserver compares versions
when the chunkserver reports: what is finished here is what a chunkserver would have finished a moment later.
Standard library only, as supervise.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from sparkqfs_runtime.scrub.chunk_files import (
    BLOCK_BYTES,
    FIELDS,
    FIELDS_BYTES,
    FORMAT,
    HEADER_BYTES,
    MAGIC,
    is_block,
)

NAME = re.compile(r"(\d+)\.(\d+)\.0")


def finished_name(path: Path) -> str | None:
    """The name of a chunk whose header and bytes are all there; `None` for one that was still written."""
    named = NAME.fullmatch(path.name)
    if named is None or path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        header = file.read(FIELDS_BYTES + 8)
        if len(header) < FIELDS_BYTES + 8:
            return None
        magic, layout, file_id, chunk_id, version, size, *sums = FIELDS.unpack_from(header)
        (adler,) = struct.unpack_from("<Q", header, FIELDS_BYTES)
        is_whole = (magic, layout) == (MAGIC, FORMAT) and adler == zlib.adler32(header[:FIELDS_BYTES])
        is_named = (str(file_id), str(chunk_id)) == named.groups() and version > 0
        if not (is_whole and is_named and 0 <= size <= len(sums) * BLOCK_BYTES):
            return None
        file.seek(HEADER_BYTES)
        for start in range(0, size, BLOCK_BYTES):
            wanted = min(BLOCK_BYTES, size - start)
            block = file.read(wanted)
            if len(block) < wanted or not is_block(block, sums[start // BLOCK_BYTES]):
                return None
    return f"{file_id}.{chunk_id}.{version}"


def finish(directory: Path) -> Iterator[str]:
    """The new names in one chunk directory. Another file of that name stays, and this one too."""
    moved = False
    for path in sorted((directory / "dirty").glob("*.0")):
        try:
            name = finished_name(path)
            if name is not None and not os.path.lexists(directory / name):
                path.rename(directory / name)
                moved = True
                yield f"{directory / name}: finished before the power went, and named now"
        except OSError as error:
            yield f"{path}: {error}"
    if moved:
        for place in (directory, directory / "dirty"):
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def main(argv: list[str]) -> int:
    """Exit code."""
    for directory in argv:
        for line in finish(Path(directory)):
            print(line, flush=True)
    return 0
