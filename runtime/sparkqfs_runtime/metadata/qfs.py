"""QFS's metadata: checkpoints and the metaserver's transaction log.

Facts by experiment with 2.2.8. A checkpoint names the log that goes on from it; that log must be there. A log is text;
each block of operations ends with a line `c/…`, which is written together with it; a closed log ends with
`checksum/MD5`. `checkpoint/latest` and `logs/last` must be hard links, to the newest checkpoint and the newest closed
log. Without a link `last`, with a log whose first lines are not whole, or with a closing line cut off, the metaserver
does not start. With half a block at the end it starts, appends behind that, and does not start a second time. The last
number of a line `c/…` is the Adler-32 of its block, from the line end before it up to that number; MD5 is of all above.
A checkpoint ends with such a line too. It says in `chunkId/…` which number the last new chunk has; a log that goes on
from it raises that and never lowers it.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from sparkqfs.durable import replace_file, sync, sync_directory, sync_file
from sparkqfs_runtime.metadata.pieces import LONGEST_RECORD, READ_BYTES, Kind, Piece, copy_piece, number_beyond

IMAGE = re.compile(r"chkpt\.\d+\.\d+\.(\d+)")
LOG = re.compile(r"log\.\d+\.\d+\.\d+\.(\d+)")
HEADER_BYTES = 4096
"""A checkpoint's first lines are well within them, and a log's."""
TORN = "torn"
"""Directory under `top` for what was cut off the logs."""
MOST_TORN = 64 << 20
CLOSED = re.compile(rb"\nchecksum/[0-9a-f]{32}\n\Z")
CLOSING_BYTES = len("checksum/") + 32 + 1
LAST_CHUNK = re.compile(rb"^chunkId/(\d+)$", re.MULTILINE)
BLOCK_END = re.compile(rb"^(?:c/[^\n]*|checksum/[0-9a-f]{32})\n", re.MULTILINE)
OPERATION = re.compile(rb"^c/[^\n]*/[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+)/[0-9a-f]+/[0-9a-f]+/[0-9a-f]+\n", re.MULTILINE)


class Qfs(Kind):
    """`checkpoint/` and `logs/`."""

    name = "qfs"
    needs_log = True

    def identity(self, top: Path) -> str:
        images = self.images(top)
        return _field(images[-1].path, rb"^filesysteminfo/fsid/(-?\d+)/") if images else ""

    def images(self, top: Path) -> list[Piece]:
        found = [_image(path.name, path, order) for path, order in _matching(top / "checkpoint", IMAGE)]
        return sorted(found, key=lambda piece: (piece.first_log, piece.order))

    def logs(self, top: Path) -> list[Piece]:
        found = [Piece(path.name, path, order, is_log=True) for path, order in _matching(top / "logs", LOG)]
        return sorted(found, key=lambda piece: piece.order)

    def next_log(self, log: Piece, operation: int | None) -> int:
        return log.order + 1

    def is_log(self, key: str) -> bool | None:
        return bool(LOG.fullmatch(key)) if LOG.fullmatch(key) or IMAGE.fullmatch(key) else None

    def of_copy(self, key: str, path: Path) -> Piece | None:
        if image := IMAGE.fullmatch(key):
            return _image(key, path, int(image[1]))
        log = LOG.fullmatch(key)
        return Piece(key, path, int(log[1]), is_log=True) if log else None

    def whole(self, data: bytes, offset: int) -> int:
        end = 0
        for found in BLOCK_END.finditer(data):
            end = found.end()
        return end

    def last_operation(self, data: bytes, offset: int) -> int | None:
        found = [int(one[1], 16) for one in OPERATION.finditer(data)]
        return found[-1] if found else None

    def fault(self, pieces: Iterator[bytes]) -> str:
        rest, at, before, digest = b"", 0, b"", hashlib.md5(usedforsecurity=False)
        for data in pieces:
            rest += data
            begin = 0
            for found in BLOCK_END.finditer(rest):
                text = rest[begin : found.end()]
                if not _is_block(text, before, digest.copy()):
                    return f"the block at byte {at + begin} does not have its checksum"
                digest.update(text)
                begin, before = found.end(), b"\n"
            rest, at = rest[begin:], at + begin
            if len(rest) > LONGEST_RECORD:
                break
        return f"no whole block at byte {at}" if rest else ""

    def image_fault(self, path: Path) -> str:
        digest, left = hashlib.md5(usedforsecurity=False), path.stat().st_size - CLOSING_BYTES
        with path.open("rb") as file:
            while left > 0 and (data := file.read(min(left, READ_BYTES))):
                left -= len(data)
                digest.update(data)
            is_right = file.read() == b"checksum/%s\n" % digest.hexdigest().encode()
        return "" if is_right else "it does not end with its checksum"

    def repair(self, top: Path) -> list[str]:
        said = []
        logs = self.logs(top)
        while logs:
            newest, size = logs[-1].path, logs[-1].path.stat().st_size
            end = _whole_end(newest, size)
            if end == size and end:
                break
            if not end and size > HEADER_BYTES:
                raise OSError(
                    f"{newest} has {size} bytes and no whole block: it is not a log that can be repaired here"
                )
            _keep_torn(top, newest, end)
            if end:
                os.truncate(newest, end)
                said.append(f"{newest}: {size - end} bytes of a block that was not whole are in {TORN} now")
                break
            newest.unlink()
            said.append(f"{newest}: a log that was only just being made is in {TORN} now")
            logs.pop()
        closed = next((log.path for log in reversed(logs) if _is_closed(log.path)), None)
        said += _link(top / "logs" / "last", closed)
        kept = {log.order for log in logs}
        images = self.images(top)
        usable = [image for image in images if image.first_log in kept] or images
        if usable:
            said += _link(top / "checkpoint" / "latest", usable[-1].path)
        if said:
            for log in logs[-1:]:
                sync_file(log.path)
            sync_directory(top / "logs")
            sync_directory(top / "checkpoint")
        return said

    def lay_out(self, pieces: list[tuple[str, Path]], notes: dict[str, Path], top: Path, beyond: int = 0) -> None:
        for name in ("checkpoint", "logs"):
            (top / name).mkdir(exist_ok=True)
        logs = {int(match[1]) for key, _ in pieces if (match := LOG.fullmatch(key))}
        for key, path in pieces:
            folder = "checkpoint" if IMAGE.fullmatch(key) else "logs"
            if folder == "checkpoint" and _image(key, path, 0).first_log not in logs:
                continue  # the metaserver does not start from it
            if folder == "logs" or not _copy_beyond(path, top / folder / key, beyond):
                copy_piece(path, top / folder / key)
        self.repair(top)
        sync_directory(top / "logs")
        sync_directory(top / "checkpoint")


def _copy_beyond(source: Path, target: Path, beyond: int) -> bool:
    """A copy of a checkpoint that says of the last new chunk that its number was `beyond`, or more."""
    left = source.stat().st_size - CLOSING_BYTES
    with source.open("rb") as read:
        head = read.read(min(HEADER_BYTES, max(0, left)))
        found = LAST_CHUNK.search(head)
        if found is None or not beyond:
            return False
        first = head[: found.start(1)] + b"%d" % number_beyond(int(found[1]), beyond) + head[found.end(1) :]
        before, after = (hashlib.md5(one, usedforsecurity=False) for one in (head, first))
        left -= len(head)
        with target.open("xb") as write:
            write.write(first)
            while left and (data := read.read(min(left, READ_BYTES))):
                left -= len(data)
                before.update(data)
                after.update(data)
                write.write(data)
            if read.read() != b"checksum/%s\n" % before.hexdigest().encode():
                raise OSError(f"{source.name} does not end with its checksum")
            write.write(b"checksum/%s\n" % after.hexdigest().encode())
            write.flush()
            sync(write.fileno())
    return True


def _image(key: str, path: Path, order: int) -> Piece:
    log = LOG.fullmatch(_field(path, rb"^log/.*/([^/\n]+)\n"))
    return Piece(key, path, order, first_log=int(log[1]) if log else 0)


def _matching(folder: Path, names: re.Pattern[str]) -> list[tuple[Path, int]]:
    """Regular files of a directory whose names match, with the number in the name; nothing where there is none."""
    try:
        with os.scandir(folder) as entries:
            found = [
                (Path(one.path), names.fullmatch(one.name)) for one in entries if one.is_file(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return []
    return [(path, int(match[1])) for path, match in found if match]


def _field(path: Path, pattern: bytes) -> str:
    with path.open("rb") as file:
        match = re.search(pattern, file.read(HEADER_BYTES), re.MULTILINE)
    return match[1].decode("ascii", "replace") if match else ""


def _is_block(text: bytes, before: bytes, digest: hashlib._Hash) -> bool:
    """Whether a block, or what closes a log, has the checksum that stands at its end."""
    line = text.rindex(b"\n", 0, -1) + 1 if text.count(b"\n") > 1 else 0
    if text.startswith(b"checksum/", line):
        digest.update(text[:line])
        return text[line:] == b"checksum/%s\n" % digest.hexdigest().encode()
    cut = text.rindex(b"/") + 1
    return text[cut:] == b"%x\n" % zlib.adler32(before + text[:cut])


def _keep_torn(top: Path, log: Path, offset: int) -> None:
    """What is taken away stays to be looked at."""
    (top / TORN).mkdir(exist_ok=True)
    with log.open("rb") as read:
        read.seek(offset)
        replace_file(top / TORN / f"{log.name}.{offset}", read.read(MOST_TORN), 0o640)
    sync_directory(top)


def _whole_end(path: Path, size: int) -> int:
    """Where the last whole block of a log ends, 0 where there is none; no more of the file is read than is needed."""
    length = 1 << 16
    with path.open("rb") as file:
        while True:
            begin = max(0, size - length)
            file.seek(begin)
            data = file.read(size - begin)
            if begin:  # it may begin within a line
                cut = data.find(b"\n") + 1
                begin, data = begin + cut, data[cut:]
            ends = [found.end() for found in BLOCK_END.finditer(data)]
            if ends or size <= length:
                return begin + ends[-1] if ends else 0
            length *= 4


def _is_closed(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 64))
        return CLOSED.search(file.read()) is not None


def _link(name: Path, target: Path | None) -> list[str]:
    """A hard link of that name to `target`, or none; whatever else has the name goes."""
    if target is None:
        if not os.path.lexists(name):
            return []
        name.unlink()
        return [f"{name}: a link to no closed log is gone"]
    if name.exists() and name.samefile(target) and name.stat().st_nlink == 2:
        return []
    new = name.with_name(f".{name.name}.new")
    new.unlink(missing_ok=True)
    os.link(target, new)
    new.replace(name)
    return [f"{name}: now the link to {target.name} that the metaserver looks for"]
