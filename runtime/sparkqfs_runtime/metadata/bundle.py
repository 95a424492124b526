"""A state of the metadata as one stream, a tar archive: what a restore lays out, and a backup keeps.

Its first member `state.json` says what the others must be: `pieces/KEY`, and `notes/NAME`. Nothing is taken from a
stream that is not exactly that. Standard library only.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sparkqfs import durable
from sparkqfs_runtime.metadata import catalogue, notebooks
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.pieces import READ_BYTES
from sparkqfs_runtime.metadata.states import MOST_NOTE, Part, State, StateError
from sparkqfs_runtime.metadata.store import KEY, is_log

SCHEMA = 1
INDEX = "state.json"
PIECES = "pieces"
NOTES = "notes"
MOST_INDEX = 4 << 20
MOST_PIECES = 10_000
MODE = 0o750
"""Of the metadata's directories, as `invoke prep` makes them."""
ARRIVING = ".arriving"
"""Directory under `top` for a state that is not whole yet."""


def index_of(state: State) -> dict[str, Any]:
    """What a state is; each piece is read once for its checksum. Raises StateError for a damaged image, OSError."""
    pieces = []
    for part in state.parts:
        digest = hashlib.sha256()
        for data in _bytes_of(part):
            digest.update(data)
        if part.sha256 and digest.hexdigest() != part.sha256:
            raise StateError(f"{part.piece.key} is damaged: its checksum is another one")
        pieces.append([part.piece.key, part.size, digest.hexdigest()])
    notes = [[name, len(data), hashlib.sha256(data).hexdigest()] for name, data in sorted(state.notes.items())]
    return {
        "schema": SCHEMA,
        "kind": state.kind.name,
        "identity": state.identity,
        "at": state.at,
        "operation": state.operation,
        "history": state.history,
        "passed_over": list(state.passed_over),
        "pieces": pieces,
        "notes": notes,
        "catalogue": _catalogue(state),
    }


def _catalogue(state: State) -> dict[str, Any] | None:
    """What the copy of the catalogue of tables in a state is; `None` without one. Raises StateError, OSError."""
    path = catalogue_in([(part.piece.key, part.piece.path) for part in state.parts])
    if path is None:
        return None
    try:
        found = catalogue.contents(path)
    except catalogue.CatalogueError as error:
        raise StateError(f"the catalogue of tables: {error}") from error
    return {"at": float(found["at"]), "databases": len(found["databases"]), "tables": len(found["tables"])}


def _bytes_of(part: Part) -> Iterator[bytes]:
    """As many as belong to the state. Raises StateError when the file has fewer."""
    left = part.size
    with part.piece.path.open("rb") as file:
        while left:
            data = file.read(min(left, READ_BYTES))
            if not data:
                raise StateError(f"{part.piece.key} has got shorter")
            left -= len(data)
            yield data


class _Reader(io.RawIOBase):
    """The bytes of a piece, for tarfile."""

    def __init__(self, part: Part) -> None:
        self.source = _bytes_of(part)
        self.rest = b""

    def read(self, size: int = -1) -> bytes:
        while len(self.rest) < size and (data := next(self.source, b"")):
            self.rest += data
        found, self.rest = self.rest[:size], self.rest[size:]
        return found


def write(state: State, stream: IO[bytes]) -> dict[str, Any]:
    """The archive; its index. Raises StateError, OSError."""
    index = index_of(state)
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=READ_BYTES) as archive:
        _add(archive, INDEX, json.dumps(index).encode())
        for part in state.parts:
            member = tarfile.TarInfo(f"{PIECES}/{part.piece.key}")
            member.size, member.mode = part.size, 0o600
            archive.addfile(member, _Reader(part))
        for name, data in sorted(state.notes.items()):
            _add(archive, f"{NOTES}/{name}", data)
    return index


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    archive.addfile(member, io.BytesIO(data))


def check_index(index: Any) -> dict[str, tuple[int, str]]:
    """Name → size and SHA-256 of what follows the index. Raises StateError for what is no index."""
    try:
        if index["schema"] != SCHEMA or index["kind"] not in KINDS or not isinstance(index["identity"], str):
            raise StateError(f"{INDEX} is of another version, or of no kind of storage that is known here")
        rows = [(PIECES, row) for row in index["pieces"]] + [(NOTES, row) for row in index["notes"]]
        if len(rows) > MOST_PIECES:
            raise StateError(f"{INDEX} names {len(rows)} files")
        found: dict[str, tuple[int, str]] = {}
        for folder, (key, size, digest) in rows:
            if not KEY.fullmatch(key) or not isinstance(size, int) or size < 0 or len(digest) != 64:
                raise StateError(f"{INDEX} names what cannot be a file of the metadata")
            if (folder == PIECES and is_log(KINDS[index["kind"]], key) is None) or (
                folder == NOTES and size > MOST_NOTE
            ):
                raise StateError(f"{INDEX}: {key} is nothing of {index['kind']}'s metadata")
            found[f"{folder}/{key}"] = (size, digest)
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"{INDEX} has another shape: {error!r}") from error
    return found


