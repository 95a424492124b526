"""Copies of the catalogue of tables: one file each, which the metastore makes (runtime/java/sparkqfs/catalogue).

`catalogue.MILLISECONDS.zip` has `catalogue.json`, what is in it, and the database's files below `files/`. They travel
with the storage's metadata, as pieces that are neither an image nor a log. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sparkqfs import durable
from sparkqfs_runtime.metadata.thinning import DAY_S, USUAL, Keep

KEY = re.compile(r"(catalogue|notebooks)\.(\d{13})\.zip")
"""Of the notebooks' copies too, which travel in the same way (notebooks.py)."""
INDEX = "catalogue.json"
FILES = "files"
PLACE = "catalogue"
"""The database's directory, in the one that the metastore has to itself."""
COPIES = "copies"
"""Beside it."""
LOOKED, WANTED = "looked.json", "wanted"
ARRIVING = ".arriving"
MADE_OF = "service.properties"
"""Derby reads it first: a directory without it is no database."""
SCHEMA = 1
MOST_INDEX = 256 << 20
MOST_LOOKED = 65536
STAY = 4
"""Of any age."""
HOUR_S = 3600.0
AGAIN_S = 0.1
FOLDER = "SPARKQFS_CATALOGUE"
"""In the environment of the storage's master: where it sees the metastore's directory; unset where there is none."""


SHARED_COPIES = ".catalogue"
"""With storage `shared`: the directory of the copies there."""


def place_of_copies(environ: Mapping[str, str], folder: Path) -> Path:
    """Where the metastore's copies are: in its directory, or on the shared one, which outlives the manager's disk."""
    if environ.get("SPARKQFS_STORAGE") != "shared":
        return folder / COPIES
    return Path((environ.get("SPARKQFS_ROOT") or "file:///data/shared").removeprefix("file://")) / SHARED_COPIES


class CatalogueError(Exception):
    """A copy that is not whole, or none; the text is for people."""


def is_copy(key: str, kind: str = "") -> bool:
    """Whether a piece of that key is one; with `kind`, `catalogue` or `notebooks`, one of those."""
    found = KEY.fullmatch(key)
    return found is not None and kind in ("", found[1])


def number_of(key: str) -> int:
    """What orders the copies of one kind. Raises `ValueError` for a key that is none."""
    if (found := KEY.fullmatch(key)) is None:
        raise ValueError(f"{key!r} is no copy")
    return int(found[2])


class Looked(NamedTuple):
    """What the metastore says of its copies."""

    at: float
    """Seconds since the epoch: when the newest copy and the catalogue were last the same; 0 for never."""
    copy: str
    """Key of the newest one; empty for none."""
    error: str
    """Why there is no newer one; empty when nothing is wrong."""


def looked(copies: Path) -> Looked | None:
    """`None` where the metastore has said nothing yet."""
    try:
        with (copies / LOOKED).open(encoding="utf-8") as file:
            found = json.loads(file.read(MOST_LOOKED))
        if found["schema"] != SCHEMA:
            return None
        return Looked(float(found["at"]), str(found["copy"]), str(found["error"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def newest_first(copies: Path, kind: str = PLACE) -> list[Path]:
    """The copies; each has its name when it is whole, with a larger number than those before it. Raises OSError."""
    try:
        with os.scandir(copies) as entries:
            found = [
                Path(one.path) for one in entries if is_copy(one.name, kind) and one.is_file(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda path: path.name, reverse=True)


def newest(copies: Path, kind: str = PLACE) -> Path | None:
    """The newest copy. Raises OSError."""
    return next(iter(newest_first(copies, kind)), None)


def fresh(copies: Path, seconds: float, clock: Callable[[], float] = time.time) -> Path:
    """The newest copy, when it is the catalogue as it is now. Raises CatalogueError with why there is none in time."""
    begun, end = clock(), time.monotonic() + seconds
    try:
        (copies / WANTED).touch()
    except OSError as error:
        raise CatalogueError(f"no copy can be asked for: {error}") from error
    while True:
        said, there = looked(copies), newest(copies)
        if said is not None and said.at >= begun and there is not None and there.name == said.copy:
            return there
        if time.monotonic() > end:
            why = said.error if said is not None and said.error else "the metastore does not answer"
            raise CatalogueError(f"there is no copy of the catalogue of tables as it is now: {why}")
        time.sleep(AGAIN_S)


def contents(copy: Path) -> dict[str, Any]:
    """What is in a copy: `databases`, `tables`, `partitions`. Raises CatalogueError, OSError."""
    try:
        with zipfile.ZipFile(copy) as archive:
            if archive.getinfo(INDEX).file_size > MOST_INDEX:
                raise CatalogueError(f"{copy.name}: {INDEX} is too long")
            found = json.loads(archive.read(INDEX))
        if found["schema"] != SCHEMA or not all(isinstance(found[key], list) for key in ("databases", "tables")):
            raise CatalogueError(f"{copy.name}: {INDEX} is of another version")
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError, zlib.error, RecursionError) as error:
        raise CatalogueError(f"{copy.name} is damaged: {error}") from error
    return dict(found)


def unpack(copy: Path, target: Path) -> None:
    """The database of a copy as the new directory `target`, on the disk. Raises CatalogueError, OSError."""
    target.mkdir()
    folders = {target}
    try:
        with zipfile.ZipFile(copy) as archive:
            for member in archive.infolist():
                path = PurePosixPath(member.filename)
                if member.filename == INDEX:
                    continue
                if path.is_absolute() or path.parts[:1] != (FILES,) or ".." in path.parts or member.is_dir():
                    raise CatalogueError(f"{copy.name} has {member.filename!r}, which is nothing of a catalogue")
                place = target.joinpath(*path.parts[1:])
                place.parent.mkdir(parents=True, exist_ok=True)
                folders.add(place.parent)
                with archive.open(member) as source, place.open("xb") as file:
                    shutil.copyfileobj(source, file)
                    file.flush()
                    durable.sync(file.fileno())
    except (zipfile.BadZipFile, EOFError, zlib.error, ValueError) as error:
        raise CatalogueError(f"{copy.name} is damaged: {error}") from error
    if not (target / MADE_OF).is_file():
        raise CatalogueError(f"{copy.name} is no catalogue: it has no {MADE_OF}")
    for folder in folders:
        durable.sync_directory(folder)


def lay_out(copy: Path, top: Path, aside: str) -> None:
    """Puts a copy in the place of the catalogue below `top`; what is there goes to the directory `aside`.

    Nothing of what is there is touched before the new one is whole. Raises CatalogueError, OSError.
    """
    arriving = top / ARRIVING
    shutil.rmtree(arriving, ignore_errors=True)
    unpack(copy, arriving)
    place = top / PLACE
    if place.exists():
        number = 1
        while (top / aside / str(number)).exists():
            number += 1
        durable.make_directories(top / aside / str(number))
        place.rename(top / aside / str(number) / PLACE)
        durable.sync_directory(top / aside / str(number))
    arriving.rename(place)
    durable.sync_directory(top)


def kept(times: Sequence[float], now: float, keep: Keep = USUAL, *, hourly: bool = True) -> set[int]:
    """Places in `times`, the oldest first, of copies that stay: the newest, then one an hour, a day, a week."""
    stay = set(range(max(0, len(times) - STAY), len(times)))
    now = min(now, times[-1]) if times else now
    for length, days in ((HOUR_S, keep.all if hourly else 0.0), (DAY_S, keep.daily), (7 * DAY_S, keep.weekly)):
        last = {int(at // length): number for number, at in enumerate(times) if now - at <= days * DAY_S}
        stay |= set(last.values())
    return stay
