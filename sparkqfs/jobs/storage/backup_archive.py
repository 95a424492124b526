"""The archive with a state of the metadata, as far as this computer looks into it.

Its shape is that of runtime/sparkqfs_runtime/metadata/bundle.py: `state.json`, then exactly the files that it names.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
INDEX = "state.json"
MOST_INDEX = 4 << 20
READ_BYTES = 1 << 20


def read_index(path: Path) -> dict[str, Any]:
    """What an archive says of the state in it. Raises `ValueError`, OSError."""
    try:
        with tarfile.open(path, mode="r:") as archive:
            first = archive.next()
            if first is None or first.name != INDEX or not first.isreg() or first.size > MOST_INDEX:
                raise ValueError(f"it does not begin with {INDEX}")
            file = archive.extractfile(first)
            assert file is not None
            index = json.loads(file.read())
    except (tarfile.TarError, EOFError, RecursionError) as error:
        raise ValueError(f"it is not an archive that can be read: {error}") from error
    if not isinstance(index, dict) or index.get("schema") != SCHEMA:
        raise ValueError(f"{INDEX} is of another version")
    return index


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesPart:
    """The catalogue of tables in an archive."""

    at: float
    """Seconds since the epoch: when it was like that."""
    databases: int
    tables: int


def tables_of(index: Mapping[str, Any] | None) -> TablesPart | None:
    """`None` where the index names no catalogue, or none that can be understood."""
    match (index or {}).get("catalogue"):
        case {"at": int() | float() as at, "databases": int(databases), "tables": int(tables)}:
            return TablesPart(at=float(at), databases=databases, tables=tables)
        case _:
            return None


def check_archive(path: Path) -> dict[str, Any]:
    """The index of an archive that has all that it names, with the right checksums. Raises `ValueError`, OSError."""
    index = read_index(path)
    try:
        wanted = {
            f"{folder}/{name}": (size, digest) for folder in ("pieces", "notes") for name, size, digest in index[folder]
        }
        with tarfile.open(path, mode="r:") as archive:
            archive.next()
            while (member := archive.next()) is not None:
                _check_member(archive, member, wanted.pop(member.name, None))
        if not {"kind", "identity", "at", "operation"} <= set(index):
            raise ValueError(f"{INDEX} has another shape")
    except (tarfile.TarError, EOFError, KeyError, TypeError) as error:
        raise ValueError(f"it is not an archive that can be read: {error}") from error
    if wanted:
        raise ValueError(f"it lacks {min(wanted)}")
    return index


def _check_member(archive: tarfile.TarFile, member: tarfile.TarInfo, wanted: tuple[int, str] | None) -> None:
    if wanted is None or not member.isreg() or member.size != wanted[0]:
        raise ValueError(f"{member.name} in it is not what {INDEX} says")
    file, digest = archive.extractfile(member), hashlib.sha256()
    assert file is not None
    while data := file.read(READ_BYTES):
        digest.update(data)
    if digest.hexdigest() != wanted[1]:
        raise ValueError(f"{member.name} in it is damaged: its checksum is another one")
