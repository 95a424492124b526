"""What a keeper has on its disk: one directory for each history of a file system, and what it may do with them.

A history is a file system from the first copy on. A new one begins where the master's metadata does not go on from what
is here: another file system, or an older state that somebody has accepted. What is in an earlier history is never
changed. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkqfs import durable
from sparkqfs_runtime.metadata import catalogue
from sparkqfs_runtime.metadata.pieces import Kind, Piece, whole_pieces
from sparkqfs_runtime.metadata.thinning import USUAL, Image, Keep, kept_images

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
FOLDER = re.compile(r"(\d{6})")
ABOUT = "about.json"
TIMES = "times"
PART = ".part"
SUMS = "SHA256SUMS"
"""Of the images, as sha256sum(1) reads it."""
MOMENT = re.compile(r"(\d+\.\d+)\t(\S+)\t(\d+)", re.ASCII)
"""A line of TIMES: seconds since the epoch, key of the newest log, its bytes."""
TAIL_BYTES = 65536
SCHEMA = 1
MOST_TOLD = 1000
"""Images and logs that are named to the sender, the latest."""


class StoreError(Exception):
    """What was asked for is not done; nothing has changed."""


@dataclass
class Held:
    """One piece."""

    size: int
    is_log: bool
    order: int
    first_log: int = 0
    digest: Any = None
    """Running SHA-256 of a log."""
    sha256: str = ""
    """Of an image."""
    at: float = 0.0
    """When its first bytes came; seconds since the epoch."""
    operation: int | None = None
    """The last one of a log, where that was looked at."""
    reached: int = 0
    """Bytes of the newest log that were on the disk once: more than `size` where they are damaged now."""


@dataclass
class History:
    """One directory."""

    number: int
    path: Path
    kind: str
    identity: str
    began: float
    held: dict[str, Held] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    """Name → SHA-256."""

    @property
    def images(self) -> list[tuple[str, Held]]:
        """The oldest first."""
        found = [(key, one) for key, one in self.held.items() if not one.is_log and not catalogue.is_copy(key)]
        return sorted(found, key=lambda item: (item[1].first_log, item[1].order))

    @property
    def catalogues(self) -> list[tuple[str, Held]]:
        """Copies of the catalogue of tables, and of the notebooks, the oldest first."""
        found = [(key, one) for key, one in self.held.items() if catalogue.is_copy(key)]
        return sorted(found, key=lambda item: (item[1].at, item[0]))  # by arrival: clocks of managers differ

    @property
    def logs(self) -> list[tuple[str, Held]]:
        """The oldest first."""
        found = [(key, one) for key, one in self.held.items() if one.is_log]
        return sorted(found, key=lambda item: item[1].order)

    @property
    def newest(self) -> list[Any]:
        """Key, size and SHA-256 of the newest log; empty without one."""
        logs = self.logs
        return [logs[-1][0], logs[-1][1].size, logs[-1][1].digest.hexdigest()] if logs else []

    def mark(self) -> str:
        """Names this state: 12 hexadecimal digits, others for every other state."""
        return mark(self.kind, self.identity, self.newest)


def mark(kind: str, identity: str, newest: list[Any]) -> str:
    """Of a history whose newest log is that: its key, its size, and the SHA-256 of so many bytes."""
    return hashlib.sha256(json.dumps([kind, identity, newest]).encode()).hexdigest()[:12]


def is_log(kind: Kind, key: str) -> bool | None:
    """Of the key of anything that is kept; `None` for what is no such key."""
    return False if catalogue.is_copy(key) else kind.is_log(key)


def piece_of(kind: Kind, key: str, path: Path) -> Piece | None:
    """What is kept under that key; `None` for what is nothing of the kind."""
    match = catalogue.KEY.fullmatch(key)
    return Piece(key, path, int(match[2])) if match else kind.of_copy(key, path)


class Store:
    """The directory of one keeper. Not for several threads at a time."""

    def __init__(
        self, top: Path, kinds: dict[str, Kind], keep: Keep = USUAL, clock: Callable[[], float] = time.time
    ) -> None:
        self.top, self.kinds, self.keep, self.clock = top, kinds, keep, clock
        self.changed: set[Path] = set()
        found = sorted(path for path in top.iterdir() if FOLDER.fullmatch(path.name) and path.is_dir())
        self.number = int(found[-1].name) if found else 0
        while found and not (found[-1] / ABOUT).is_file():
            if not is_only_begun(found[-1]):
                raise ValueError(f"{found[-1]} has no {ABOUT}: it is not known what it is a copy of")
            found.pop()
        self.history = self._read(found[-1]) if found else None

    def _read(self, path: Path) -> History:
        about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
        history = History(int(path.name), path, about["kind"], about["identity"], about["began"])
        kind, sums = self.kinds[history.kind], read_sums(path)
        for file in path.iterdir():
            piece = piece_of(kind, file.name, file)
            if piece is not None and (piece.is_log or piece.key in sums):
                found = file.stat()
                held = Held(found.st_size, piece.is_log, piece.order, piece.first_log, at=found.st_mtime)
                held.sha256 = sums.get(piece.key, "")
                history.held[piece.key] = held
        if history.logs:
            key, held = history.logs[-1]
            held.reached = last_length(path / TIMES, key)
        for key, held in reversed(history.logs):
            self._look_at(history, key, held)
            if held.operation is not None:
                break
        for part in path.glob(f"*{PART}"):
            part.unlink()
        for note in notes_in(path):
            history.notes[note.name] = sha256_of(note)
        return history

    def _look_at(self, history: History, key: str, held: Held) -> None:
        """Checksum and last operation of a log's whole records; a power cut may have left more, which is cut off.

        Not where more was on the disk once: that is damage, and stays as it is until the sender sends it again.
        """
        kind, path = self.kinds[history.kind], history.path / key
        held.digest, held.size = hashlib.sha256(), 0
        for offset, data in whole_pieces(kind, path):
            held.digest.update(data)
            held.size = offset + len(data)
            held.operation = kind.last_operation(data, offset) or held.operation
        if path.stat().st_size > held.size >= held.reached:
            os.truncate(path, held.size)
            durable.sync_file(path)

    def hello(self) -> dict[str, Any]:
        """What is here of the current history."""
        history = self.history
        if history is None:
            return {"schema": SCHEMA, "number": 0}
        logs = history.logs
        return {
            "schema": SCHEMA,
            "number": history.number,
            "kind": history.kind,
            "identity": history.identity,
            "mark": history.mark(),
            "bytes": sum(one.size for one in history.held.values()),
            "images": [[key, one.size] for key, one in history.images[-MOST_TOLD:]],
            "catalogues": [key for key, _ in history.catalogues[-MOST_TOLD:]],
            "logs": [[key, one.order, one.size] for key, one in logs[-MOST_TOLD:]],
            "newest": history.newest or None,
            "reached": max([one.reached for _, one in logs[-1:]], default=0),
            "operation": next((one.operation for _, one in reversed(logs) if one.operation is not None), None),
            "notes": history.notes,
        }

    def begin(self, kind: str, identity: str, accepted: str) -> None:
        """A new history. One that is here is left for it only when `accepted` is its mark."""
        if kind not in self.kinds or not identity:
            raise StoreError(f"no history of {kind!r} {identity!r} can be begun")
        if self.history is not None and accepted != self.history.mark():
            raise StoreError(f"there is a history of {self.history.identity} with the mark {self.history.mark()}")
        path = self.top / f"{self.number + 1:06d}"
        path.mkdir(mode=0o750, exist_ok=True)
        now = self.clock()
        about = {"schema": SCHEMA, "kind": kind, "identity": identity, "began": now}
        durable.replace_file(path / ABOUT, json.dumps(about).encode(), 0o640)
        durable.sync_directory(self.top)
        self.number += 1
        self.history = History(self.number, path, kind, identity, now)

    def append(self, key: str, offset: int, body: bytes) -> None:
        """The next bytes of a piece; an image counts once `finish` has been said."""
        history = self._current()
        found = is_log(self.kinds[history.kind], key)
        if found is None:
            raise StoreError(f"{key!r} is no piece of {history.kind}")
        if found:
            self._append_log(history, key, offset, body)
            return
        if key in history.held:
            raise StoreError(f"{key} is here already")
        path = history.path / (key + PART)
        size = path.stat().st_size if offset and path.exists() else 0
        if offset != size:
            raise StoreError(f"{key} has {size} bytes here, not {offset}")
        try:
            with path.open("ab" if offset else "wb") as file:
                file.write(body)
        except OSError:
            path.unlink(missing_ok=True)  # its room is for logs
            raise

    def _append_log(self, history: History, key: str, offset: int, body: bytes) -> None:
        path, held = history.path / key, history.held.get(key)
        if held is None:
            self.sync()  # what was before it is on the disk before it is begun
            path.open("xb").close()
            piece = self.kinds[history.kind].of_copy(key, path)
            assert piece is not None
            held = history.held[key] = Held(0, True, piece.order, digest=hashlib.sha256(), at=self.clock())
        if held.digest is None:
            self._look_at(history, key, held)
        if offset != held.size:
            raise StoreError(f"{key} has {held.size} bytes here, not {offset}")
        with path.open("r+b") as file:
            if os.fstat(file.fileno()).st_size < held.size:
                raise StoreError(f"{key} has lost bytes on the disk here")
            file.seek(held.size)
            file.truncate()
            file.write(body)
        self.changed.add(path)
        held.digest.update(body)
        held.operation = self.kinds[history.kind].last_operation(body, offset) or held.operation
        held.size += len(body)

    def finish(self, key: str, size: int, sha256: str) -> None:
        """An image is whole: it gets its name when its bytes are those that were read."""
        history, part = self._current(), self._current().path / (key + PART)
        if is_log(self.kinds[history.kind], key) is not False or key in history.held:
            raise StoreError(f"{key!r} is no image that is awaited")
        if not part.is_file() or part.stat().st_size != size or sha256_of(part) != sha256:
            raise StoreError(f"{key} did not arrive whole")
        durable.sync_file(part)
        durable.append(history.path / SUMS, f"{sha256}  {key}\n")
        part.replace(history.path / key)
        durable.sync_directory(history.path)
        piece = piece_of(self.kinds[history.kind], key, history.path / key)
        assert piece is not None
        history.held[key] = Held(size, False, piece.order, piece.first_log, sha256=sha256, at=self.clock())
        if catalogue.is_copy(key):
            self._thin_catalogues(history, key.partition(".")[0])

    def _thin_catalogues(self, history: History, kind: str) -> None:
        """With each new one: they come much more often than images."""
        found = [(key, one) for key, one in history.catalogues if catalogue.is_copy(key, kind)]
        is_small = kind == catalogue.PLACE
        stay = catalogue.kept([one.at for _, one in found], self.clock(), self.keep, hourly=is_small)
        gone = [key for number, (key, _) in enumerate(found[:-1]) if number not in stay]
        for key in gone:
            (history.path / key).unlink(missing_ok=True)
            del history.held[key]
        if gone:
            left = {key: digest for key, digest in read_sums(history.path).items() if key in history.held}
            text = "".join(f"{digest}  {key}\n" for key, digest in left.items())
            durable.replace_file(history.path / SUMS, text.encode(), 0o640)
            durable.sync_directory(history.path)

    def note(self, name: str, body: bytes) -> None:
        """A small file, as it is now."""
        history = self._current()
        if not KEY.fullmatch(name):
            raise StoreError(f"{name!r} cannot be the name of a note")
        (history.path / "notes").mkdir(exist_ok=True)
        durable.replace_file(history.path / "notes" / name, body, 0o640)
        durable.sync_directory(history.path)
        history.notes[name] = hashlib.sha256(body).hexdigest()

    def sync(self) -> None:
        """All that came is on the disk when this returns; when that was is written down, for a restore to a time.

        It is written down last: what a power cut takes back is not to be missed as damage.
        """
        history = self._current()
        folders = {path.parent for path in self.changed}
        logs, now = history.logs, self.clock()
        for path in self.changed:
            if path.exists():
                durable.sync_file(path)
        for folder in folders:
            durable.sync_directory(folder)
        if self.changed and logs:
            durable.append(history.path / TIMES, f"{now:.3f}\t{logs[-1][0]}\t{logs[-1][1].size}\n")
        self.changed.clear()

    def thin(self) -> list[str]:
        """Removes what the rule does not keep (thinning.py); the names of what went."""
        history = self.history
        if history is None:
            return []
        images = history.images
        stay = kept_images([Image(one.at, one.first_log) for _, one in images], self.clock(), self.keep)
        gone = [key for number, (key, _) in enumerate(images) if number not in stay.images]
        gone += [key for key, one in history.logs if not stay.keeps_log(one.order)]
        for key in gone:
            (history.path / key).unlink(missing_ok=True)
            del history.held[key]
        if gone:
            self._thin_times(history)
            durable.sync_directory(history.path)
        return gone

    def _thin_times(self, history: History) -> None:
        try:
            lines = (history.path / TIMES).read_text(encoding="ascii", errors="replace").split("\n")
        except FileNotFoundError:
            return
        kept = [line for line in lines if (found := MOMENT.fullmatch(line)) and found[2] in history.held]
        durable.replace_file(history.path / TIMES, "".join(f"{line}\n" for line in kept).encode(), 0o640)

    def _current(self) -> History:
        if self.history is None:
            raise StoreError("no history has begun")
        return self.history


def is_only_begun(folder: Path) -> bool:
    """Whether nothing is in the directory of a history but what its beginning has left that was broken off."""
    return not {path.name for path in folder.iterdir()} - {durable.part_of(folder / ABOUT).name}


def notes_in(folder: Path) -> list[Path]:
    """The small files of a history; not what is left of one that was being written."""
    notes = folder / "notes"
    return [path for path in notes.iterdir() if KEY.fullmatch(path.name)] if notes.is_dir() else []


def last_length(times: Path, key: str) -> int:
    """How many bytes of a log were on the disk at the last moment that was written down of it; 0 where none was."""
    try:
        with times.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).decode("ascii", "replace").split("\n")
    except FileNotFoundError:
        return 0
    found = (MOMENT.fullmatch(line) for line in reversed(lines))
    return next((int(one[3]) for one in found if one and one[2] == key), 0)


def read_sums(folder: Path) -> dict[str, str]:
    """Key → SHA-256 of a history's images."""
    try:
        lines = (folder / SUMS).read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    return {key: digest for digest, _, key in (line.partition("  ") for line in lines) if key}


def sha256_of(path: Path) -> str:
    """Of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
