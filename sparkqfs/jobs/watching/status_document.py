"""The JSON document of `invoke status`; its schema is in docs/status.md."""

from __future__ import annotations

from collections.abc import Iterable

from sparkqfs.errors import Problem
from sparkqfs.facts.pages import AppFact
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.layout import layout_document
from sparkqfs.plan.storage.health import HealthFact, MemoryFact, MetadataCopyFact
from sparkqfs.plan.watching.cluster_status import ClusterStatus
from sparkqfs.plan.watching.health import Data, judge

SCHEMA = 1
SHOWN = 5
"""Ended applications in the report."""


def data_of(session: Session, status: ClusterStatus) -> Data:
    """What is to be said of the data."""
    storage = None if isinstance(status.storage, str) else status.storage
    return judge(session.config, session.backend, storage, status.health, status.strangers)


def document(session: Session, status: ClusterStatus, problems: tuple[Problem, ...]) -> dict[str, object]:
    """What a program reads."""
    data = data_of(session, status)
    is_down = status.swarm is None and not status.deployed
    well = "recovering" if data.state == "recovering" else "healthy"
    state = well if not problems else ("down" if is_down else "degraded")
    return {
        "schema": SCHEMA,
        "cluster": session.config.name,
        "state": state,
        "swarm": {"answers": status.swarm is None, **({"error": status.swarm.what} if status.swarm else {})},
        "spark": _spark(session, status),
        "storage": _storage(session, status, data),
        "jupyter": {"answers": status.jupyter is None, **({"error": status.jupyter} if status.jupyter else {})},
        "history": {"answers": False, "error": status.history}
        if isinstance(status.history, str)
        else {"answers": True, "finished": _finished(status)},
        "expected_absent": list(status.absent),
        "services": _services(status),
        "urls": status.urls,
        "problems": [{"node": problem.node, "what": problem.what, "hint": problem.hint} for problem in problems],
    }


def _spark(session: Session, status: ClusterStatus) -> dict[str, object]:
    if isinstance(status.spark, str):
        return {"answers": False, "error": status.spark}
    fact = status.spark
    return {
        "answers": True,
        "workers_alive": len(fact.alive_hosts),
        "workers_dead": fact.dead,
        "workers_expected": len(session.config.nodes),
        "worker_hosts": list(fact.alive_hosts),
        "cores": fact.cores,
        "cores_used": fact.cores_used,
        "memory_mib": fact.memory_mib,
        "memory_used_mib": fact.memory_used_mib,
        "applications": list(fact.applications),
        "running": _applications(fact.active, status.urls.get("Spark master"), "proxy"),
    }


def _storage(session: Session, status: ClusterStatus, data: Data) -> dict[str, object]:
    config = session.config
    found = status.storage
    if found is None:
        return {"kind": config.storage.kind}
    if isinstance(found, str):
        return {"kind": config.storage.kind, "answers": False, "error": found}
    return {
        "kind": config.storage.kind,
        "answers": True,
        "replication": config.storage.replication,
        "layout": layout_document(config),
        "server_name": session.backend.words.servers,
        "servers_up": len(found.up_hosts),
        "servers_expected": len(config.nodes),
        "server_hosts": list(found.up_hosts),
        "total_bytes": found.total_bytes,
        "used_bytes": found.used_bytes,
        "free_bytes": found.free_bytes,
        "recovering": found.recovering,
        "replications_pending": found.replications_pending,
        "files": found.files,
        "files_count_too": session.backend.words.counted_too,
        "blocks": found.blocks,
        "file_system_id": found.file_system_id,
        "state": data.state,
        "servers_unknown": list(data.unknown),
        **_data(status.health or HealthFact(), data),
    }


def _data(health: HealthFact, data: Data) -> dict[str, object]:
    """What is missing and what becomes of it; `None` is not known."""
    memory = health.memory if isinstance(health.memory, MemoryFact) else None
    check = memory.check if memory is not None else None
    lost_blocks = None
    if check is not None:  # those of removed files, and pieces that can be made again, are not lost
        lost_blocks = check.lost_blocks if check.lost_files else 0
    return {
        "lost_files": check.lost_files if check is not None else None,
        "lost_blocks": health.lost_blocks if health.lost_blocks is not None else lost_blocks,
        "lost_blocks_of_one_copy": health.lost_single,
        "files_with_one_copy_left": check.single_files if check is not None else None,
        "bad_blocks": health.bad,
        "copies_missing": data.missing,
        "copies_in_progress": health.copying,
        "copies_per_minute": memory.per_minute if memory is not None else None,
        "copies_still_s": memory.still_s if memory is not None else None,
        "copies_wait_for_servers": memory.held if memory is not None else None,
        "servers_gone": list(health.gone),
        "servers_retiring": list(health.retiring),
        "servers_stale": health.stale,
        "lost_directories": list(health.lost_directories),
        "checkpoint_failures": health.checkpoint_failures,
        "metadata_copies": [_copy(copy) for copy in (memory.metadata_copies or () if memory is not None else ())],
        "check": {
            "age_s": check.age_s if check is not None else None,
            "took_s": check.took_s if check is not None else None,
            "is_current": check.is_current if check is not None else None,
            "every_s": memory.check_s if memory is not None else None,
            "partial": check.partial if check is not None else "",
            "error": memory.error if memory is not None else str(health.memory),
        },
    }


def _copy(copy: MetadataCopyFact) -> dict[str, object]:
    seen, names = copy.verified, copy.catalogue
    verified = (
        {"age_s": seen.age_s, "depth": seen.depth, "ok": seen.ok, "damaged": list(seen.damaged)} if seen else None
    )
    return {
        "node": copy.node,
        "age_s": copy.age_s,
        "bytes": copy.bytes,
        "history": copy.history,
        "error": copy.error,
        "verified": verified,
        "catalogue": {"age_s": names.age_s, "is_kept": names.is_kept, "error": names.error} if names else None,
    }


def _ended(status: ClusterStatus) -> list[AppFact]:
    """Ended applications, the latest first; one that the master still has is not among them."""
    active = () if isinstance(status.spark, str) else status.spark.active
    names = {app.id for app in active}
    found = [] if isinstance(status.history, str) else [app for app in status.history if app.id not in names]
    return sorted(found, key=lambda app: -app.started_s)


def _finished(status: ClusterStatus) -> list[dict[str, object]]:
    return _applications(_ended(status)[:SHOWN], status.urls.get("History server"), "history")


def _applications(apps: Iterable[AppFact], url: str | None, way: str) -> list[dict[str, object]]:
    return [
        {"id": app.id, "name": app.name, "state": app.state, "link": f"{url}/{way}/{app.id}/" if url else None}
        for app in apps
    ]


def _services(status: ClusterStatus) -> list[dict[str, object]]:
    found = []
    for name in sorted({task.service for task in status.tasks}):
        nodes = sorted(task.node for task in status.tasks if task.service == name and task.is_up)
        found.append({"service": name, "running": len(nodes), "nodes": nodes})
    return found
