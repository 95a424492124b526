"""A whole backup of a small QFS file system, and one whose checksums somebody has made again."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparkqfs.jobs.storage import backup_store
from sparkqfs.jobs.storage.backup_names import read_summary
from sparkqfs.plan.cluster.recovery import recovery_text
from sparkqfs.plan.storage import backups
from sparkqfs.plan.storage.backups import ABOUT, METADATA, NAMES, RECOVERY, SUMS, Manifest, MetadataPart
from tests.builders.clusters import a_cluster

FSID, ID = "12345", "the-cluster"
LOG = "log.0.1.1.1"
IMAGE = "chkpt.1.1.1"
PIECES = {
    IMAGE: f"checkpoint/1\nfilesysteminfo/fsid/{FSID}/1\nlog/logs/{LOG}\n".encode(),
    LOG: b"mkdir/1\nc/a/1 1 1/0/0/0\n",
}
ROWS = ("- /dir", "10 /dir/a", "20 /dir/a%20b", "30 /z")


def names_of(rows: tuple[str, ...], operation: int = 1) -> bytes:
    """A list of names that was made while the log stood at that operation."""
    position = [LOG, len(PIECES[LOG]), operation]
    files = [int(row.split()[0]) for row in rows if not row.startswith("-")]
    head = {"schema": 1, "kind": "qfs", "identity": FSID, "position": position}
    tail = {"files": len(files), "directories": len(rows) - len(files), "bytes": sum(files), "position": position}
    return gzip.compress("".join(f"{line}\n" for line in (json.dumps(head), *rows, json.dumps(tail))).encode(), mtime=0)


def archive_of(pieces: dict[str, bytes], index: dict[str, Any] | None = None) -> bytes:
    """As the cluster makes it (runtime/sparkqfs_runtime/metadata/bundle.py)."""
    listed = [[key, len(data), hashlib.sha256(data).hexdigest()] for key, data in pieces.items()]
    told = {"schema": 1, "kind": "qfs", "identity": FSID, "at": 1000.0, "operation": 1, "history": 0}
    told |= {"passed_over": [], "pieces": listed, "notes": []} | (index or {})
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in (("state.json", json.dumps(told).encode()), *((f"pieces/{k}", v) for k, v in pieces.items())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def a_backup(place: Path, cluster: str = "spark", time: float = 1_800_000_000.0) -> Path:
    """In a directory of backups."""
    with backup_store.making(place) as folder:
        (folder / METADATA).write_bytes(archive_of(PIECES))
        (folder / NAMES).write_bytes(names_of(ROWS))
        secrets = {"secrets": json.dumps({"cluster_key": "hidden"})}
        (folder / RECOVERY).write_text(recovery_text(a_cluster("node1", name=cluster), ID, 1, secrets))
        manifest = Manifest(
            cluster=cluster,
            cluster_id=ID,
            kind="qfs",
            time=time,
            metadata=MetadataPart(source="master", node="node1", file_system=FSID, at=1000.0, operation=1),
            names=read_summary(folder / NAMES).part(1),
            recovery_node="node1",
        )
        return backup_store.finish(folder, manifest)[0]


def reseal(path: Path, change: Callable[[dict[str, Any]], None] = lambda _about: None) -> None:
    """Makes all checksums fit again, as somebody would who does not want a change to be seen."""
    about = json.loads((path / ABOUT).read_text())
    for name in about["files"]:
        data = (path / name).read_bytes()
        about["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    change(about)
    (path / ABOUT).write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
    digests = {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in (*about["files"], ABOUT)}
    (path / SUMS).write_text(backups.sums_text(digests))
