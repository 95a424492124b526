"""What somebody has accepted to lose: the marks of copies that are newer than the metadata, one a line, in a file.

`deploy --accept-older MARK` writes it; making a new file system writes the word `new` and that file system's id. It is
removed when every keeper goes on from what is here.
"""

from __future__ import annotations

from pathlib import Path

from sparkqfs import durable
from sparkqfs_runtime.metadata.compare import Compared

FILE = ".accepted-copies"
MOST_BYTES = 4096


def is_accepted(top: Path, found: Compared, identity: str) -> bool:
    """Whether a copy in this state may be left behind."""
    if found.is_well:
        return False
    lines = _lines(top)
    return found.mark in lines or (found.verdict == "other" and bool(identity) and f"new {identity}" in lines)


def accept_new(top: Path, identity: str) -> None:
    """This file system was made just now: copies of another one are of an earlier one."""
    durable.replace_file(top / FILE, f"new {identity}\n".encode(), 0o640)


def also(top: Path, found: Compared) -> None:
    """A copy that is older than one that has been given up goes with it."""
    durable.append(top / FILE, found.mark + "\n")


def forget(top: Path) -> None:
    """All keepers have what is here."""
    if (top / FILE).exists():
        (top / FILE).unlink()
        durable.sync_directory(top)


def _lines(top: Path) -> list[str]:
    try:
        with (top / FILE).open("rb") as file:
            return file.read(MOST_BYTES).decode("ascii", "replace").split("\n")
    except FileNotFoundError:
        return []