def read(stream: IO[bytes], folder: Path) -> dict[str, Any]:
    """Writes an archive's files below the empty `folder`, each compared with its checksum; the index.

    Raises StateError for one that is not whole, OSError.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=READ_BYTES) as archive:
            first = archive.next()
            if first is None or first.name != INDEX or not first.isreg() or first.size > MOST_INDEX:
                raise StateError(f"the archive does not begin with {INDEX}")
            index = json.loads(_file(archive, first).read())
            wanted = check_index(index)
            while (member := archive.next()) is not None:
                size, digest = wanted.pop(member.name, (-1, ""))
                if not member.isreg() or member.size != size:
                    raise StateError(f"{member.name} is not what {INDEX} says")
                _take(_file(archive, member), folder / member.name, digest)
            while stream.read(READ_BYTES):
                pass
    except (tarfile.TarError, EOFError, ValueError, RecursionError) as error:
        raise StateError(f"the archive is damaged: {error}") from error
    if wanted:
        raise StateError(f"the archive lacks {min(wanted)}")
    return index  # type: ignore[no-any-return]


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(member)
    assert found is not None
    return found


def _take(source: IO[bytes], target: Path, wanted: str) -> None:
    target.parent.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    with target.open("xb") as file:
        while data := source.read(READ_BYTES):
            digest.update(data)
            file.write(data)
    if digest.hexdigest() != wanted:
        raise StateError(f"{target.name} is damaged: its checksum is another one")


def catalogue_in(pieces: list[tuple[str, Path]]) -> Path | None:
    """The copy of the catalogue of tables among a state's pieces (key, file)."""
    return _piece_of(pieces, catalogue.PLACE)


def _piece_of(pieces: list[tuple[str, Path]], kind: str) -> Path | None:
    return next((path for key, path in pieces if catalogue.is_copy(key, kind)), None)


def of_storage(pieces: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Those that the storage starts from."""
    return [(key, path) for key, path in pieces if not catalogue.is_copy(key)]


def lay_out(
    stream: IO[bytes],
    top: Path,
    aside: str,
    names: Path | None = None,
    books: Path | None = None,
    *,
    beyond: int = 0,
) -> dict[str, Any]:
    """Puts an archive's state below `top` as the storage starts from it; what is there goes to the directory `aside`.

    With the catalogue of tables, where it has one, the same is done in the metastore's directory `names`. Nothing of
    what is there is touched before the new state is whole and on the disk. Notebooks that are missing in the directory
    `books` are put there. New blocks get numbers above `beyond`. Can be repeated after a crash at any step.

    Returns the index, with how many tables and notebooks came in `tables` and `notebooks`. Raises StateError, OSError.
    """
    arriving = top / ARRIVING
    shutil.rmtree(arriving, ignore_errors=True)
    (arriving / "made").mkdir(parents=True)
    index = read(stream, arriving)
    kind = KINDS[index["kind"]]
    pieces = [(key, arriving / PIECES / key) for key, _, _ in index["pieces"]]
    notes = {name: arriving / NOTES / name for name, _, _ in index["notes"]}
    kind.lay_out(of_storage(pieces), notes, arriving / "made", beyond)
    if kind.identity(arriving / "made") != index["identity"]:
        raise StateError(f"the state is of the file system {kind.identity(arriving / 'made') or 'none'}")
    durable.sync_directory(arriving / "made")
    index["tables"] = _lay_out_catalogue(catalogue_in(pieces), names, aside)
    _swap(arriving / "made", top, aside)
    copy = _piece_of(pieces, notebooks.KIND)
    index["notebooks"] = notebooks.unpack(copy, books) if copy is not None and books is not None else None
    shutil.rmtree(arriving)
    durable.sync_directory(top)
    return index


def _lay_out_catalogue(copy: Path | None, names: Path | None, aside: str) -> int | None:
    """How many tables it has; `None` where there is none, or no place for it."""
    if copy is None or names is None:
        return None
    try:
        count = len(catalogue.contents(copy)["tables"])
        catalogue.lay_out(copy, names, aside)
    except catalogue.CatalogueError as error:
        raise StateError(f"the catalogue of tables: {error}") from error
    return count


def _swap(made: Path, top: Path, aside: str) -> None:
    """Each directory of `made` takes the place of that of `top`."""
    keep = top / aside
    for folder in sorted(made.iterdir()):
        place = top / folder.name
        if place.is_dir() and any(place.iterdir()):
            number = 1
            while (keep / str(number) / folder.name).exists():
                number += 1
            durable.make_directories(keep / str(number))
            place.rename(keep / str(number) / folder.name)
            durable.sync_directory(keep / str(number))
        elif place.is_dir():
            place.rmdir()
        folder.chmod(MODE)
        folder.rename(place)
        durable.sync_directory(top)
