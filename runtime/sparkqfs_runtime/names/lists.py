"""All names of a running file system with their lengths, as lines in an order that does not depend on the storage.

A list is gzip of ASCII lines. The first and the last one are JSON: what was asked, and where the log of the metadata
stood before and after. Between them a line for each name, `LENGTH PATH`, a directory's length `-`, the path with
percent signs where it has anything but plain characters. Marks of QFS's names (stored_names.py) are taken away; what
has none is as it is stored, byte for byte, so that lists of all versions agree. Standard library only.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from sparkqfs_runtime.fsck import qfs
from sparkqfs_runtime.fsck.hdfs import own_name
from sparkqfs_runtime.metadata.pieces import Kind
from sparkqfs_runtime.metadata.states import position_of_master
from sparkqfs_runtime.pages.sources import Unasked
from sparkqfs_runtime.stored_names import without_marks

SCHEMA = 1
PLAIN = "/!#$&'()*+,-.:;<=>?@[]^_`{|}~"
"""Of ASCII's printing characters all but the blank, the percent sign, the double quote and the backslash."""
MAX_ANSWER = 64 << 20
ANSWER_S = 60.0
SETTLE_S = 0.3
"""A namenode shows a change before its log has it; by then it has."""


class Row(NamedTuple):
    """One name; its path in the list's form."""

    path: str
    size: int | None
    """Bytes; `None` for a directory."""


class _Waiting(NamedTuple):
    """A name that was read and not yet given; `id` is the directory's, for what asks it."""

    path: str
    size: int | None
    id: object


List = Callable[[object], Iterator[_Waiting]]
"""The entries of a directory; the paths are names."""


def quoted(name: bytes) -> str:
    """A name as the list has it."""
    return urllib.parse.quote_from_bytes(name, safe=PLAIN)


def walk(root: object, listing: List, end: float) -> Iterator[Row]:
    """Everything below the root. A directory stands before what is in it; names of one directory are sorted.

    Memory is that of the directories on the way to a name. Raises `TimeoutError` at `end`, of a monotonic clock.
    """
    waiting = [_Waiting("", None, root)]
    while waiting:
        one = waiting.pop()
        if one.path:
            yield Row(one.path, one.size)
        if one.size is not None:
            continue
        if time.monotonic() > end:
            raise TimeoutError("the time for reading all names was over")
        below = sorted(listing(one.id), key=lambda entry: entry.path, reverse=True)
        waiting += [_Waiting(f"{one.path}/{entry.path}", entry.size, entry.id) for entry in below]


def qfs_rows(host: str, port: int, end: float) -> Iterator[Row]:
    """Of a metaserver, but for removed files. Raises `Unasked`, `TimeoutError`."""
    names = qfs.Names(host, port)

    def listing(directory: object) -> Iterator[_Waiting]:
        assert isinstance(directory, int)
        for entry in names.entries(directory):
            if directory == qfs.ROOT and entry.name == qfs.REMOVED:
                continue
            yield _Waiting(quoted(without_marks(entry.name)), None if entry.is_directory else entry.size, entry.id)

    try:
        yield from walk(qfs.ROOT, listing, end)
    finally:
        names.close()


def hdfs_rows(host: str, port: int, end: float) -> Iterator[Row]:
    """Of a namenode, by its HTTP server. Raises `Unasked`, `TimeoutError`."""
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)

    def listing(directory: object) -> Iterator[_Waiting]:
        assert isinstance(directory, bytes)
        after = ""
        while True:
            found, remaining = _batch(connection, directory, after)
            for status in found:
                name = str(status["pathSuffix"]).encode("utf-8", "surrogatepass")
                size = None if status["type"] == "DIRECTORY" else int(status["length"])
                yield _Waiting(quoted(name), size, b"/".join((directory.rstrip(b"/"), name)))
            if not remaining or not found:
                return
            after = str(found[-1]["pathSuffix"])

    with contextlib.closing(connection):
        yield from walk(b"/", listing, end)


def _batch(connection: http.client.HTTPConnection, directory: bytes, after: str) -> tuple[list[dict[str, Any]], int]:
    """Some entries of a directory, and how many come after them; none of one that was removed meanwhile.

    Source: Hadoop 3, NamenodeWebHdfsMethods (LISTSTATUS_BATCH). Raises `Unasked`.
    """
    words = {"op": "LISTSTATUS_BATCH", "user.name": own_name(), **({"startAfter": after} if after else {})}
    path = urllib.parse.quote_from_bytes(directory)
    try:
        connection.request("GET", f"/webhdfs/v1{path}?{urllib.parse.urlencode(words)}")
        answer = connection.getresponse()
        body = answer.read(MAX_ANSWER + 1)
        if answer.status == 404 and directory != b"/":
            return [], 0
        if answer.status != 200 or len(body) > MAX_ANSWER:
            said = body[:200].decode(errors="replace")
            raise Unasked(f"listing {quoted(directory)}: the namenode answers {answer.status} {said}")
        found = json.loads(body)["DirectoryListing"]
        return list(found["partialListing"]["FileStatuses"]["FileStatus"]), int(found["remainingEntries"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unasked(f"listing {quoted(directory)}: {error!r}") from error


ROWS: dict[str, Callable[[str, int, float], Iterator[Row]]] = {"qfs": qfs_rows, "hdfs": hdfs_rows}


def write(stream: IO[bytes], head: dict[str, Any], rows: Iterator[Row], tail: Callable[[], dict[str, Any]]) -> None:
    """A list; `tail` is asked after the last name. Raises `Unasked`, `TimeoutError`, OSError."""
    files = directories = total = 0
    with gzip.GzipFile(filename="", fileobj=stream, mode="wb", compresslevel=6, mtime=0) as packed:
        packed.write(json.dumps({"schema": SCHEMA, **head}).encode() + b"\n")
        for path, size in rows:
            packed.write(f"{'-' if size is None else size} {path}\n".encode())
            if size is None:
                directories += 1
            else:
                files, total = files + 1, total + max(0, size)
        counts = {"files": files, "directories": directories, "bytes": total}
        packed.write(json.dumps({**counts, **tail()}).encode() + b"\n")


def of_master(stream: IO[bytes], kind: Kind, top: Path, address: tuple[str, int], seconds: float) -> None:
    """The names that a master has now, and where its log stood before and after. Raises as `write`, and StateError."""
    head = {"kind": kind.name, "identity": kind.identity(top), "position": list(position_of_master(kind, top))}

    def tail() -> dict[str, Any]:
        time.sleep(SETTLE_S)
        return {"position": list(position_of_master(kind, top))}

    write(stream, head, ROWS[kind.name](*address, time.monotonic() + seconds), tail)
