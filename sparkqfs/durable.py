"""Files on this computer that are still there after a power cut: what is answered "done" is written through here.

A file's bytes are synced before it gets its name, and its directory afterwards (POSIX promises no less than both).
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

NOTHING_TO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EROFS, errno.EBADF}
"""A pipe or a terminal, and a file system that syncs no directories by themselves."""


def sync(descriptor: int) -> None:
    """What was written there. Raises OSError, as for a full or a broken disk."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOTHING_TO_SYNC:
            raise


def sync_file(path: Path) -> None:
    """The bytes of a file that is there; a link is not followed. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """The names in a directory. Raises OSError. One that may be written but not read cannot be synced, and is not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def name_file(part: Path, target: Path) -> None:
    """Gives a finished file its name, in place of the file that has it. Raises OSError."""
    with part.open("rb") as file:
        sync(file.fileno())
    part.replace(target)
    sync_directory(target.parent)


def write_file(path: Path, content: bytes) -> None:
    """A file of the user's, with its mode and owner where it is there already. Raises OSError."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        sync(file.fileno())
    sync_directory(path.parent)


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """The file has this content, and `mode` less the umask, or stays as it was. Raises OSError."""
    part = part_of(path)
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        name_file(part, path)
    except OSError:
        with contextlib.suppress(OSError):  # its room may be what is lacking
            part.unlink(missing_ok=True)
        raise


def part_of(path: Path) -> Path:
    """What `replace_file` calls a file that is not whole: one that is killed leaves it."""
    return path.with_name(f".{path.name}.part")


def append(path: Path, text: str) -> None:
    """Adds whole lines to a file, or begins one; all or nothing, also where a line before it was cut off.

    Raises OSError.
    """
    data = text.encode()
    with path.open("ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n" and not data.startswith(b"\n"):
            data = b"\n" + data
        try:
            while data:
                data = data[file.write(data) :]
            sync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise
    sync_directory(path.parent)


def make_directories(path: Path, mode: int = 0o777) -> None:
    """A directory and those above it that are missing, `mode` for the last one. Raises OSError."""
    missing = []
    above = path
    while not above.is_dir() and above != above.parent:
        missing.append(above)
        above = above.parent
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    for made in reversed(missing):
        sync_directory(made.parent)
