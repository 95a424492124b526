"""HDFS's metadata: images of the namespace and the namenode's edits, in `name/current`.

Source: Hadoop 3, FSEditLogOp.Writer and LengthPrefixedReader. A log begins with two 32-bit numbers, its layout version
and 0. A record is an operation code (1 byte), a length (4), which counts from here to before the checksum, the
transaction's number (8), what it says, and the CRC-32 of all that (4). The file of the log that is being written is
longer: the rest of it is 0xFF. So is all of it for a moment: EditLogFileOutputStream makes the room before it writes
the two numbers. One operation (AllocateBlockIdOp) says with a 64-bit number which block was given last; the namenode
does not start with one that is lower than that before. An image says it in its section NS_INFO (fsimage.proto): it ends
with a list of its sections and, in four bytes, the length of that list.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from sparkqfs.durable import sync, sync_directory
from sparkqfs_runtime.metadata.pieces import LONGEST_RECORD, Kind, Piece, copy_piece, number_beyond, whole_pieces

IMAGE = re.compile(r"fsimage_(\d{19})")
LOG = re.compile(r"edits_(?:inprogress_(\d{19})|(\d{19})-\d{19})")
KEY = re.compile(r"edits_(\d{19})")
VERSION = "VERSION"
HEADER_BYTES = 8
NOT_WRITTEN = b"\xff" * 4
"""Half of a head for which there is only room."""
LAYOUTS = range(-99, -59)
"""Versions of Hadoop 2 and 3, and some to come; no checksum guards the number."""
FRAME = struct.Struct(">BIQ")
"""Operation code, length, transaction."""
CHECKSUM = struct.Struct(">I")
NONE = 0xFF
"""The code of no operation."""
LAST_BLOCK = 32
"""Code of the operation that says so."""
NUMBER = struct.Struct(">q")
MAGIC = b"HDFSIMG1"
MOST_SECTIONS = 1 << 20
"""Bytes of an image's list of sections, and of its section NS_INFO."""


class Hdfs(Kind):
    """`name/current/`."""

    name = "hdfs"

    def identity(self, top: Path) -> str:
        try:
            text = (top / "name" / "current" / VERSION).read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return ""
        found = re.search(r"^blockpoolID=(\S+)$", text, re.MULTILINE)
        return found[1] if found else ""

    def images(self, top: Path) -> list[Piece]:
        found = []
        for path in _files(top):
            match = IMAGE.fullmatch(path.name)
            if match and path.with_name(f"{path.name}.md5").is_file():
                found.append(Piece(path.name, path, int(match[1]), first_log=int(match[1]) + 1))
        return sorted(found, key=lambda piece: piece.order)

    def logs(self, top: Path) -> list[Piece]:
        found = []
        for path in _files(top):
            match = LOG.fullmatch(path.name)
            if match:
                first = match[1] or match[2]
                found.append(Piece(f"edits_{first}", path, int(first), is_log=True))
        return sorted(found, key=lambda piece: piece.order)

    def next_log(self, log: Piece, operation: int | None) -> int:
        return log.order if operation is None else operation + 1

    def goes_on(self, data: bytes, operation: int) -> bool:
        for number in range(operation + 1, operation + 4):
            wanted, at = number.to_bytes(8, "big"), -1
            while (at := data.find(wanted, at + 1)) >= 0:
                if at >= FRAME.size - len(wanted) and _records(data[at - FRAME.size + len(wanted) :])[0]:
                    return True
        return False

    def is_room(self, data: bytes) -> bool:
        return not data.strip(b"\xff")

    def is_log(self, key: str) -> bool | None:
        return bool(KEY.fullmatch(key)) if KEY.fullmatch(key) or IMAGE.fullmatch(key) else None

    def of_copy(self, key: str, path: Path) -> Piece | None:
        if image := IMAGE.fullmatch(key):
            return Piece(key, path, int(image[1]), first_log=int(image[1]) + 1)
        log = KEY.fullmatch(key)
        return Piece(key, path, int(log[1]), is_log=True) if log else None

    def whole(self, data: bytes, offset: int) -> int:
        at = 0
        if offset == 0:
            if len(data) < HEADER_BYTES or NOT_WRITTEN in (data[:4], data[4:HEADER_BYTES]):
                return 0
            at = HEADER_BYTES
        return at + _records(data[at:])[0]

    def last_operation(self, data: bytes, offset: int) -> int | None:
        return _records(data if offset else data[HEADER_BYTES:])[1]

    def fault(self, pieces: Iterator[bytes]) -> str:
        rest, at = b"", 0
        for data in pieces:
            rest += data
            if at == 0 and len(rest) >= HEADER_BYTES and not _is_header(rest):
                return "its first bytes are not those of a log"
            end = self.whole(rest, at)
            rest, at = rest[end:], at + end
            if len(rest) > LONGEST_RECORD:
                break
        return f"no whole record at byte {at}" if rest else ""

    def image_fault(self, path: Path) -> str:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        with path.with_name(f"{path.name}.md5").open("rb") as file:
            is_right = file.read(len(digest)) == digest.encode()
        return "" if is_right else f"its checksum is not the one in {path.name}.md5"

    def notes(self, top: Path) -> dict[str, bytes]:
        try:
            return {VERSION: (top / "name" / "current" / VERSION).read_bytes()[:65536]}
        except FileNotFoundError:
            return {}

    def repair(self, top: Path) -> list[str]:
        return []  # the namenode does it itself

    def lay_out(self, pieces: list[tuple[str, Path]], notes: dict[str, Path], top: Path, beyond: int = 0) -> None:
        current = top / "name" / "current"
        current.mkdir(parents=True, exist_ok=True)
        logs = sorted((int(match[1]), path) for key, path in pieces if (match := KEY.fullmatch(key)))
        seen, images = 0, []
        for key, path in pieces:
            if IMAGE.fullmatch(key):
                images.append(path)
                copy_piece(path, current / key)
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
                _write(current / f"{key}.md5", f"{digest.hexdigest()} *{key}\n".encode())
                seen = max(seen, int(key.partition("_")[2]))
        for number, (first, path) in enumerate(logs):
            is_last = number == len(logs) - 1
            name = f"edits_inprogress_{first:019d}" if is_last else f"edits_{first:019d}-{logs[number + 1][0] - 1:019d}"
            copy_piece(path, current / name)
            seen = max(seen, first)
        if logs and images:
            _give_beyond(images[-1], [path for _, path in logs], current / name, beyond)
        _write(current / VERSION, notes[VERSION].read_bytes())
        _write(current / "seen_txid", f"{seen}\n".encode())
        for folder in (current, current.parent, top):
            sync_directory(folder)


