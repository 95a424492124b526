"""Backups as directories on this computer: made whole or not at all, found, and checked without a cluster."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from sparkqfs import durable
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.facts.copies import AHEAD_S
from sparkqfs.jobs.storage.backup_archive import check_archive
from sparkqfs.jobs.storage.backup_names import read_summary
from sparkqfs.plan.cluster.recovery import MAX_BYTES, Recovery, parse_recovery
from sparkqfs.plan.storage import backups
from sparkqfs.plan.storage.backups import FilePart, Manifest, damage

MAKING = ".making-"
"""Of a backup that is not whole yet: its maker holds a lock on the directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One whose files are whole: what a restore begins with."""

    path: Path
    manifest: Manifest
    index: dict[str, Any] | None
    """What the archive says of the state in it; `None` without one."""
    recovery: Recovery | None

    @property
    def bundle(self) -> Path | None:
        """The archive that `metadata-state lay-out` takes; `None` where the storage keeps no metadata with us."""
        return self.path / backups.METADATA if self.manifest.metadata is not None else None

    @property
    def names(self) -> Path | None:
        """The list of names; `None` where the storage did not run."""
        return self.path / backups.NAMES if self.manifest.names is not None else None


def default_place(config: ClusterConfig) -> Path:
    """`$XDG_DATA_HOME/sparkqfs/backups/CLUSTER`. Raises `ConfigError` where that is in a git clone: it has secrets."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    place = home / "sparkqfs" / "backups" / config.name
    clone = clone_of(place)
    if clone is not None:
        hint = "say where: `invoke backup --to DIR`"
        raise ConfigError(Problem(what=f"{place} is in the git clone {clone}, and a backup has secrets", hint=hint))
    return place


def clone_of(place: Path) -> Path | None:
    """The git work tree that a path is in."""
    whole = place.absolute()
    return next((above for above in (whole, *whole.parents) if (above / ".git").exists()), None)


