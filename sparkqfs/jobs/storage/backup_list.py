"""invoke backup.list: the backups on this computer, and the states that the copies on the nodes have."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkqfs.amounts import amount
from sparkqfs.config.copies import copy_nodes
from sparkqfs.errors import ClusterError
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import backup_sources as sources
from sparkqfs.jobs.storage import backup_store as store
from sparkqfs.jobs.storage.backup import place_of
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage.backups import SCHEMA
from sparkqfs.plan.times import about


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """What a node keeps, or why that is not known."""

    node: str
    histories: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""


def run(session: Session, *, to: str | None) -> JobResult:
    """What is on this computer is listed whatever becomes of the rest."""
    place = place_of(session, to)
    rows = [row_of(path) for path in store.found_in(place)]
    copies = ask_copies(session)
    document: dict[str, object] = {
        "schema": SCHEMA,
        "place": str(place),
        "backups": rows,
        "copies": [
            {"node": one.node, "histories": [_history(row) for row in one.histories], "error": one.error}
            for one in copies
        ],
    }
    return JobResult(task="backup.list", text=text_of(place, rows, copies, time.time()), document=document)


def row_of(path: Path) -> dict[str, Any]:
    """A backup, for people and programs; of one that cannot be read only why."""
    row: dict[str, Any] = {
        "backup": str(path),
        "time": None,
        "cluster": None,
        "kind": None,
        "bytes": None,
        "files": None,
        "source": None,
        "lacks": [],
        "verified": None,
        "error": "",
    }
    try:
        manifest = store.read_manifest(path)
    except (OSError, ValueError) as error:
        return {**row, "error": f"{error}"}
    seen = store.verified(path)
    verified = {key: seen.get(key) for key in ("time", "depth", "ok")} if seen else None
    return {
        **row,
        "time": manifest.time,
        "cluster": manifest.cluster,
        "kind": manifest.kind,
        "bytes": manifest.bytes,
        "files": manifest.names.files if manifest.names is not None else None,
        "source": manifest.metadata.source if manifest.metadata is not None else None,
        "lacks": list(manifest.lacks),
        "verified": verified,
    }


def ask_copies(session: Session) -> list[Copies]:
    """Of each node that keeps one: its service, else a container of its own on its disk."""
    nodes = copy_nodes(session.config)
    if not nodes:
        return []
    running = sources.keepers(sources.running_tasks(session))

    def one(name: str) -> list[dict[str, Any]]:
        task = running.get(name)
        return sources.ask_keeper(session, task) if task is not None else sources.ask_disk(session, name)

    told = session.clients.on(tuple(node.name for node in nodes), one)
    found = [Copies(node=name, histories=rows) for name, rows in told.values.items()]
    found += [Copies(node=name, error=_why(error)) for name, error in told.failures.items()]
    return sorted(found, key=lambda copies: copies.node)


def _why(error: ClusterError) -> str:
    return error.problems[0].what


def _history(row: dict[str, Any]) -> dict[str, Any]:
    keys = ("number", "kind", "identity", "began", "mark", "first", "last", "moments", "images", "operation", "bytes")
    return {key: row.get(key) for key in keys}


def text_of(place: Path, rows: list[dict[str, Any]], copies: list[Copies], now: float) -> str:
    """For people: the latest last."""
    lines = [f"backups in {place}"]
    for row in rows:
        name = Path(row["backup"]).name
        if row["error"]:
            lines.append(f"  {name}  cannot be read: {row['error']}")
            continue
        files = "no list of names" if row["files"] is None else amount(row["files"], "file")
        lines.append(
            f"  {name}  {row['cluster']}  {row['kind']}  {row['bytes']:,} bytes  {files}  {_verified(row, now)}"
        )
    if not rows:
        lines.append("  none: `invoke backup` makes one")
    for one in copies:
        lines.append(f"copies on {one.node}" + (f": not known: {one.error}" if one.error else ""))
        lines += [_told(row) for row in one.histories]
        if not one.error and not one.histories:
            lines.append("  none yet")
    return "\n".join(lines)


def _verified(row: dict[str, Any], now: float) -> str:
    seen = row["verified"]
    if not seen:
        return "never verified"
    state = f"verified to depth {seen['depth']}" if seen["ok"] else "DAMAGED"
    return f"{state} {about(max(0.0, now - float(seen['time'] or 0)))} ago"


def _told(row: dict[str, Any]) -> str:
    images = amount(row.get("images", 0), "image")
    if not row.get("last"):
        return f"  history {row.get('number')}  {images}, no moment yet"
    span = f"{_time(row['first'])} to {_time(row['last'])}"
    return f"  history {row.get('number')}  {span}, {images}, {row['bytes']:,} bytes"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
