"""QFS: the metaserver's fsck counts, and only a walk through the names says which files have too few copies.

Its own list has the first 131,072 files of which a chunk has at most one copy, those that were to have one among them,
and none of which one copy of three is gone. So where it counts a chunk with too few copies, all names are read, and the
layout of every file. Source: QFS 2.2.8, src/cc/meta: LayoutManager.cc (`FilesChecker`), MetaRequest.cc
(`MetaReaddirPlus`, `MetaGetlayout`). The metaserver says names as they are stored; what is found has the names that are
meant (stored_names.py).
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sparkqfs_runtime.fsck.findings import MAX_BLOCKS, Block, Copy, Damaged, Findings
from sparkqfs_runtime.pages import sources
from sparkqfs_runtime.pages.sources import CHECK_TIMEOUT_S, MAX_BYTES, Unasked, limited
from sparkqfs_runtime.stored_names import meant, meant_path

ROOT = 2
SUPERUSER = ("UserId: 0", "GroupId: 0")
"""Without them a directory that only its owner may read is refused (EACCES), and with it the whole answer."""
REMOVED = b"dumpster"
"""The directory in the root where removed files are kept for some minutes."""
CHUNK_BYTES = 1 << 26
ENTRIES = 1000
"""Of a directory in one answer."""
MAX_LAYOUT = 16 << 20
ANSWER_S = 20.0
LISTED = re.compile(rb"1 (\d+) (\d+) (?:\S+ ){6}(/.*)")
"""A lost file of fsck's list: size, copies that were asked for, name."""
DEPTH = 1000
GONE = "status -2"
"""ENOENT, which the metaserver gives no text."""


@dataclass(frozen=True)
class Entry:
    """A file or a directory, of a directory's listing."""

    name: bytes
    """As it is stored."""
    id: int
    is_directory: bool
    size: int
    copies: int
    chunks: int
    stripes: int
    recovery: int
    last_copies: int = -1
    """Of its last chunk; -1 where the listing does not say."""


@dataclass(frozen=True)
class Chunk:
    """One chunk of a file, and the servers that have it."""

    offset: int
    id: int
    addresses: tuple[str, ...]


class Names:
    """A connection to a metaserver that asks one question after the other. Raises `Unasked`."""

    def __init__(self, host: str, port: int) -> None:
        try:
            self.socket = socket.create_connection((host, port), ANSWER_S)
        except OSError as error:
            raise Unasked(f"{host}:{port}: {error}") from error
        self.answer: BinaryIO = self.socket.makefile("rb")
        self.sequence = 0
        self.has_more = False

    def close(self) -> None:
        self.answer.close()
        self.socket.close()

    def ask(self, operation: str, **fields: str | int) -> bytes:
        """What follows the headers of an answer."""
        self.sequence += 1
        lines = [operation, "Version: KFS/1.0", f"Cseq: {self.sequence}", "Client-Protocol-Version: 116", *SUPERUSER]
        lines += [f"{name.replace('__', ' ').replace('_', '-')}: {value}" for name, value in fields.items()]
        try:
            self.socket.sendall("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape"))
            found = sources.headers(self.answer)
            length = int(found.get("Content-length", "0"))
            if found.get("Cseq") != str(self.sequence) or not 0 <= length <= MAX_LAYOUT:
                raise ValueError(f"an answer to another question, or of {length} bytes")
            body = self.answer.read(length)
            if len(body) != length:
                raise ValueError("the answer is cut off")
            self.has_more = found.get("Has-more-entries", "0") == "1"
        except (OSError, ValueError) as error:
            raise Unasked(f"{operation}: {error or type(error).__name__}") from error
        return body

    def entries(self, directory: int) -> Iterator[Entry]:
        """What a directory has, in as many answers as it takes; nothing of one that was removed meanwhile."""
        before: list[bytes] = []
        while True:
            body = self.page(directory, before)
            if body is None:
                return
            has_more, before = self.has_more, []  # the caller asks other questions between two entries
            for fields in _entries(body):
                name = fields.get(b"N", b"")
                before.append(name)
                if name not in (b".", b"..", b""):
                    yield _entry(name, fields)
            if not has_more or not before:
                return

    def page(self, directory: int, before: list[bytes]) -> bytes | None:
        """The entries after the last of these names that is still there; `None` when the directory is not."""
        names = [name.decode("utf-8", "surrogateescape") for name in before]
        for name in reversed(names):
            body = self.listing(directory, ENTRIES, Fname_start=name)
            if body is not None:
                return body
        if not names:
            return self.listing(directory, ENTRIES)
        if self.listing(directory, 1) is not None:
            raise Unasked("READDIRPLUS: the names of a directory change too fast")
        return None

    def listing(self, directory: int, count: int, **start: str) -> bytes | None:
        """`None` when there is no such directory, or no such name in it."""
        try:
            return self.ask("READDIRPLUS", Directory__File_handle=directory, Max_entries=count, **start)
        except Unasked as error:
            if str(error) == GONE:
                return None
            raise

    def chunks(self, file: int) -> tuple[Chunk, ...]:
        """All chunks of a file."""
        words = self.ask("GETLAYOUT", File_handle=file, Continue_if_no_replicas=1).split()
        found, at = [], 0
        try:
            while at < len(words):
                offset, chunk, _version, count = (int(word) for word in words[at : at + 4])
                at += 4
                if not 0 <= count <= len(words):
                    raise ValueError(f"{count} copies")
                found.append(Chunk(offset, chunk, tuple(word.decode() for word in words[at : at + 2 * count : 2])))
                at += 2 * count
        except (ValueError, UnicodeDecodeError) as error:
            raise Unasked(f"GETLAYOUT: {error}") from error
        return tuple(found)


