"""Files on this side: what is there, their checksums, and files in the making."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sparkqfs import durable
from sparkqfs.errors import ConfigError, Problem
from sparkqfs.files.places import OURS, PART
from sparkqfs.files.storage import LocalError
from sparkqfs.files.wire import BLOCK_BYTES
from sparkqfs.streams import read_some, reason, to_nowhere

READ_BYTES = 1 << 20


@dataclass(slots=True)
class LocalTree:
    """What is below a path. Names have `/` between their parts; the empty one is the path itself."""

    files: dict[str, int] = field(default_factory=dict)
    """Bytes by name; -1 for what is no plain file but can be read: a pipe."""
    directories: list[str] = field(default_factory=list)
    links: int = 0
    others: int = 0
    """Sockets, devices and the like."""
    failed: dict[str, str] = field(default_factory=dict)


def expanded(text: str) -> Path:
    """With `~` and `~user` for home directories; where there is no such user, as it is written."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def sources(text: str) -> list[Path]:
    """The paths that a user's word names; a path that is there as it is written counts as written.

    Raises `ConfigError` when there is none, and for an empty word, which is no path but would be this directory.
    """
    if not text:
        raise ConfigError(Problem(what="an empty path", hint="this directory is ."))
    path = expanded(text)
    if os.path.lexists(path):
        return [path]
    names = sorted(glob.glob(str(path)))  # noqa: PTH207 - Path.glob has no absolute patterns
    found = [one for one in map(Path, names) if not one.name.startswith(OURS)]
    if not found:
        raise ConfigError(Problem(what=f"{text} is not there", hint="a path on this machine, or a pattern in quotes"))
    return found


def walk(top: Path) -> LocalTree:
    """A file or a tree. The path itself may be a link; below it links are counted and left out."""
    tree = LocalTree()
    try:
        status = top.stat()
    except OSError as error:
        tree.failed[""] = error.strerror or str(error)
        return tree
    if not stat.S_ISDIR(status.st_mode):
        tree.files[""] = status.st_size if stat.S_ISREG(status.st_mode) else -1
        return tree
    tree.directories.append("")
    todo = [""]
    while todo:
        name = todo.pop()
        try:
            with os.scandir(top / name) as items:
                for item in items:
                    todo += _take(tree, f"{name}/{item.name}" if name else item.name, item)
        except OSError as error:
            tree.failed[name] = error.strerror or str(error)
    return tree


def _take(tree: LocalTree, name: str, item: os.DirEntry[str]) -> list[str]:
    """Sorts one thing in, or notes why not; the directories that are to be looked into."""
    if item.name.startswith(OURS):
        return []
    try:
        if item.is_symlink():
            tree.links += 1
        elif item.is_dir():
            tree.directories.append(name)
            return [name]
        elif item.is_file():
            tree.files[name] = item.stat().st_size
        else:
            tree.others += 1
    except OSError as error:
        tree.failed[name] = error.strerror or str(error)
    return []


def digest_of(path: Path, on_bytes: Callable[[int], None]) -> str:
    """SHA-256 of a file; `on_bytes` may raise. Raises `LocalError`."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(READ_BYTES):
                digest.update(block)
                on_bytes(len(block))
    except OSError as error:
        raise LocalError(error.strerror or str(error)) from error
    return digest.hexdigest()


class Reading:
    """A file that is read once, and its checksum then. Raises `LocalError`."""

    def __init__(self, path: Path | int, on_bytes: Callable[[int], None]) -> None:
        self._path = path
        self._on_bytes = on_bytes
        self._digest = hashlib.sha256()
        self._changed = False
        self.size = 0

    def blocks(self) -> Iterator[bytes]:
        """Its bytes, up to its end."""
        try:
            is_ours = not isinstance(self._path, int)
            with open(self._path, "rb", buffering=0, closefd=is_ours) as file:
                before = os.fstat(file.fileno())
                while block := read_some(file.fileno(), BLOCK_BYTES):
                    self._digest.update(block)
                    self.size += len(block)
                    yield block
                    self._on_bytes(len(block))
                after = os.fstat(file.fileno())
        except OSError as error:
            raise LocalError(error.strerror or str(error)) from error
        if stat.S_ISREG(before.st_mode) and is_ours:
            was = (before.st_size, before.st_mtime_ns)
            self._changed = was != (after.st_size, after.st_mtime_ns) or self.size != after.st_size

    def finish(self) -> str:
        """SHA-256 of all bytes."""
        if self._changed:
            raise LocalError("the file changed while it was read")
        return self._digest.hexdigest()


class Unread(Exception):
    """Nobody reads standard output any more, as behind `| head`."""


class Counting:
    """A stream that what is fetched goes to, with its checksum."""

    def __init__(self, out: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._out = out
        self._on_bytes = on_bytes
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Raises `Unread` when nobody reads any more; what is left in the stream's memory goes nowhere then."""
        try:
            self._out.write(data)
            self._out.flush()
        except BrokenPipeError:
            to_nowhere(self._out.fileno())
            raise Unread from None
        except OSError as error:
            to_nowhere(self._out.fileno())
            raise LocalError(reason(error)) from error
        self._digest.update(data)
        self._on_bytes(len(data))

    def finish(self, digest: str) -> None:
        """Raises `LocalError` when what came is not what was sent."""
        if self._digest.hexdigest() != digest:
            raise LocalError("other bytes arrived than were sent: do not use what was written")


class Part:
    """A file in the making, under a hidden name beside its target; gone unless it was given the target's name.

    It is locked while it is written, so that another run knows it from what a killed one left behind.
    """

    def __init__(self, target: Path, on_bytes: Callable[[int], None]) -> None:
        self._target = target
        self._on_bytes = on_bytes
        self._digest = hashlib.sha256()
        self._path = target.parent / f"{PART}{secrets.token_hex(8)}"
        try:
            self._file = self._path.open("xb")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LocalError(error.strerror or str(error)) from error

    def write(self, data: bytes) -> None:
        """Raises `LocalError`, for example for a full disk."""
        try:
            self._file.write(data)
        except OSError as error:
            raise LocalError(error.strerror or str(error)) from error
        self._digest.update(data)
        self._on_bytes(len(data))

    def finish(self, digest: str, *, overwrite: bool) -> None:
        """Compares what came and what reads back with the checksum; gives the part its name."""
        try:
            self._file.flush()
            if self._digest.hexdigest() != digest:
                raise LocalError("other bytes arrived than were sent")
            if digest_of(self._path, lambda _size: None) != digest:
                raise LocalError("the copy reads back with other bytes")
            if os.path.lexists(self._target) and not overwrite:
                raise LocalError("another file of this name has appeared")
            durable.name_file(self._path, self._target)
        except OSError as error:
            raise LocalError(error.strerror or str(error)) from error

    def close(self) -> None:
        """Removes it where it still has its own name."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def sweep(directory: Path) -> int:
    """Removes parts that nobody writes any more; how many."""
    removed = 0
    for path in directory.glob(f"{PART}*"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed += 1
    return removed
