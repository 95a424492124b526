"""The chunk files of the last pass, by name: one that is gone was let go by its chunkserver, or something took it.

In a file beside the scrub's state: the file system on the first line, then a name a line. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sparkqfs_runtime.scrub.chunk_files import NAME

SUFFIX = ".known"


def read(state: Path, file_system: str) -> set[str]:
    """Nothing where it is of another file system, or cannot be read."""
    try:
        first, *names = _file(state).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return set()
    return {name for name in names if NAME.fullmatch(name)} if first == file_system else set()


def write(state: Path, file_system: str, names: Iterable[str]) -> None:
    """In the place of what was there. Raises `OSError`."""
    file = _file(state)
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_text("\n".join((file_system, *sorted(names), "")), encoding="ascii")
    temporary.replace(file)


def _file(state: Path) -> Path:
    return state.with_name(state.name + SUFFIX)