@contextlib.contextmanager
def making(place: Path) -> Iterator[Path]:
    """A new directory in `place` for a backup that is being made; it is gone afterwards unless `finish` named it.

    Raises `ClusterError` when the disk does not take it.
    """
    try:
        durable.make_directories(place, 0o700)
        remove_unfinished(place)
        folder = place / f"{MAKING}{os.getpid()}-{time.monotonic_ns()}"
        folder.mkdir(mode=0o700)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _disk(place, error) from error
    try:
        with contextlib.suppress(OSError):  # a network's file system may have no locks for directories
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    except OSError as error:
        raise _disk(place, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _disk(place: Path, error: OSError) -> ClusterError:
    return ClusterError(
        Problem(what=f"no backup was made in {place}: {error}", hint="another directory: `invoke backup --to DIR`")
    )


def remove_unfinished(place: Path) -> None:
    """What a run has left that was killed; one that still runs holds its lock."""
    for folder in place.glob(f"{MAKING}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)


def new_file(path: Path) -> IO[bytes]:
    """For writing, its owner's alone. Raises OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def write_private(path: Path, text: str) -> None:
    """A whole file, on the disk when this returns. Raises OSError."""
    with new_file(path) as file:
        file.write(text.encode())
        file.flush()
        durable.sync(file.fileno())


def sha256_of(path: Path) -> FilePart:
    """Length and checksum. Raises OSError."""
    with path.open("rb") as file:
        return FilePart(bytes=os.fstat(file.fileno()).st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def finish(folder: Path, manifest: Manifest) -> tuple[Path, Manifest]:
    """Writes down what is in the directory and gives it its name. Raises OSError."""
    parts = {name: sha256_of(folder / name) for name in backups.PARTS if (folder / name).exists()}
    manifest = replace(manifest, files=parts)
    write_private(folder / backups.ABOUT, manifest.text())
    digests = {name: sha256_of(folder / name).sha256 for name in (*parts, backups.ABOUT)}
    write_private(folder / backups.SUMS, backups.sums_text(digests))
    durable.sync_directory(folder)
    name = name_at(manifest.time)
    for number in range(1, 10_000):
        target = folder.parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.rename(target)  # on a directory that has something in it this fails
        except OSError:
            if number == 9_999 or not target.exists():
                raise
            continue
        durable.sync_directory(folder.parent)
        return target, manifest
    raise AssertionError("not reached")


def is_private(path: Path) -> bool:
    """Whether a backup is its owner's alone: FAT and the like, as on sticks, have one mode for all files."""
    return not any(one.stat().st_mode & 0o077 for one in (path, *path.iterdir()))


def name_at(seconds: float) -> str:
    """Of the directory of a backup that was made then."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def found_in(place: Path) -> list[Path]:
    """The backups of a directory, the oldest first."""
    try:
        return sorted(path for path in place.iterdir() if backups.FOLDER.fullmatch(path.name) and path.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_manifest(path: Path) -> Manifest:
    """What a backup says of itself, unchecked. Raises `ValueError`, OSError."""
    with (path / backups.ABOUT).open("rb") as file:
        return backups.parse_manifest(file.read(backups.MAX_ABOUT).decode("ascii"))


def check(path: Path, on_event: Callable[[str], None] = lambda _text: None) -> tuple[Backup | None, list[Problem]]:
    """Whether every file of a backup is there and whole, and fits the others; one problem a damage."""
    problems: list[Problem] = []
    manifest: Manifest | None = None
    sums: str | None = None
    try:
        manifest = read_manifest(path)
        on_event(f"reading {manifest.bytes:,} bytes")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        problems.append(damage(backups.ABOUT, f"is missing or damaged: {why}"))
    try:
        sums = (path / backups.SUMS).read_bytes()[: backups.MAX_ABOUT].decode("ascii", "replace")
    except OSError as error:
        problems.append(damage(backups.SUMS, f"cannot be read: {error.strerror}"))
    problems += _sum_problems(path, manifest, sums)
    if manifest is None or problems:
        return None, problems
    return _check_contents(path, manifest)


def _sum_problems(path: Path, manifest: Manifest | None, sums: str | None) -> list[Problem]:
    """Each file is written down twice, but for backup.json: one that agrees with either is whole."""
    told = {one[2]: one[1] for line in (sums or "").splitlines() if (one := backups.SUM_LINE.fullmatch(line))}
    listed = manifest.files if manifest is not None else {}
    problems, digests = [], {}
    about = () if manifest is None else (backups.ABOUT,)  # told already
    for name in sorted({*told, *listed} & {*backups.PARTS} | {*about}):
        try:
            found = sha256_of(path / name)
        except OSError as error:
            problems.append(damage(name, f"cannot be read: {error.strerror}"))
            continue
        digests[name] = found.sha256
        if found.sha256 in (told.get(name), listed[name].sha256 if name in listed else None):
            continue
        if name == backups.ABOUT:
            if name in told:
                problems.append(damage(name, f"its checksum is not the one in {backups.SUMS}: one of them has changed"))
        elif name in listed and found.bytes != listed[name].bytes:
            problems.append(damage(name, f"has {found.bytes} bytes, {listed[name].bytes} were written"))
        else:
            problems.append(damage(name, "its checksum is another one: it has changed"))
    if manifest is not None and sums is not None and not problems and sums != backups.sums_text(digests):
        problems.append(damage(backups.SUMS, "is not as it was written"))
    return problems


def _check_contents(path: Path, manifest: Manifest) -> tuple[Backup | None, list[Problem]]:
    """Whether the files are of one backup: for one whose checksums somebody has made again."""
    problems: list[Problem] = []
    index = recovery = None
    if manifest.metadata is not None:
        try:
            index = check_archive(path / backups.METADATA)
            told = (index["kind"], index["identity"], index["operation"])
            wanted = (manifest.kind, manifest.metadata.file_system, manifest.metadata.operation)
            if told != wanted:
                raise ValueError(f"it is of {' '.join(map(str, told))}, the backup of {' '.join(map(str, wanted))}")
        except ValueError as error:
            problems.append(damage(backups.METADATA, str(error)))
    if manifest.names is not None:
        try:
            summary = read_summary(path / backups.NAMES)
            if summary.part(manifest.names.tries) != manifest.names:
                raise ValueError(f"it is not the list that {backups.ABOUT} tells of")
        except ValueError as error:
            problems.append(damage(backups.NAMES, str(error)))
    if manifest.recovery_node is not None:
        try:
            with (path / backups.RECOVERY).open("rb") as file:
                recovery = parse_recovery(manifest.recovery_node, file.read(MAX_BYTES + 1))
            if (recovery.cluster, recovery.cluster_id) != (manifest.cluster, manifest.cluster_id):
                raise ValueError(f"it is of cluster {recovery.cluster} with the id {recovery.cluster_id}")
        except ValueError as error:
            problems.append(damage(backups.RECOVERY, str(error)))
    if problems:
        return None, problems
    return Backup(path=path, manifest=manifest, index=index, recovery=recovery), []


def open_backup(path: Path) -> Backup:
    """A backup whose files are whole. Raises `ClusterError` with each damage."""
    backup, problems = check(path)
    if backup is None:
        hint = "another backup: `invoke backup.list`"
        listed = [replace(problem, what=f"{path / problem.what}", hint=hint) for problem in problems]
        raise ClusterError(*listed)
    return backup


def note_verified(path: Path, document: dict[str, object]) -> None:
    """Writes down beside a backup what came of its check. Raises OSError."""
    durable.replace_file(path / backups.VERIFIED, (json.dumps(document, indent=1) + "\n").encode(), 0o600)


def verified(path: Path) -> dict[str, Any]:
    """When and how deep a backup was checked last; empty when it never was."""
    try:
        found = json.loads((path / backups.VERIFIED).read_text(encoding="ascii", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or found.get("schema") != backups.SCHEMA:
        return {}
    when = found.get("time")
    return found if isinstance(when, int | float) and 0 <= when < backups.LATEST else {}


def newest(place: Path, cluster: str) -> Path:
    """The last backup of a cluster in a directory. Raises `ConfigError` where there is none.

    Of one that cannot be read nobody knows whose it is: it may be the newest, so no earlier one takes its place. One
    whose time is yet to come was made by a wrong clock, and is taken only where there is no other.
    """
    limit = name_at(time.time() + AHEAD_S)
    for path in sorted(found_in(place), key=lambda path: (path.name <= limit, path.name), reverse=True):
        try:
            if read_manifest(path).cluster == cluster:
                return path
        except (OSError, ValueError):
            return path
    hint = "`invoke backup` makes one"
    raise ConfigError(Problem(what=f"{place} has no backup of cluster {cluster}", hint=hint))