def _entries(body: bytes) -> Iterator[dict[bytes, bytes]]:
    """The fields of each entry of a listing in the short form. A name is one line: the protocol has no other."""
    fields: dict[bytes, bytes] = {}
    for line in body.split(b"\n"):
        if line == b"B":
            if fields:
                yield fields
            fields = {}
            continue
        name, _, value = line.partition(b":")
        fields[name] = value
    if fields:
        yield fields


def _entry(name: bytes, fields: dict[bytes, bytes]) -> Entry:
    """Numbers are hexadecimal. Raises `Unasked`."""

    def number(key: bytes, default: bytes = b"0") -> int:
        return int(fields.get(key, default), 16)

    try:
        return Entry(
            name=name,
            id=int(fields[b"H"], 16),
            is_directory=fields.get(b"T") == b"dir",
            size=number(b"S"),
            copies=number(b"R", b"1"),
            chunks=number(b"CC"),
            stripes=number(b"SC"),
            recovery=number(b"SR"),
            last_copies=number(b"LN", b"-1"),
        )
    except (KeyError, ValueError) as error:
        raise Unasked(f"READDIRPLUS: {error!r}") from error


def damage(path: bytes, entry: Entry, chunks: tuple[Chunk, ...]) -> Damaged | None:
    """What a file lacks; `None` when nothing. A chunk that can be made again from its group's others is not lost."""
    low = [chunk for chunk in chunks if len(chunk.addresses) < entry.copies]
    if not low:
        return None
    group_bytes = CHUNK_BYTES * (entry.stripes + entry.recovery if entry.recovery else 1)
    gone: dict[int, int] = {}
    for chunk in low:
        if not chunk.addresses:
            gone[chunk.offset // group_bytes] = gone.get(chunk.offset // group_bytes, 0) + 1
    is_lost = any(count > entry.recovery for count in gone.values())
    low.sort(key=lambda chunk: (len(chunk.addresses), chunk.offset))
    blocks = tuple(Block(str(one.id), one.offset, tuple(map(Copy, one.addresses))) for one in low[:MAX_BLOCKS])
    return Damaged(path, "lost" if is_lost else "short", entry.size, entry.copies, blocks, len(low))


def damaged_files(names: Names, end: float) -> Iterator[Damaged]:
    """Every file that is lost or short, but for removed ones. Raises `TimeoutError` at `end`, of a monotonic clock."""
    waiting = [(ROOT, b"")]
    while waiting:
        directory, path = waiting.pop()
        for entry in names.entries(directory):
            if time.monotonic() > end:
                raise TimeoutError
            below = path + b"/" + meant(entry.name)
            if entry.is_directory:
                if below != b"/" + REMOVED and below.count(b"/") < DEPTH:
                    waiting.append((entry.id, below))
            elif entry.chunks and not (entry.chunks == 1 and entry.last_copies >= entry.copies):
                with contextlib.suppress(FileRemoved):
                    found = damage(below, entry, layout(names, entry))
                    if found is not None:
                        yield found


class FileRemoved(Exception):
    """Between its name and its layout."""


def layout(names: Names, entry: Entry) -> tuple[Chunk, ...]:
    """The chunks of a file that is still there. Raises `FileRemoved`."""
    try:
        return names.chunks(entry.id)
    except Unasked as error:
        if str(error) == GONE:
            raise FileRemoved from None
        raise


def listed_as_lost(host: str, port: int, limit: int) -> list[Damaged]:
    """The first lost files of fsck's own list, without their chunks. Raises `Unasked`."""
    found: list[Damaged] = []
    source = sources.Qfs(host, port)
    with source.ask("FSCK", CHECK_TIMEOUT_S, "Report-Abandoned-Files: 0") as (headers, answer):
        length = int(headers.get("Content-length", "0"))
        if not 0 < length <= MAX_BYTES:
            raise Unasked(f"FSCK: an answer of {length} bytes")
        for line in limited(answer, length):
            match = LISTED.fullmatch(line.rstrip(b"\n"))
            if match and not match[3].startswith(b"/" + REMOVED + b"/") and len(found) < limit:
                found.append(Damaged(meant_path(match[3]), "lost", int(match[1]), int(match[2])))
    return found


def check(host: str, port: int, limit: int, seconds: float) -> Findings:
    """All counts, and the first files. Raises `Unasked`."""
    end = time.monotonic() + seconds
    source = sources.Qfs(host, port)
    look, counted = source.look(), source.check()
    findings = Findings(
        limit,
        files=max(0, counted.files - counted.removed_files),
        lost_files=counted.lost_files,
        lost_blocks=counted.lost_chunks if counted.lost_files else 0,
        short_blocks=counted.missing,
        bad_blocks=look.bad,
        ready=look.ready,
        partial=counted.partial if "max number files" not in counted.partial else "",
    )
    if counted.short_chunks or counted.lost_chunks:
        search(host, port, findings, end)
    return findings


def search(host: str, port: int, findings: Findings, end: float) -> None:
    """Which ones: fills `findings`. Those that fsck itself has listed are known whatever becomes of the walk."""
    lost = short = 0
    names = Names(host, port)
    try:
        for file in damaged_files(names, end):
            lost += file.state == "lost"
            short += file.state == "short"
            findings.keep(file)
    except TimeoutError:
        findings.partial = "the time for looking through all names was over: which files are short is known in part"
        findings.short_files = None
        known = {file.path for file in findings.kept["lost"]}
        for file in listed_as_lost(host, port, findings.limit):
            if file.path not in known:
                findings.keep(file)
        return
    finally:
        names.close()
    findings.lost_files, findings.short_files = lost, short
