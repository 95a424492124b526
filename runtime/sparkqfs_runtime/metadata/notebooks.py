"""Copies of the notebooks: one file, `notebooks.MILLISECONDS.zip`, which travels with the storage's metadata.

The storage's master packs them, when something has changed, in a directory of its container: they are made again after
its start. Large files and hidden ones are left out. What is put back never takes the place of a file that is there.
Standard library only.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sparkqfs import durable
from sparkqfs_runtime.metadata import catalogue

KIND = "notebooks"
FOLDER = "SPARKQFS_NOTEBOOKS"
"""In the environment of the storage's master: where it sees the notebooks; unset where they are not on the manager."""
COPIES = Path("/tmp/sparkqfs-notebooks")
EVERY_S = 30.0
MOST_FILE = 8 << 20
"""Bytes of one file; what is larger is data, and belongs on the storage."""
MOST_ALL = 64 << 20
MOST_FILES = 5000
MODE = 0o640


def files_in(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """(path below it, what it is) of the files that are copied, notebooks first: they are the last to be left out."""
    found = []
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(top) / name
            try:
                seen = path.lstat()
            except OSError:
                continue
            if _is_text(str(path)) and stat.S_ISREG(seen.st_mode) and seen.st_size <= MOST_FILE:
                found.append((path.relative_to(folder).as_posix(), seen))
    left = MOST_ALL
    for name, seen in sorted(found, key=lambda one: (not one[0].endswith(".ipynb"), one[0]))[:MOST_FILES]:
        left -= seen.st_size
        if left < 0:
            return
        yield name, seen


def _is_text(name: str) -> bool:
    """A name of other bytes is none that an archive can have."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def pack(folder: Path, names: list[str], target: Path) -> None:
    """A file that goes meanwhile is left out. Raises OSError of the target."""
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for name in names:
            try:
                data = (folder / name).read_bytes()
            except OSError:
                continue
            archive.writestr(f"files/{name}", data)
    part.replace(target)


def unpack(copy: Path, folder: Path) -> int:
    """Puts those files of a copy into the directory that are missing there; how many.

    What cannot be read of a copy, or has no place, is told and left out: the names of files must not wait for
    notebooks.
    """
    count = 0
    try:
        with zipfile.ZipFile(copy) as archive:
            for member in archive.infolist():
                path = PurePosixPath(member.filename)
                if path.parts[:1] != ("files",) or path.is_absolute() or ".." in path.parts or member.is_dir():
                    continue
                place = folder.joinpath(*path.parts[1:])
                if os.path.lexists(place) or member.file_size > MOST_FILE:
                    continue
                try:
                    durable.make_directories(place.parent, 0o750)
                    durable.replace_file(place, archive.read(member), MODE)
                except OSError as error:
                    print(f"notebooks: {member.filename} is not put back: {error}", file=sys.stderr)
                else:
                    count += 1
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        print(f"notebooks: {copy.name} is damaged: {error}", file=sys.stderr)
    return count


class Packer:
    """A thread in the process of the status page."""

    def __init__(self, folder: Path, copies: Path = COPIES) -> None:
        self.folder, self.copies = folder, copies
        self.packed: list[tuple[str, int, int]] = []

    def start(self) -> None:
        """For as long as the process lives."""
        threading.Thread(target=self.run, name="notebooks", daemon=True).start()

    def run(self) -> None:
        """A copy after each change."""
        said = ""
        while True:
            try:
                self.look()
                error = ""
            except Exception as failure:  # noqa: BLE001 (this thread is for as long as the process lives)
                error = f"{type(failure).__name__}: {failure}"
            if error and error != said:
                print(f"copy of the notebooks: {error}", file=sys.stderr, flush=True)
            said = error
            time.sleep(EVERY_S)

    def look(self) -> None:
        """Raises OSError."""
        found = [(name, seen.st_size, seen.st_mtime_ns) for name, seen in files_in(self.folder)]
        if found == self.packed:
            return
        self.copies.mkdir(mode=0o700, exist_ok=True)
        there = catalogue.newest_first(self.copies, KIND)
        number = int(time.time() * 1000)
        if there:  # a clock may be set back, and the newest copy is that of the largest number
            number = max(number, catalogue.number_of(there[0].name) + 1)
        pack(self.folder, [name for name, _, _ in found], self.copies / f"{KIND}.{number:013d}.zip")
        self.packed = found
        for old in there[1:]:
            old.unlink(missing_ok=True)
