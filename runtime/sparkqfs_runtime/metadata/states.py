"""The states of a file system that can be put back: from a keeper's directory, or from a master's own disk.

Only reads: the keeper may be writing beside it. A state is an image, the logs from it on, and the length up to which
the last of them counts. Standard library only.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

from sparkqfs.durable import sync_file
from sparkqfs_runtime.metadata import catalogue, notebooks
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.pieces import READ_BYTES, Kind, Piece, last_operation, whole_pieces
from sparkqfs_runtime.metadata.store import (
    ABOUT,
    FOLDER,
    MOMENT,
    TIMES,
    is_only_begun,
    mark,
    notes_in,
    read_sums,
    sha256_of,
)

MOST_ABOUT = 65536
MOST_NOTE = 65536
MOST_TIMES = 256 << 20
MOST_REST = 8 << 20
"""Bytes behind the last whole record that are looked at for more of them."""


class StateError(Exception):
    """There is no such state; the text is for people."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece, and how many of its bytes belong to the state."""

    piece: Piece
    size: int
    sha256: str = ""
    """As the copy has written it down; empty for a log."""


@dataclass(frozen=True, slots=True)
class State:
    """One that can be put back."""

    kind: Kind
    identity: str
    at: float
    """Seconds since the epoch: when the copy had it on its disk. 0 where that is not known."""
    parts: tuple[Part, ...]
    """The image, the logs, and copies of the catalogue of tables and of the notebooks where there are some."""
    notes: dict[str, bytes]
    operation: int | None = None
    """The last one in it."""
    history: int = 0
    """Its number; 0 for a master's own disk."""
    passed_over: tuple[str, ...] = ()
    """Newer images that are damaged."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The copy had so much on its disk then."""

    at: float
    log: str
    size: int


@dataclass(frozen=True, slots=True)
class Kept:
    """One history of a keeper's directory."""

    number: int
    path: Path
    kind: Kind
    identity: str
    began: float
    images: tuple[Piece, ...]
    """Those whose checksum was written down, the oldest first."""
    logs: tuple[Piece, ...]
    sums: dict[str, str]
    catalogues: tuple[Piece, ...] = ()
    """Copies of the catalogue of tables, and of the notebooks, in the order in which they came."""
    unread: str = ""
    """Why the history before this one cannot be read; empty where it can, or where there is none."""

    def moments(self) -> list[Moment]:
        """The oldest first; those of logs that are there."""
        try:
            with (self.path / TIMES).open(encoding="ascii", errors="replace") as file:
                text = file.read(MOST_TIMES)
        except FileNotFoundError:
            return []
        there = {log.key for log in self.logs}
        found = (MOMENT.fullmatch(line) for line in text.split("\n"))
        moments = [Moment(float(one[1]), one[2], int(one[3])) for one in found if one]
        return sorted((one for one in moments if one.log in there), key=lambda one: one.at)

    def last_operation(self) -> int | None:
        """The number of the newest one."""
        found = (last_operation(self.kind, log.path) for log in reversed(self.logs[-2:]))
        return next((one for one in found if one is not None), None)


def histories(top: Path) -> list[Kept]:
    """Those of a keeper's directory, the oldest first. Raises OSError, and StateError when the last cannot be read.

    An earlier one that cannot be read is left out, and the one behind it says so.
    """
    found: list[Kept] = []
    unread: StateError | None = None
    for folder in sorted(top.iterdir()):
        if not FOLDER.fullmatch(folder.name) or not folder.is_dir() or is_only_begun(folder):
            continue
        try:
            found.append(replace(_read(folder), unread=str(unread or "")))
            unread = None
        except StateError as error:
            unread = error
    if unread is not None:
        raise unread
    return found


