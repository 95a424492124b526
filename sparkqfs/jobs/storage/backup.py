"""invoke backup and backup.list: the metadata, and what is root's alone, as a directory on this computer."""

from __future__ import annotations

import time
from pathlib import Path

from sparkqfs.amounts import amount
from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.jobs.session import Session, check_cluster_name
from sparkqfs.jobs.storage import backup_sources as sources
from sparkqfs.jobs.storage import backup_store as store
from sparkqfs.jobs.storage.backup_archive import TablesPart, read_index, tables_of
from sparkqfs.jobs.storage.backup_names import counted
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.storage.backups import METADATA, SCHEMA, Manifest
from sparkqfs.plan.times import about

TIMEOUT_S = 3600.0


def place_of(session: Session, to: str | None) -> Path:
    """The directory that the user says, else the usual one. Raises `ConfigError`."""
    if to is None:
        return store.default_place(session.config)
    place = Path(to).expanduser().absolute()
    if place.exists() and not place.is_dir():
        raise ConfigError(Problem(what=f"{to} is not a directory"))
    return place


def check_timeout(timeout_s: float) -> None:
    """Raises `ConfigError`."""
    if not 10 <= timeout_s <= 86_400:
        raise ConfigError(Problem(what=f"--timeout {timeout_s:g}: 10 to 86400 seconds"))


def run(session: Session, *, to: str | None, timeout_s: float = TIMEOUT_S) -> JobResult:
    """Make one. Exit code 1 when a part of it was not to be had; the backup is there then, and says so."""
    check_timeout(timeout_s)
    path, manifest = make(session, place_of(session, to), timeout_s)
    problems = [Problem(what=f"the backup is not complete: {text}") for text in manifest.lacks if _is_fault(text)]
    clone = store.clone_of(path)
    notes = [f"{path} is in the git clone {clone}, and it has the cluster's secrets"] if clone is not None else []
    if not store.is_private(path):
        notes.append(
            f"others can read {path}, as the file system there does not keep modes; it has the cluster's secrets"
        )
    outcome = Outcome(subject="backup", state="changed", changes=(str(path), *described(session, path, manifest)))
    return JobResult(
        task="backup",
        outcomes=(outcome,),
        problems=tuple(problems),
        document=document_of(path, manifest),
        notes=tuple(notes),
    )


def _is_fault(text: str) -> bool:
    """A storage that does not run has no names to list: that is told, and is not a fault of the backup."""
    return not (text.startswith("no list of names: ") and text.endswith("does not run"))


def make(session: Session, place: Path, timeout_s: float) -> tuple[Path, Manifest]:
    """A backup in `place`, whole or not at all. Raises `ClusterError`."""
    config = session.config
    facts, unreachable = session.facts()
    if not facts:
        raise ClusterError(*unreachable)
    check_cluster_name(session, facts, erases=True)  # what is gone may be what a copy still has
    with store.making(place) as folder:
        begun, lacks = time.time(), []
        taken = sources.take_metadata(session, folder, timeout_s) if session.backend.master is not None else None
        identity, recovery_node = sources.cluster_id(session), None
        try:
            recovery_node, identity = sources.take_recovery(session, identity, folder)
        except ClusterError as error:
            if taken is None:
                raise  # nothing at all would be in it
            lacks.append(f"no secrets: {error.problems[0]}")
        manifest = Manifest(
            cluster=config.name,
            cluster_id=identity,
            kind=config.storage.kind,
            time=begun,
            metadata=taken.metadata if taken is not None else None,
            names=taken.names if taken is not None else None,
            recovery_node=recovery_node,
            lacks=(*(taken.lacks if taken is not None else ()), *lacks),
        )
        return store.finish(folder, manifest)


def tables_in(path: Path, manifest: Manifest) -> TablesPart | None:
    """The catalogue of tables in a backup; `None` without one, and where it cannot be read."""
    if manifest.metadata is None:
        return None
    try:
        return tables_of(read_index(path / METADATA))
    except (ValueError, OSError):
        return None


def described(session: Session, path: Path, manifest: Manifest) -> tuple[str, ...]:
    """What is in a backup, for people."""
    words = session.backend.words
    if manifest.metadata is None:
        lines = [f"{words.storage} keeps its metadata itself: this has the cluster's secrets only"]
    else:
        source = {"master": f"the running {words.master}", "copy": "the copy", "disk": "the disk"}
        since = about(max(0.0, manifest.time - manifest.metadata.at))
        age = "" if manifest.metadata.source == "master" else f", {since} old"
        lines = [f"metadata from {source[manifest.metadata.source]} on {manifest.metadata.node}{age}"]
    if manifest.names is not None:
        exact = "" if manifest.names.exact else "; something was written while they were listed"
        lines.append(f"names: {counted(manifest.names)}{exact}")
    if (tables := tables_in(path, manifest)) is not None:
        lines.append(f"names of {amount(tables.tables, 'table')}")
    if manifest.recovery_node is not None:
        lines.append(f"secrets from {manifest.recovery_node}")
    return (*lines, *manifest.lacks, f"{manifest.bytes:,} bytes")


def document_of(path: Path, manifest: Manifest) -> dict[str, object]:
    """For --json."""
    metadata, names, tables = manifest.metadata, manifest.names, tables_in(path, manifest)
    return {
        "schema": SCHEMA,
        "backup": str(path),
        "cluster": manifest.cluster,
        "cluster_id": manifest.cluster_id,
        "kind": manifest.kind,
        "time": manifest.time,
        "bytes": manifest.bytes,
        "source": metadata.source if metadata is not None else None,
        "node": metadata.node if metadata is not None else None,
        "file_system": metadata.file_system if metadata is not None else None,
        "at": metadata.at if metadata is not None else None,
        "operation": metadata.operation if metadata is not None else None,
        "files": names.files if names is not None else None,
        "directories": names.directories if names is not None else None,
        "exact": names.exact if names is not None else None,
        "tables": tables.tables if tables is not None else None,
        "tables_at": tables.at if tables is not None else None,
        "secrets_from": manifest.recovery_node,
        "lacks": list(manifest.lacks),
    }