def _files(top: Path) -> list[Path]:
    try:
        with os.scandir(top / "name" / "current") as entries:
            return [Path(one.path) for one in entries if one.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _is_header(data: bytes) -> bool:
    version, flags = struct.unpack_from(">ii", data)
    return flags == 0 and version in LAYOUTS


def _give_beyond(image: Path, logs: list[Path], newest: Path, beyond: int) -> None:
    """One more operation at the end of the newest log, where the last block's number is known.

    The logs go on from the image. Blocks of erasure-coded files have numbers of their own; here are none.
    """
    operation, last = int(image.name.partition("_")[2]), _last_block(image)
    for path in logs:
        for offset, data in whole_pieces(Hdfs(), path):
            at = 0 if offset else HEADER_BYTES
            while at < len(data):
                code, length, operation = FRAME.unpack_from(data, at)
                if code == LAST_BLOCK:
                    (number,) = NUMBER.unpack_from(data, at + FRAME.size)
                    last = number if number >= 0 else last
                at += 1 + length + CHECKSUM.size
    if last is None or not beyond:
        return
    record = FRAME.pack(LAST_BLOCK, FRAME.size - 1 + NUMBER.size, operation + 1)
    record += NUMBER.pack(number_beyond(last, beyond))
    with newest.open("ab") as file:
        file.write(record + CHECKSUM.pack(zlib.crc32(record)))
        file.flush()
        sync(file.fileno())


def _last_block(image: Path) -> int | None:
    """What its section NS_INFO says; `None` of an image of another form, or a packed one."""
    with image.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(MAGIC)) != MAGIC or size < len(MAGIC) + 4:
            return None
        file.seek(size - 4)
        length = int.from_bytes(file.read(4), "big")
        if not 0 < length <= min(MOST_SECTIONS, size - 4):
            return None
        file.seek(size - 4 - length)
        try:
            summary = _fields(_delimited(file.read(length)))
            if any(field == 3 for field, _ in summary):  # the name of what it is packed with
                return None
            for section in (dict(_fields(one)) for field, one in summary if field == 4 and isinstance(one, bytes)):
                if section.get(1) == b"NS_INFO" and 0 < int(section[2]) <= MOST_SECTIONS:
                    file.seek(int(section[3]))
                    found = dict(_fields(_delimited(file.read(int(section[2])))))
                    return int(found[5])
        except (ValueError, KeyError, IndexError, TypeError):
            pass
    return None


def _delimited(data: bytes) -> bytes:
    """A message of protocol buffers behind its length. Raises IndexError, ValueError."""
    length, at = _varint(data, 0)
    if at + length > len(data):
        raise ValueError("cut off")
    return data[at : at + length]


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    """(field, number or bytes) of a message. Raises IndexError, and ValueError for a type that images do not have."""
    found: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        value, at = _varint(data, at)
        if key & 7 == 2:
            found.append((key >> 3, data[at : at + value]))
            at += value
        elif key & 7 == 0:
            found.append((key >> 3, value))
        else:
            raise ValueError(f"type {key & 7}")
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends. Raises IndexError."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _records(data: bytes) -> tuple[int, int | None]:
    """(bytes of whole records at the beginning of `data`, number of the last transaction in them)."""
    at, last = 0, None
    while at + FRAME.size <= len(data):
        code, length, transaction = FRAME.unpack_from(data, at)
        end = at + 1 + length + CHECKSUM.size
        if code == NONE or length < FRAME.size - 1 or end > len(data):
            break
        (checksum,) = CHECKSUM.unpack_from(data, end - CHECKSUM.size)
        if zlib.crc32(memoryview(data)[at : end - CHECKSUM.size]) != checksum:
            break
        at, last = end, transaction
    return at, last


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        sync(file.fileno())