def _read(folder: Path) -> Kept:
    try:
        with (folder / ABOUT).open(encoding="utf-8") as file:
            about: Any = json.loads(file.read(MOST_ABOUT))
        kind = KINDS[about["kind"]]
        identity, began = str(about["identity"]), float(about["began"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(f"{folder / ABOUT} cannot be read: {error}") from error
    sums = read_sums(folder)
    pieces = [piece for path in folder.iterdir() if (piece := kind.of_copy(path.name, path)) is not None]
    whole = (one for one in pieces if not one.is_log and one.key in sums)
    images = sorted(whole, key=lambda one: (one.first_log, one.order))
    logs = sorted((one for one in pieces if one.is_log), key=lambda one: one.order)
    kept = (Piece(one, folder / one, int(match[2])) for one in sums if (match := catalogue.KEY.fullmatch(one)))
    catalogues = tuple(piece for piece in kept if piece.path.is_file())
    return Kept(int(folder.name), folder, kind, identity, began, tuple(images), tuple(logs), sums, catalogues)


def state_at(kept: Kept, at: float | None = None) -> State:
    """The newest state of a history, or the last one not later than `at`. Raises StateError, OSError."""
    moments = kept.moments()
    if at is not None:
        earlier = [one for one in moments if one.at <= at]
        if not earlier:
            first = moments[0].at if moments else kept.began
            raise StateError(f"no state is as old as that: the first one is of {first:.0f}")
        last = next(log for log in kept.logs if log.key == earlier[-1].log)
        return _made_of(kept, last, earlier[-1].size, earlier[-1].size, earlier[-1].at, limit=at)
    newest = kept.logs[-1] if kept.logs else None
    written = next((one.size for one in reversed(moments) if newest is not None and one.log == newest.key), 0)
    return _made_of(kept, newest, None, written, moments[-1].at if moments else kept.began)


def _made_of(
    kept: Kept, last: Piece | None, most: int | None, written: int, at: float, limit: float | None = None
) -> State:
    """The newest image that is whole and not later than the log `last`, with the logs up to `most` bytes of that.

    `written` bytes of `last` it must have. With it the catalogue of tables as it was here at the time `limit`.
    """
    passed = []
    numbers = {log.order for log in kept.logs}
    for image in reversed(kept.images):
        if last is not None and (
            image.first_log > last.order or (kept.kind.needs_log and image.first_log not in numbers)
        ):
            continue
        if sha256_of(image.path) != kept.sums[image.key]:
            passed.append(image.key)
            continue
        logs = [log for log in kept.logs if last is not None and image.first_log <= log.order <= last.order]
        parts = [Part(image, image.path.stat().st_size, kept.sums[image.key])]
        operation = None
        awaited = image.first_log
        for log in logs:
            is_last = log is last
            if log.order != awaited:
                raise StateError(f"logs between {image.key} and {log.key} are missing{_damaged(passed)}")
            size, found = _extent(kept.kind, log.path, most if is_last else None)
            _check_log(kept.kind, log, size, written if is_last else log.path.stat().st_size)
            parts.append(Part(log, size))
            operation = operation if found is None else found
            awaited = kept.kind.next_log(log, found)
        for copies in ("catalogue", notebooks.KIND):
            newest, damaged = _copy_at(kept, copies, limit)
            parts += newest
            passed += damaged
        return State(kept.kind, kept.identity, at, tuple(parts), _notes(kept), operation, kept.number, tuple(passed))
    raise StateError(f"the copy in {kept.path.name} has no image to begin with{_damaged(passed)}")


def _copy_at(kept: Kept, kind: str, limit: float | None) -> tuple[list[Part], list[str]]:
    """The newest copy of that kind that is whole and came not later, and the keys of damaged ones passed over."""
    damaged: list[str] = []
    copies = [(one.path.stat(), one) for one in kept.catalogues if catalogue.is_copy(one.key, kind)]
    for found, copy in reversed(copies):  # not by their times: a clock may have been wrong for a while
        if limit is not None and found.st_mtime > limit:
            continue
        if sha256_of(copy.path) == kept.sums[copy.key]:
            return [Part(copy, found.st_size, kept.sums[copy.key])], damaged
        damaged.append(copy.key)
    return [], damaged


def _notes(kept: Kept) -> dict[str, bytes]:
    return {path.name: path.read_bytes()[:MOST_NOTE] for path in notes_in(kept.path)}


def _check_log(kind: Kind, log: Piece, size: int, wanted: int) -> None:
    """Raises StateError for a log that has less than was written down of it, or a wrong checksum in what it has.

    Behind the last moment of the last log a power cut of the keeper may have left half a record.
    """
    if size < wanted:
        raise StateError(f"{log.key} is damaged: {size} of {wanted} bytes are whole records")
    with log.path.open("rb") as file:
        fault = kind.fault(_pieces_of(file, size))
    if fault:
        raise StateError(f"{log.key} is damaged: {fault}")


def _pieces_of(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size and (data := file.read(min(size, READ_BYTES))):
        size -= len(data)
        yield data


def _extent(kind: Kind, path: Path, most: int | None) -> tuple[int, int | None]:
    """Bytes of whole records, at most `most`, and the last operation in them."""
    size, operation = 0, None
    for offset, data in whole_pieces(kind, path):
        if most is not None and offset + len(data) > most:
            data = data[: kind.whole(data[: most - offset], offset)] if most > offset else b""
        if not data:
            break
        size = offset + len(data)
        found = kind.last_operation(data, offset)
        operation = operation if found is None else found
    return size, operation


def mark_of(kept: Kept) -> str:
    """Names the newest state, as the keeper does (store.py). Raises OSError."""
    if not kept.logs:
        return mark(kept.kind.name, kept.identity, [])
    log, digest, size = kept.logs[-1], hashlib.sha256(), 0
    for _, data in whole_pieces(kept.kind, log.path):
        digest.update(data)
        size += len(data)
    return mark(kept.kind.name, kept.identity, [log.key, size, digest.hexdigest()])


def history_at(found: list[Kept], at: float | None) -> Kept:
    """The history that was the current one at that time; the latest by default. Raises StateError."""
    begun = [one for one in found if at is None or one.began <= at]
    after = found[len(begun)].unread if len(begun) < len(found) else ""
    if after:
        raise StateError(after)
    if not begun:
        raise StateError("there is no copy" if at is None else "there is no copy as old as that")
    return begun[-1]


class Position(NamedTuple):
    """Where the log of a master's metadata stands."""

    log: str
    """The key of the newest one."""
    size: int
    """Bytes of its whole records."""
    operation: int | None
    """The last one."""


def position_of_master(kind: Kind, top: Path) -> Position:
    """Now. Raises StateError where there is no log, OSError."""
    logs = kind.logs(top)
    if not logs:
        raise StateError(f"{top} has no log of the metadata")
    size, operation = _extent(kind, logs[-1].path, None)
    if operation is None and len(logs) > 1:
        operation = last_operation(kind, logs[-2].path)
    return Position(logs[-1].key, size, operation)


def state_of_master(kind: Kind, top: Path, log_key: str | None = None) -> State:
    """What is on a master's own disk now, synced; with `log_key` from an image on that is not later than that log.

    An image that is damaged is passed over for the one before it. Raises StateError, OSError.
    """
    images, logs = kind.images(top), kind.logs(top)
    numbers = {log.order for log in logs}
    latest = max(numbers, default=0)
    if log_key is not None:
        latest = next((log.order for log in logs if log.key == log_key), -1)
    usable = [image for image in images if not kind.needs_log or image.first_log in numbers]
    usable = [image for image in usable if log_key is None or image.first_log <= latest]
    passed: list[str] = []
    for image in reversed(usable):
        if kind.image_fault(image.path):
            passed.append(image.key)
            continue
        parts = [Part(image, image.path.stat().st_size)]
        more, operation = _logs_of_master(kind, logs, image, passed)
        parts += [*more, *_catalogue_of_master(), *_part_of(notebooks.COPIES, notebooks.KIND)]
        identity, notes = kind.identity(top), kind.notes(top)
        return State(kind, identity, time.time(), tuple(parts), notes, operation, passed_over=tuple(passed))
    before = f" before {log_key}" if log_key is not None else ""
    raise StateError(f"{top} has no image of the metadata to begin with{before}{_damaged(passed)}")


def _damaged(passed: list[str]) -> str:
    return f"; damaged: {', '.join(passed)}" if passed else ""


def _logs_of_master(kind: Kind, logs: list[Piece], image: Piece, passed: list[str]) -> tuple[list[Part], int | None]:
    """The logs that go on from an image, without a hole, and the last operation in them.

    Only behind the last record of the newest one may be half a record: it is being written. Raises StateError, OSError.
    """
    parts: list[Part] = []
    operation, awaited = None, image.first_log
    for log in (log for log in logs if log.order >= image.first_log):
        if log.order != awaited:
            raise StateError(f"logs between {image.key} and {log.key} are missing{_damaged(passed)}")
        size, found = _extent(kind, log.path, None)
        operation = operation if found is None else found
        last = image.first_log - 1 if operation is None else operation
        _check_rest(kind, log, size, last, is_newest=log is logs[-1])
        _check_log(kind, log, size, 0)
        sync_file(log.path)
        parts.append(Part(log, size))
        awaited = kind.next_log(log, found)
    return parts, operation


def _check_rest(kind: Kind, log: Piece, size: int, operation: int, *, is_newest: bool) -> None:
    """Raises StateError for a log with something behind its whole records that cannot be half a record at its end."""
    with log.path.open("rb") as file:
        file.seek(size)
        if is_newest:
            rest = file.read(MOST_REST)
            since = rest[: kind.whole(rest, size)]  # it is being written
            is_well = not kind.goes_on(rest[len(since) :], kind.last_operation(since, size) or operation)
        else:
            is_well = all(kind.is_room(data) for data in iter(lambda: file.read(READ_BYTES), b""))
    if not is_well:
        raise StateError(f"{log.key} is damaged: it has no whole record at byte {size}")


def _catalogue_of_master() -> list[Part]:
    """The newest copy that the metastore has made and that is whole, where this container sees them."""
    folder = os.environ.get(catalogue.FOLDER)
    return _part_of(Path(folder) / catalogue.COPIES, catalogue.PLACE, catalogue.contents) if folder else []


def _part_of(folder: Path, kind: str, check: Callable[[Path], object] = lambda _path: None) -> list[Part]:
    """The first that can be read, as a file of our own: whoever makes copies removes the older ones meanwhile.

    None is no reason to go without the metadata; that there is none is told.
    """
    try:
        copies = catalogue.newest_first(folder, kind)
    except OSError:
        return []
    for copy in copies:
        own = Path(tempfile.mkdtemp(prefix="sparkqfs-state-")) / copy.name
        atexit.register(shutil.rmtree, own.parent, ignore_errors=True)
        try:
            shutil.copyfile(copy, own)
            check(own)
        except (OSError, catalogue.CatalogueError):
            continue
        return [Part(Piece(copy.name, own, catalogue.number_of(copy.name)), own.stat().st_size)]
    return []
