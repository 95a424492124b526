"""What goes to an engine as a build context: files with their modes, as a tar. Standard library only."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import IO

Member = tuple[str, Path | bytes, int]
"""A file of an archive: its path there, the file or its bytes, its mode."""


def files(folder: Path, root: Path) -> list[Member]:
    """All files below a folder but what tools leave there, sorted, named from `root` on.

    A file that begins with `#!` is executable, for all; its mode on the disk does not count: not every installer and
    file system keeps it.
    """
    return [
        (path.relative_to(root).as_posix(), path, 0o755 if _is_program(path) else 0o644)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_left(path.relative_to(folder))
    ]


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _is_left(path: PurePath) -> bool:
    """Caches, an editor's copies, a memory image: not part of the tree."""
    is_hidden = any(part.startswith(".") or part in ("__pycache__", "core") for part in path.parts)
    return is_hidden or path.name.endswith("~")


def tar_of(members: Iterable[Member]) -> IO[bytes]:
    """An uncompressed tar in a temporary file, rewound. The same files give the same bytes."""
    out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, mode in members:
            info = tarfile.TarInfo(name)
            info.mode = mode
            if isinstance(content, Path):
                info.size = content.stat().st_size
                with content.open("rb") as file:
                    tar.addfile(info, file)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    out.seek(0)
    return out
